"""A final text that repeats itself is decoded once more, at full context."""

from dataclasses import replace

import numpy as np
import pytest

from streams import committed, options
from whisper_service.features import log_mel
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import FULL_CONTEXT, Encodings
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, silence, tone, utterance
from whisper_service.types import FRAME, HOP

SAID = [("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5)]
SCRIPT = [(None, 0.7), *SAID, (None, 1.2)]
FULL_FRAMES = FULL_CONTEXT // FRAME


def babble(first, second, count=48):
    """Two words in the Thue-Morse order: nothing ever comes three times, but gzip sees through."""
    return tuple((first, second)[index.bit_count() % 2] for index in range(count))


class Babbling(ScriptedEngine):
    """Babbles in ``short`` windows, and in ``full`` ones (words to babble; none: it hears)."""

    def __init__(self, short=None, full=None):
        super().__init__()
        self.short, self.full = short, full
        self.requests, self.full_mels = [], []

    def encode(self, mels):
        self.full_mels += [mel for mel in mels if mel.shape[1] == FULL_CONTEXT // HOP]
        return super().encode(mels)

    def decode(self, requests):
        self.requests += requests
        heard = super().decode(requests)
        return [self._said(h, r) for h, r in zip(heard, requests, strict=True)]

    def _said(self, hypothesis, request):
        words = self.full if request.encoded.frames == FULL_FRAMES else self.short
        if words is None:
            return hypothesis
        tokens = tuple(self.tokenizer.encode("".join(f" {w}" for w in babble(*words))))
        spread = np.linspace(20, 90, len(tokens)).astype(int)
        attention = np.zeros((len(tokens), request.encoded.frames), np.float32)
        attention[np.arange(len(tokens)), spread] = 1.0
        return replace(
            hypothesis,
            tokens=tokens,
            logprobs=(-0.1,) * len(tokens),
            frames=tuple(spread.tolist()),
            attention=attention,
        )


def heard(engine):
    transcriber = StreamTranscriber(engine, options("en", mode="offline"), detector=EnergyVad())
    return committed(transcriber.feed(utterance(SCRIPT)) + transcriber.finish()).split()


def full(engine):
    return [r for r in engine.requests if r.encoded.frames == FULL_FRAMES]


def test_a_text_that_repeats_itself_is_decoded_again_at_full_context():
    engine = Babbling(short=("hello", "world"))
    assert heard(engine) == [word for word, _ in SAID]
    assert len(full(engine)) == 1


def test_the_second_opinion_hears_no_further_than_the_first():
    engine = Babbling(short=("hello", "world"))
    heard(engine)
    (request,) = full(engine)
    first = engine.requests[0]
    assert request.span == (0, first.encoded.frames)
    assert request.max_new_tokens == first.max_new_tokens


def test_a_second_text_that_repeats_itself_too_changes_nothing():
    engine = Babbling(short=("hello", "world"), full=("please", "yes"))
    assert set(heard(engine)) == {"hello", "world"}
    assert len(full(engine)) == 1


def test_a_text_that_does_not_repeat_itself_is_decoded_once():
    engine = Babbling(full=("please", "yes"))
    assert heard(engine) == [word for word, _ in SAID]
    assert full(engine) == []


@pytest.mark.parametrize("loudness", [1.0, 1e-5])
def test_the_padding_is_what_silence_would_be(loudness):
    seconds = 2
    samples = loudness * np.concatenate([tone("hello", seconds - 0.1), silence(0.1)])
    whole = log_mel(np.concatenate([samples, silence(30 - seconds)]).astype(np.float32))
    content = log_mel(samples.astype(np.float32))

    class Front:
        def mel(self, start, end):
            return content[:, start // HOP : end // HOP]

    engine = Babbling()
    encodings = Encodings(
        engine=engine, front=Front(), cache=None, metrics=PerformanceMetrics(), stream=0
    )
    window = encodings.padded(0, content.shape[1] * HOP)
    (mel,) = engine.full_mels
    assert (window.start, window.end) == (0, len(samples))
    np.testing.assert_allclose(mel, whole, atol=1e-4)
