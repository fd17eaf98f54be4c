"""How audio is cut never matters; committed text never changes; accounting always adds up."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import finals, options, pieces, run, stream, utterances, without_lag
from whisper_service.config import DecodeOptions, VadOptions
from whisper_service.events import Committed, Final
from whisper_service.testing import VOCABULARY, utterance

WORD = st.tuples(st.sampled_from(sorted(VOCABULARY)), st.sampled_from([0.3, 0.45, 0.6]))
PAUSE = st.tuples(st.none(), st.sampled_from([0.2, 0.6, 1.1]))
SCRIPT = st.lists(st.one_of(WORD, WORD, PAUSE), min_size=1, max_size=12)
BREATH = st.tuples(st.sampled_from(["en", "es", "zh", "fr"]), st.integers(2, 8))
LIMITS = [
    {},
    {"max_context": 2.0, "hard_context": 4.0},
    {"vad": VadOptions(enabled=False)},
    {"vad": VadOptions(enabled=False), "max_context": 2.0, "hard_context": 4.0},
]
SETTINGS = settings(max_examples=25, deadline=None)


@SETTINGS
@given(SCRIPT, st.lists(st.integers(0, 60_000), max_size=8), st.sampled_from(["fast", "offline"]))
def test_any_cut_gives_the_same_events(script, cuts, mode):
    samples = utterance(script)
    opts = options("en", "es", "zh", mode=mode)
    whole, events = run(samples, opts)
    cut, other = run(samples, opts, cuts=sorted(min(c, len(samples)) for c in cuts))
    assert without_lag(other) == without_lag(events)
    assert cut.account == whole.account


@SETTINGS
@given(SCRIPT)
def test_twenty_millisecond_chunks_give_the_same_events(script):
    samples = utterance(script)
    opts = options("en", "es", "zh")
    _, events = run(samples, opts)
    _, other = run(samples, opts, cuts=list(range(320, len(samples), 320)))
    assert without_lag(other) == without_lag(events)


@SETTINGS
@given(SCRIPT, st.integers(200, 9000))
def test_accounting_adds_up_at_every_moment(script, size):
    transcriber = stream(options("en", "es"))
    samples = utterance(script)
    fed = 0
    for first in range(0, len(samples), size):
        fed += len(samples[first : first + size])
        transcriber.feed(samples[first : first + size])
        a = transcriber.account
        assert a.received == fed == a.decoded + a.skipped_silence + a.dropped + a.pending
    transcriber.finish()
    a = transcriber.account
    assert a.received == a.decoded + a.skipped_silence + a.dropped
    assert a.pending == 0


@SETTINGS
@given(SCRIPT)
def test_segments_hold_exactly_the_committed_words_in_order(script):
    _, events = run(utterance(script), options("en", "es", "zh", "fr"))
    said = [w for e in events if isinstance(e, Committed) for w in e.words]
    assert [w for s in finals(events) for w in s.words] == said
    assert [s.id for s in finals(events)] == list(range(len(finals(events))))
    for before, after in itertools.pairwise(said):
        assert before.start <= before.end <= after.end
        assert before.end <= after.start


@pytest.mark.parametrize("seed", range(3))
def test_finals_come_after_their_words(seed):
    rng = np.random.default_rng(seed)
    words = [(str(rng.choice(sorted(VOCABULARY))), 0.4) for _ in range(8)]
    _, events = run(utterance([(None, 0.5), *words, (None, 1.0)]), options("en", "es", "zh", "fr"))
    seen = []
    for event in events:
        if isinstance(event, Committed):
            seen += event.words
        if isinstance(event, Final):
            assert all(w in seen for w in event.segment.words)


def breath(language, count):
    """``count`` words of one language without a pause."""
    words = [word for word, (spoken, _) in sorted(VOCABULARY.items()) if spoken == language]
    return [(word, 0.5) for word in itertools.islice(itertools.cycle(words), count)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(BREATH, BREATH, WORD, PAUSE), min_size=1, max_size=10),
    st.sampled_from([("en", "es"), ("en", "es", "zh"), ("en",), ()]),
    st.sampled_from(["fast", "offline"]),
    st.sampled_from(["align_att", "local_agreement"]),
    st.sampled_from(LIMITS),
)
def test_every_sample_of_speech_is_in_exactly_one_segment_or_gap(
    parts, languages, mode, policy, limits
):
    script = [
        word for part in parts for word in (breath(*part) if isinstance(part[1], int) else [part])
    ]
    opts = options(*languages, mode=mode, decode=DecodeOptions(policy=policy), **limits)
    _, events = run(utterance(script), opts)
    places = pieces(events)
    assert all(a.end <= b.start for a, b in itertools.pairwise(places)), "in order, none twice"
    for started, ended in utterances(events):
        held = sum(max(0, min(p.end, ended) - max(p.start, started)) for p in places)
        assert held == ended - started
