import itertools
import math

import numpy as np
import pytest

from whisper_service.lid import LidFrame
from whisper_service.streaming.localise import (
    GRID,
    ChangePoint,
    candidates,
    change_point,
    dips_of,
    snapped,
)
from whisper_service.streaming.second_opinion import RETURNED
from whisper_service.types import to_samples

SECOND = to_samples(1.0)
EXACT = to_samples(0.05)


def hearing(change, *, wrong=()):
    """Hears the old language (column 0) by the share of a span before ``change``.

    Spans that hold a sample of ``wrong`` are heard the other way.
    """

    def listen(spans):
        frames = []
        for span in spans:
            share = min(1.0, max(0.0, (change - span.start) / (span.end - span.start)))
            if wrong and span.start < wrong[-1] and span.end > wrong[0]:
                share = 1.0 - share
            row = np.array([share, 1.0 - share, 0.0], np.float32) * 0.96 + 0.01
            frames.append(LidFrame(start=span.start, end=span.end, probabilities=row))
        return frames

    return listen


def found(change, *, crossing, bounds=(0, 8 * SECOND), wrong=()):
    points = candidates(crossing=crossing, floor=bounds[0], end=bounds[1])
    return change_point(
        listen=hearing(change, wrong=wrong),
        columns=(0, 1),
        crossing=crossing,
        points=points,
        bounds=bounds,
    )


@pytest.mark.parametrize("off", [-0.3, -0.2, 0.0, 0.4, 0.6])
def test_the_change_is_found_wherever_the_crossing_lies(off):
    change = 4 * SECOND + 100
    assert abs(found(change, crossing=change + to_samples(off)).at - change) <= EXACT


@pytest.mark.parametrize("off", [-0.2, -0.1, 0.1, 0.2])
def test_the_sound_speaks_against_other_places_the_farther_the_more(off):
    point = found(4 * SECOND, crossing=4 * SECOND)
    near, far = (
        point.against(point.at + to_samples(off / 2)),
        point.against(point.at + to_samples(off)),
    )
    assert 0 < near < far
    assert point.against(point.at) == 0


def test_a_point_that_was_given_is_not_moved():
    assert ChangePoint.given(SECOND).against(SECOND - 320) == math.inf
    assert ChangePoint.given(SECOND).back == 0


@pytest.mark.parametrize(("returns", "back"), [(None, False), (4.6, True), (5.2, False)])
def test_a_return_to_the_old_language_is_heard_at_the_windows_end(returns, back):
    again = () if returns is None else (to_samples(returns), 6 * SECOND)
    point = found(4 * SECOND, crossing=4 * SECOND, wrong=again, bounds=(0, 5 * SECOND))
    assert point.at == 4 * SECOND
    assert (point.back > RETURNED) == back
    assert point.back >= 0


def test_the_old_language_before_the_change_is_no_return_to_it():
    point = found(4 * SECOND, crossing=4 * SECOND, bounds=(0, to_samples(4.4)))
    assert point.back == 0


def test_what_was_heard_stays_when_a_dip_is_taken():
    point = found(4 * SECOND, crossing=4 * SECOND)
    moved = snapped(point, [point.at - 320], floor=0)
    assert moved.at == point.at - 320
    assert moved.against(point.at) == pytest.approx(-point.against(moved.at))


def test_spans_are_heard_within_the_window_only():
    bounds = (to_samples(3.9), to_samples(4.4))
    asked = []

    def listen(spans):
        asked.extend(spans)
        return hearing(4 * SECOND)(spans)

    points = candidates(crossing=4 * SECOND, floor=bounds[0], end=bounds[1])
    change_point(
        listen=listen,
        columns=(0, 1),
        crossing=4 * SECOND,
        points=points,
        bounds=bounds,
    )
    assert asked
    assert all(bounds[0] <= span.start < span.end <= bounds[1] for span in asked)
    assert all(b.start - a.start == GRID for a, b in itertools.pairwise(asked))


def test_one_stretch_heard_wrongly_moves_nothing_far():
    change = 4 * SECOND
    at = found(change, crossing=change, wrong=(to_samples(5.3), to_samples(5.3) + 1))
    assert abs(at.at - change) <= to_samples(0.2)


def test_a_window_of_half_a_second_still_has_a_change_point():
    at = found(to_samples(0.2), crossing=to_samples(0.2), bounds=(0, to_samples(0.5)))
    assert 0 <= at.at <= to_samples(0.5)


def test_between_equal_candidates_the_one_nearest_the_crossing_is_taken():
    crossing = to_samples(4.0)
    points = candidates(crossing=crossing, floor=0, end=to_samples(8.0))

    def listen(spans):
        row = np.full(3, 1 / 3, np.float32)
        return [LidFrame(start=s.start, end=s.end, probabilities=row) for s in spans]

    bounds = (0, to_samples(8.0))
    at = change_point(
        listen=listen, columns=(0, 1), crossing=crossing, points=points, bounds=bounds
    )
    assert at.at == crossing


def test_candidates_are_a_grid_that_ends_before_the_window():
    points = candidates(crossing=2 * SECOND, floor=0, end=to_samples(2.5))
    assert all(b - a == to_samples(0.05) for a, b in itertools.pairwise(points))
    assert points[-1] <= to_samples(2.2)
    assert points[0] == to_samples(1.3)


def test_a_change_point_never_lies_before_the_newest_committed_word():
    floor = 5 * SECOND + 7
    assert min(candidates(crossing=5 * SECOND, floor=floor, end=9 * SECOND)) >= floor
    assert snapped(ChangePoint.given(floor), [floor - 10], floor=floor).at == floor


def test_no_room_gives_the_crossing_within_bounds():
    assert candidates(crossing=100, floor=3000, end=3100) == [3000]


def test_a_word_gap_nearby_is_taken_instead():
    places = [SECOND - 500, SECOND + 800, 3 * SECOND]
    assert snapped(ChangePoint.given(SECOND), places, floor=0).at == SECOND - 500
    assert snapped(ChangePoint.given(2 * SECOND), places, floor=0).at == 2 * SECOND


def test_dips_are_local_minima_below_the_threshold():
    speech = [(512 * i, p) for i, p in enumerate([0.9, 0.4, 0.9, 0.7, 0.9, 0.3, 0.2, 0.8])]
    assert dips_of(speech, below=0.5) == [512 // 320 * 320, 6 * 512 // 320 * 320]
