"""What a final decode left out is decoded once more, from its last word on."""

from dataclasses import replace

import pytest

from streams import committed, finals, options
from whisper_service.config import DecodeOptions, VadOptions
from whisper_service.events import AudioSkipped
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance
from whisper_service.types import to_samples

SPOKEN = [("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5)]
PAUSE = (None, 1.2)


class Breathless(ScriptedEngine):
    """Writes ``breath`` words of a window at most, then no more, and counts its decodes."""

    tasks = ("transcribe", "translate")

    def __init__(self, breath=3, silent=0.1):
        super().__init__()
        self.breath, self.silent, self.decodes = breath, silent, 0

    def decode(self, requests):
        self.decodes += 1
        return [self.cut(h) for h in super().decode(requests)]

    def cut(self, said):
        kept = {
            name: getattr(said, name)[: self.breath]
            for name in ("tokens", "logprobs", "frames", "attention")
        }
        if not said.tokens:
            return replace(said, no_speech_prob=self.silent, end_logprob=-2.0)
        return replace(said, **kept)


def offline(engine, script, *, mode="offline", **more):
    stream = StreamTranscriber(engine, options("en", mode=mode, **more), detector=EnergyVad())
    return stream.feed(utterance([(None, 0.7), *script, PAUSE])) + stream.finish()


def gaps(events):
    return [e.reason for e in events if isinstance(e, AudioSkipped)]


def test_what_a_decoder_wrote_nothing_of_is_decoded_once_more():
    said = ["hello", "world", "please", "yes", "please", "hello", "yes", "world", "hello"]
    events = offline(Breathless(), [(word, 0.5) for word in said])
    assert committed(events).split() == said
    assert gaps(events) == []


@pytest.mark.parametrize(("unknown", "decodes"), [(1, 1), (4, 2)])
def test_speech_without_words_behind_words_is_decoded_once_more_and_no_oftener(unknown, decodes):
    engine = Breathless()
    events = offline(engine, [*SPOKEN[:2], *[("bonjour", 0.5)] * unknown])
    assert engine.decodes == decodes
    assert gaps(events) == ["no_words"] * (decodes - 1)


def test_where_nothing_was_written_nothing_is_taken_up():
    engine = Breathless()
    assert gaps(offline(engine, [("bonjour", 0.5)] * 4)) == ["no_words"]
    assert engine.decodes == 1


def test_a_silent_second_decode_says_nothing_of_the_words_before_it():
    events = offline(Breathless(silent=0.9), [*SPOKEN[:2], *[("bonjour", 0.5)] * 4])
    (segment,) = finals(events)
    assert segment.text.split() == ["hello", "world"]
    assert segment.no_speech_prob < 0.5
    assert gaps(events) == ["no_words"]


def test_a_translation_is_not_taken_up():
    engine = Breathless()
    offline(engine, SPOKEN * 3, decode=DecodeOptions(task="translate"))
    assert engine.decodes == 1


def test_without_speech_detection_silence_is_not_decoded_once_more():
    engine = Breathless()
    opts = options("en", mode="offline", vad=VadOptions(enabled=False))
    stream = StreamTranscriber(engine, opts)
    stream.feed(utterance([(None, 0.7), *SPOKEN[:2], (None, 4.0)]))
    stream.finish()
    assert engine.decodes == 1


class Looping(Breathless):
    """Says the same word of every window, three times."""

    def cut(self, said):
        if not said.tokens:
            return said
        first = {name: getattr(said, name)[:1] * 3 for name in ("tokens", "logprobs", "frames")}
        return replace(said, attention=said.attention[[0, 0, 0]], **first)


def test_a_loop_is_not_said_again_by_every_decode():
    events = offline(Looping(), [("hello", 0.5)] * 16)
    assert 0 < len(committed(events).split()) <= 6


def test_a_session_that_begins_where_it_would_be_taken_up_is_not():
    engine = Breathless()
    events = offline(engine, [*SPOKEN[:2], *[("bonjour", 0.5)] * 8])
    assert engine.decodes == 2  # the second begins where a third would
    (skipped,) = [e for e in events if isinstance(e, AudioSkipped)]
    assert skipped.end - skipped.start > to_samples(3.0)
