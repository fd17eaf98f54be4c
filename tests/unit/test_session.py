"""A language session over one window: prefix, frontiers, shortening."""

from dataclasses import replace

import numpy as np
import pytest

from streams import ENGINE
from whisper_service.config import DecodeOptions
from whisper_service.features import log_mel
from whisper_service.lid import EVERYTHING
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.session import (
    CAUTION,
    DOUBTFUL,
    LanguageSession,
    average_logprob,
    confidence,
    spaced,
)
from whisper_service.streaming.voicing import Voicing
from whisper_service.testing import silence, utterance, word_times
from whisper_service.types import FRAME, SAMPLE_RATE, Word

SCRIPT = [("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.0)]
TIMES = word_times(SCRIPT)


def window(script=SCRIPT, start=0):
    samples = utterance(script)
    (encoded,) = ENGINE.encode([log_mel(samples)])
    return Window(start, start + len(samples), encoded)


def session(language="en", **options):
    return LanguageSession(
        engine=ENGINE,
        options=DecodeOptions(**options),
        metrics=PerformanceMetrics(),
        language=language,
        start=0,
    )


def texts(words):
    return [w.text.strip() for w in words]


def test_a_final_decode_commits_everything():
    s = session()
    assert texts(s.accept(s.propose(window(), final=True), frontier=0, final=True)) == [
        "hello",
        "world",
        "please",
        "yes",
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_nothing_after_the_language_frontier_is_committed(count):
    s = session()
    proposal = s.propose(window(), final=False)
    frontier = TIMES[count].start
    assert len(s.accept(proposal, frontier=frontier, final=False)) == count


def test_what_is_committed_is_not_said_again():
    s = session()
    proposal = s.propose(window(), final=False)
    first = s.accept(proposal, frontier=TIMES[2].start, final=False)
    rest = s.accept(s.propose(window(), final=True), frontier=EVERYTHING, final=True)
    assert texts(first + rest) == ["hello", "world", "please", "yes"]


def doubted(proposal, number):
    """The same proposal, word ``number`` of which is doubtful."""
    words = list(proposal.words)
    words[number] = replace(words[number], probability=DOUBTFUL - 0.01)
    return replace(proposal, words=tuple(words))


@pytest.mark.parametrize(
    ("behind", "expected"),
    [(CAUTION - 2 * FRAME, ["hello"]), (CAUTION, ["hello", "world", "please"])],
)
def test_a_doubtful_word_near_the_end_of_its_language_waits(behind, expected):
    s, heard = session(), window()
    said = doubted(s.propose(heard, final=False), 1)
    frontier = heard.sample(said.words[1].end) + behind
    assert texts(s.accept(said, frontier=frontier, final=False)) == expected


def test_a_doubtful_word_at_the_end_of_speech_does_not_wait():
    s = session()
    said = doubted(s.propose(window(), final=True), 3)
    assert texts(s.accept(said, frontier=0, final=True)) == ["hello", "world", "please", "yes"]


def test_no_doubtful_word_waits_where_the_language_is_given():
    s = session()
    said = doubted(s.propose(window(), final=False), 2)
    words = s.accept(said, frontier=EVERYTHING, final=False)
    assert texts(words) == ["hello", "world", "please"]


def test_the_newest_half_second_is_not_committed():
    s = session(frame_threshold=0.5)
    heard = window(SCRIPT[:3])
    words = s.accept(s.propose(heard, final=False), frontier=EVERYTHING, final=False)
    assert texts(words) == ["hello", "world"]


def test_a_word_that_has_no_time_before_the_change_point_is_not_taken():
    s = session()
    everything = s.propose(window(), final=True)
    border = window().sample(everything.words[2].start)
    words = s.accept(everything, frontier=border, final=True, until=border)
    assert texts(words) == ["hello", "world"]
    assert words == s.state.committed
    assert all(word.start < word.end <= border for word in words)


def test_cross_attention_ends_at_the_change_point():
    s = session()
    proposal = s.propose(window(), final=True, until=TIMES[2].start)
    assert texts(proposal.words) == ["hello", "world"]


def test_shortening_keeps_the_newest_words_and_starts_in_a_gap():
    s = session()
    s.accept(s.propose(window(), final=True), frontier=EVERYTHING, final=True)
    left = s.shorten(keep=SAMPLE_RATE // 2)
    assert texts(left) == ["hello", "world"]
    assert texts(s.state.committed) == ["please", "yes"]
    assert left[-1].start < s.state.window_start <= s.state.committed[0].start
    assert s.state.committed[0].start - s.state.window_start < 3 * 320
    assert s.state.window_start % 320 == 0


def test_one_word_is_never_shortened_away():
    s = session()
    s.accept(s.propose(window(), final=False), frontier=TIMES[1].start, final=False)
    assert s.shorten(keep=0) == []
    assert len(s.state.committed) == 1


def test_silence_gives_no_words():
    s = session()
    (encoded,) = ENGINE.encode([log_mel(silence(1.0))])
    proposal = s.propose(Window(0, SAMPLE_RATE, encoded), final=True)
    assert proposal.words == ()


def test_confidence_is_a_geometric_mean():
    def word(p, tokens=1):
        return Word(text="x", start=0, end=1, probability=p, language="en", tokens=(1,) * tokens)

    assert confidence([word(0.5), word(0.125)]) == pytest.approx(0.25)
    assert confidence([]) == 0.0
    assert average_logprob([word(1.0, 3), word(np.exp(-2), 1)]) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("language", "previous", "expected"),
    [
        ("en", None, "hi"),
        ("en", "fr", " hi"),
        ("zh", "zh", "hi"),
        ("zh", "en", " hi"),
        ("en", "zh", " hi"),
    ],
)
def test_segments_are_spaced_as_their_languages_write(language, previous, expected):
    assert spaced(" hi", language=language, previous=previous) == expected


def test_no_speech_needs_both_gates_and_nothing_committed():
    s = session()
    proposal = s.propose(window(), final=True)
    unsure = replace(proposal.hypothesis, logprobs=(-2.0,) * 4, no_speech_prob=0.9)
    silent = replace(proposal, hypothesis=unsure)
    assert not s.judged_silent(proposal)
    assert not s.judged_silent(replace(silent, hypothesis=replace(unsure, no_speech_prob=0.1)))
    assert s.judged_silent(silent)
    s.accept(proposal, frontier=EVERYTHING, final=True)
    assert not s.judged_silent(silent)


def test_a_decode_that_jumps_over_speech_stops_counting_there():
    s, voicing = session(), Voicing()
    for at in range(512, 4 * SAMPLE_RATE, 512):
        voicing.hear(at, 0.9)
    proposal = s.propose(
        window([("hello", 0.5), (None, 1.8), ("world", 0.5), (None, 1.0)]), final=True
    )
    assert texts(proposal.words) == ["hello", "world"]
    assert s.before_skip(proposal, voicing) == 1
    assert s.before_skip(proposal, Voicing()) == 2
