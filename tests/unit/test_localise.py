import itertools

from whisper_service.streaming.localise import candidates, dips_of
from whisper_service.types import to_samples

SECOND = to_samples(1.0)


def test_gaps_and_dips_near_the_crossing_are_the_candidates():
    found = candidates(
        crossing=5 * SECOND,
        floor=4 * SECOND,
        end=10 * SECOND,
        gaps=[2 * SECOND, 5 * SECOND + 10],
        dips=[4 * SECOND + 20, 9 * SECOND],
    )
    assert found == [4 * SECOND + 20, 5 * SECOND + 10]


def test_a_change_point_never_lies_before_the_newest_committed_word():
    floor = 5 * SECOND
    found = candidates(crossing=5 * SECOND, floor=floor, end=9 * SECOND, gaps=[4 * SECOND], dips=[])
    assert found
    assert min(found) >= floor


def test_without_gaps_there_is_a_grid():
    found = candidates(crossing=2 * SECOND, floor=0, end=6 * SECOND, gaps=[], dips=[])
    assert len(found) > 10
    assert all(b - a == to_samples(0.1) for a, b in itertools.pairwise(found))


def test_no_room_gives_the_crossing_within_bounds():
    assert candidates(crossing=100, floor=3000, end=3100, gaps=[], dips=[]) == [3000]


def test_dips_are_local_minima_below_the_threshold():
    speech = [(512 * i, p) for i, p in enumerate([0.9, 0.4, 0.9, 0.7, 0.9, 0.3, 0.2, 0.8])]
    assert dips_of(speech, below=0.5) == [512 // 320 * 320, 6 * 512 // 320 * 320]
