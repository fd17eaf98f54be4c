"""Spans that are encoded alone."""

import numpy as np
import pytest

from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.lid import LidSpan
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Encodings
from whisper_service.streaming.front_end import AlwaysSpeech, FrontEnd
from whisper_service.testing import ScriptedEngine, utterance


class Counting(ScriptedEngine):
    """Counts the windows it encodes."""

    encoded = 0

    def encode(self, mels):
        self.encoded += len(mels)
        return super().encode(mels)


def heard(*, cache=None):
    engine, metrics = Counting(), PerformanceMetrics()
    front = FrontEnd(n_mels=engine.n_mels, detector=AlwaysSpeech(), metrics=metrics)
    for _ in front.feed(utterance([("hello", 2.0), ("hola", 2.0)])):
        pass
    return engine, Encodings(engine=engine, front=front, cache=cache, metrics=metrics, stream="a")


def spans(count, *, first=0):
    return [LidSpan(start=1600 * i, end=1600 * i + 3200) for i in range(first, first + count)]


def test_spans_heard_alone_are_one_pass_and_sound_as_each_by_itself():
    engine, encodings = heard()
    together = encodings.own_frames(spans(3))
    assert (engine.encoded, encodings.passes) == (3, 1)
    assert [(f.start, f.end) for f in together] == [(s.start, s.end) for s in spans(3)]
    for frame, span in zip(together, spans(3), strict=True):
        (single,) = encodings.own_frames([span])
        np.testing.assert_array_equal(frame.probabilities, single.probabilities)


def test_no_spans_are_no_pass():
    engine, encodings = heard()
    assert encodings.own_frames([]) == []
    assert (engine.encoded, encodings.passes) == (0, 0)


@pytest.mark.parametrize(("needs", "missed"), [(None, 3), (1, 1), (0, 0)])
def test_only_what_is_needed_counts_as_missed_by_the_cache(needs, missed):
    cache = EncoderCache()
    _, encodings = heard(cache=cache)
    encodings.own_frames(spans(3), needs=needs)
    assert cache.get_statistics()["misses"] == missed
