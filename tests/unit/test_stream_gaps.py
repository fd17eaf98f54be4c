"""Stretches that are marked instead of said: no speech, languages that are not allowed."""

import itertools
from dataclasses import replace

import pytest

from streams import committed, finals, options, run
from whisper_service.config import VadOptions
from whisper_service.events import AudioSkipped, Lag
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance
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


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_what_was_judged_silent_is_not_said_after_all(mode):
    transcriber = StreamTranscriber(Unsure(), options("en", mode=mode), detector=EnergyVad())
    events = transcriber.feed(utterance([(None, 0.7), ("hello", 0.3), (None, 1.2)]))
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
