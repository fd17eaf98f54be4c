"""Spans that are encoded alone are heard once, whoever asks for them."""

import numpy as np
import pytest

from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.lid import LidSpan
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import REMEMBERED, Encodings
from whisper_service.streaming.front_end import AlwaysSpeech, FrontEnd
from whisper_service.testing import ScriptedEngine, utterance


class Counting(ScriptedEngine):
    """Counts the windows it encodes."""

    encoded = 0

    def encode(self, mels):
        self.encoded += len(mels)
        return super().encode(mels)


def heard(*, cache=True):
    engine, metrics = Counting(), PerformanceMetrics()
    front = FrontEnd(n_mels=engine.n_mels, detector=AlwaysSpeech(), metrics=metrics)
    for _ in front.feed(utterance([("hello", 2.0), ("hola", 2.0)])):
        pass
    kept = EncoderCache() if cache else None
    return engine, Encodings(engine=engine, front=front, cache=kept, metrics=metrics, stream="a")


def spans(count, *, first=0):
    return [LidSpan(start=1600 * i, end=1600 * i + 3200) for i in range(first, first + count)]


def test_a_span_is_encoded_once_and_heard_the_same():
    engine, encodings = heard()
    before = encodings.own_frames(spans(3))
    again = encodings.own_frames(spans(4))
    assert engine.encoded == 4
    assert [f.start for f in again] == [s.start for s in spans(4)]
    for one, two in zip(before, again, strict=False):
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert encodings.own_frames([*spans(1), *spans(1)])[1].end == spans(1)[0].end


@pytest.mark.parametrize("cache", [True, False])
def test_what_is_remembered_is_bounded_and_needs_the_cache(cache):
    engine, encodings = heard(cache=cache)
    encodings.own_frames(spans(1))
    for first in range(1, 1 + REMEMBERED):
        encodings.own_frames(spans(1, first=first))
    assert len(encodings._alone) == (REMEMBERED if cache else 0)
    encodings.own_frames(spans(1, first=REMEMBERED))
    assert engine.encoded == REMEMBERED + (1 if cache else 2)
    encodings.own_frames(spans(1))  # long forgotten
    assert engine.encoded == REMEMBERED + (2 if cache else 3)
