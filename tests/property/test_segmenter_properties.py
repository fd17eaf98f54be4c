"""How probabilities are batched never matters, and boundaries keep their promises."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from whisper_service.config import VadOptions
from whisper_service.vad.segmenter import FADING, Ended, SpeechSegmenter, Started

# Long runs of one value, so that all four states are reached, among arbitrary ones.
PROBABILITIES = st.lists(
    st.tuples(st.one_of(st.sampled_from([0.0, 0.36, 1.0]), st.floats(0, 1)), st.integers(1, 25)),
    max_size=12,
).map(lambda runs: [p for p, n in runs for _ in range(n)])
OPTIONS = st.builds(
    VadOptions,
    enabled=st.booleans(),
    min_speech=st.floats(0, 0.4),
    min_silence=st.floats(0, 0.7),
)


@given(PROBABILITIES, OPTIONS, st.lists(st.integers(0, 300), max_size=8))
def test_any_batching_gives_the_same_events(probabilities, options, cuts):
    one, many = SpeechSegmenter(options), SpeechSegmenter(options)
    expected = one.feed(probabilities) + one.finish()
    bounds = [0, *sorted(min(c, len(probabilities)) for c in cuts), len(probabilities)]
    events = [event for a, b in pairwise(bounds) for event in many.feed(probabilities[a:b])]
    assert events + many.finish() == expected


@given(PROBABILITIES, OPTIONS)
def test_boundaries_alternate_and_move_forward(probabilities, options):
    segmenter = SpeechSegmenter(options)
    events = segmenter.feed(probabilities) + segmenter.finish()
    for i, event in enumerate(events):
        assert isinstance(event, Started if i % 2 == 0 else Ended)
        assert 0 <= event.at <= event.known_at <= segmenter.state.now
    assert len(events) % 2 == 0
    times = [event.at for event in events]
    assert times == sorted(times)


@given(PROBABILITIES, OPTIONS.filter(lambda o: o.enabled))
def test_speech_holds_enough_above_onset_and_gaps_enough_below_offset(probabilities, options):
    segmenter = SpeechSegmenter(options)
    events = segmenter.feed(probabilities) + segmenter.finish()
    spans = [
        (a.at // 512, min(len(probabilities), b.at // 512 + 1))  # ends are a window early, at least
        for a, b in zip(events[::2], events[1::2], strict=True)
    ]
    for first, last in spans:
        faded = last + FADING // 512
        loud = sum(p >= options.onset for p in probabilities[first:faded])
        assert loud * 512 >= options.min_speech * 16_000 - 1
        assert probabilities[first] >= options.onset
    for (_, end), (start, _) in pairwise(spans):
        assert (start - end + 1) * 512 >= options.min_silence * 16_000 - 256 - 1  # half a window
