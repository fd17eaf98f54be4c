"""Stretches that are marked instead of said: no speech, languages that are not allowed."""

import itertools
from dataclasses import replace

import pytest

from streams import committed, finals, options, pieces, run, utterances
from whisper_service.config import VadOptions
from whisper_service.events import AudioSkipped, Committed, Lag
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.streaming.utterance import UtteranceDecoder
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance, word_times
from whisper_service.text.documents import transcript_to_dict
from whisper_service.types import SAMPLE_RATE, Gap, to_samples, to_seconds

ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5)]
FRENCH = [("bonjour", 0.5), ("merci", 0.5)]


def skipped(events):
    return [e for e in events if isinstance(e, AudioSkipped)]


class Unsure(ScriptedEngine):
    """Hears no speech in anything."""

    def decode(self, requests):
        return [
            replace(h, no_speech_prob=0.9, logprobs=(-2.0,) * len(h.tokens), end_logprob=-2.0)
            for h in super().decode(requests)
        ]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fast", [("hello", 0.3)]),
        ("offline", [("hello", 0.3)]),
        ("offline", [("hello", 0.5)] * 4),  # longer than a hole within an utterance
    ],
)
def test_what_was_judged_silent_is_not_said_after_all(mode, words):
    transcriber = StreamTranscriber(Unsure(), options("en", mode=mode), detector=EnergyVad())
    events = transcriber.feed(utterance([(None, 0.7), *words, (None, 1.2)]))
    events += transcriber.finish()
    assert committed(events) == ""
    assert [e.reason for e in skipped(events)] == ["no_speech"]


def test_a_word_of_an_allowed_language_does_not_hide_a_stretch_of_another():
    transcriber, events = run(
        utterance([*ENGLISH, *FRENCH * 5, ("hello", 0.5), (None, 1.2)]), options("en", "es")
    )
    (gap,) = skipped(events)
    assert gap.end - gap.start > to_samples(4.0)
    assert transcriber.transcript().gaps == (
        Gap(start=gap.start, end=gap.end, reason="other_language"),
    )
    (written,) = transcript_to_dict(transcriber.transcript())["gaps"]
    assert written == {
        "start": to_seconds(gap.start),
        "end": to_seconds(gap.end),
        "reason": "other_language",
    }
    assert "hello world please yes" in committed(events)


def test_speech_without_words_is_left_out_and_only_speech():
    _, events = run(utterance([(None, 0.7), ("bonjour", 0.5), (None, 1.2)]), options("en"))
    ((started, ended),) = utterances(events)
    assert finals(events) == []
    assert skipped(events) == [AudioSkipped(start=started, end=ended, reason="no_words")]


@pytest.mark.parametrize(("lost", "marked"), [(1, False), (4, True)])
def test_a_segment_reaches_to_the_end_of_speech_unless_much_was_lost_there(lost, marked):
    script = [*ENGLISH, *[("bonjour", 0.5)] * lost, (None, 1.2)]
    _, events = run(utterance(script), options("en"))
    ((started, ended),) = utterances(events)
    (segment,) = finals(events)
    assert segment.start == started
    assert segment.end == (segment.words[-1].end if marked else ended)
    gap = AudioSkipped(start=segment.end, end=ended, reason="no_words")
    assert skipped(events) == ([gap] if marked else [])


def test_a_segment_reaches_to_where_a_language_that_is_not_allowed_began():
    script = [*ENGLISH, (None, 0.3), *FRENCH * 3, (None, 1.2)]
    _, events = run(utterance(script), options("en", "es"))
    segment, gap = pieces(events)
    assert segment.words[-1].end < segment.end == gap.start
    assert gap.reason == "other_language"


def test_a_long_pause_where_everything_counts_as_speech_is_in_no_segment():
    script = [*ENGLISH, (None, 40.0), ("hello", 0.5), ("world", 0.5), (None, 2.5)]
    _, events = run(utterance(script), options("en", vad=VadOptions(enabled=False)))
    before, *pause, after, end = pieces(events)
    assert [g.reason for g in skipped(events)] == ["no_words"] * len([*pause, end])
    assert (before.end, after.start) == (before.words[-1].end, after.words[0].start)
    assert all(a.end == b.start for a, b in itertools.pairwise(pieces(events)))


def test_a_pause_before_a_language_that_is_not_allowed_is_not_marked_as_that():
    script = [*ENGLISH, (None, 22.0), *FRENCH * 6, *ENGLISH[1:3], (None, 1.0)]
    samples = utterance(script)
    cuts = list(range(SAMPLE_RATE, len(samples), SAMPLE_RATE))
    _, events = run(samples, options("en", "es", vad=VadOptions(enabled=False)), cuts=cuts)
    (gap,) = [g for g in skipped(events) if g.reason == "other_language"]
    french = [w for w in word_times(script) if w.language == "fr"]
    assert abs(gap.start - french[0].start) < to_samples(0.5)
    assert all(a.end == b.start for a, b in itertools.pairwise(pieces(events)))


@pytest.mark.parametrize("count", [6, 30])
def test_what_has_been_said_is_not_marked_as_left_out(count):
    script = [*ENGLISH, (None, 30.0), *FRENCH * count, (None, 1.0)]
    opts = options("en", "es", vad=VadOptions(enabled=False))
    samples = utterance(script)
    cuts = range(SAMPLE_RATE, len(samples), SAMPLE_RATE)
    _, events = run(samples, opts, cuts=list(cuts))
    said, gaps = finals(events), skipped(events)
    assert said
    assert gaps
    assert all(g.end <= s.start or g.start >= s.end for s in said for g in gaps)
    assert all(a.end <= b.start for a, b in itertools.pairwise(gaps))


def test_lag_does_not_count_what_has_been_left_out():
    script = [*ENGLISH, (None, 30.0), *FRENCH * 30, (None, 1.0)]
    opts = options("en", "es", vad=VadOptions(enabled=False))
    samples = utterance(script)
    cuts = range(SAMPLE_RATE, len(samples), SAMPLE_RATE)
    _, events = run(samples, opts, cuts=list(cuts))
    assert max(e.samples for e in events if isinstance(e, Lag)) < to_samples(31.0)


def test_a_stream_that_ends_in_another_language_is_one_gap_to_its_last_sample():
    samples = utterance([(None, 0.5), *FRENCH * 4])[:-37]
    _, events = run(samples, options("en", "es", vad=VadOptions(enabled=False)))
    *_, gap = pieces(events)
    assert (gap.end, gap.reason) == (len(samples), "other_language")
    assert [g.reason for g in skipped(events)].count("no_words") == 0


def test_what_is_left_after_another_language_was_passed_over_has_its_own_reason():
    """A window full of French, then English, then speech nobody wrote down."""
    script = [(None, 0.7), *FRENCH * 5, *ENGLISH[1:], ("hello", 0.5), *[("bonjour", 0.5)] * 3]
    limits = {"max_context": 2.0, "hard_context": 4.0}
    _, events = run(utterance([*script, (None, 1.2)]), options("en", "es", **limits))
    assert finals(events)
    first, *_, last = [gap.reason for gap in skipped(events)]
    assert (first, last) == ("other_language", "no_words")


def test_words_in_a_second_choice_of_language_begin_a_segment_of_their_own(monkeypatch):
    propose = UtteranceDecoder._propose

    def spanish_at_the_end(self, session, end, *, final):
        said = propose(self, session, end, final=final)
        return replace(said, language="es") if final and said.words else said

    monkeypatch.setattr(UtteranceDecoder, "_propose", spanish_at_the_end)
    _, events = run(utterance([*ENGLISH, (None, 1.2)]), options("en", "es"))
    told = [
        (w.text.strip(), e.language) for e in events if isinstance(e, Committed) for w in e.words
    ]
    kept = [(w.text.strip(), s.language) for s in finals(events) for w in s.words]
    assert {language for _, language in kept} == {"en", "es"}
    assert kept == told
