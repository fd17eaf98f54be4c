from whisper_service.lid import lid_spans
from whisper_service.lid.frames import SHORTEST_SPAN

HOP, WINDOW = 1600, 16_000


def spans(after, until, floor):
    return lid_spans(after=after, until=until, floor=floor, hop=HOP, window=WINDOW)


def test_hops_are_multiples_of_the_hop_on_the_sample_clock():
    assert [s.end for s in spans(32_100, 36_800, 0)] == [33_600, 35_200, 36_800]


def test_a_hop_at_after_is_left_out_and_one_at_until_is_taken():
    assert [s.end for s in spans(32_000, 33_600, 0)] == [33_600]


def test_a_span_is_the_window_before_its_hop_stamped_at_its_centre():
    (span,) = spans(48_000, 49_600, 0)
    assert (span.start, span.end, span.centre) == (33_600, 49_600, 41_600)


def test_a_span_never_reaches_before_the_floor():
    assert {s.start for s in spans(20_000, 30_000, 19_500)} == {19_500}


def test_spans_below_the_shortest_are_skipped():
    found = spans(16_000, 32_000, 16_000)
    assert found[0].end - found[0].start == SHORTEST_SPAN
    assert found[0].end == 19_200


def test_the_stream_start_gives_no_negative_span():
    assert all(s.start >= 0 for s in spans(-1, 16_000, 0))
