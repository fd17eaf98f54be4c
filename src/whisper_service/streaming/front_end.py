"""From samples to log-mel frames and speech probabilities, on one sample clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from whisper_service.audio.pcm import validate
from whisper_service.audio.ring_buffer import RingBuffer
from whisper_service.features import LogMelStream
from whisper_service.metrics import PerformanceMetrics
from whisper_service.types import FRAME, HOP, SAMPLE_RATE, FloatArray

VAD_WINDOW = 512  # samples per speech probability, fixed by Silero at 16 kHz
RING_SECONDS = 10  # s of audio kept for whoever reads samples rather than features
MEL_SECONDS = 40  # s of features kept: a 30 s window, its pre-roll and one piece
PIECE = SAMPLE_RATE // 2  # samples taken in at once, so that no ring can overflow
MEL_LOOKAHEAD = 40  # samples past a window's end that its last mel frame needs


class SpeechDetector(Protocol):
    """Speech probabilities, one per 512 samples, whatever the chunks."""

    def feed(self, samples: FloatArray) -> Sequence[float]: ...

    def finish(self) -> Sequence[float]: ...


class AlwaysSpeech:
    """Stands in when speech detection is switched off: everything is speech."""

    def __init__(self) -> None:
        self._left = 0

    def feed(self, samples: FloatArray) -> list[float]:
        windows, self._left = divmod(self._left + len(samples), VAD_WINDOW)
        return [1.0] * windows

    def finish(self) -> list[float]:
        return [1.0] if self._left else []


class FrontEnd:
    """Takes chunks of any length; gives speech probabilities and mel windows."""

    def __init__(self, *, n_mels: int, detector: SpeechDetector, metrics: PerformanceMetrics):
        self.ring = RingBuffer(RING_SECONDS * SAMPLE_RATE)
        self.invalid_samples = 0
        self._mel = LogMelStream(n_mels, MEL_SECONDS)
        self._detector = detector
        self._metrics = metrics
        self._finished = False

    @property
    def received(self) -> int:
        """Samples taken in since the stream began."""
        return self.ring.end

    def feed(self, chunk: FloatArray) -> Iterator[tuple[int, Sequence[float]]]:
        """Take in ``chunk`` piece by piece; yield ``(samples taken, new speech probabilities)``.

        The caller handles each piece's probabilities before the next piece is taken, so what
        it may still want to read is never overwritten.
        """
        samples, bad = validate(chunk)
        self.invalid_samples += bad
        for first in range(0, len(samples), PIECE):
            piece = samples[first : first + PIECE]
            with self._metrics.measure("vad.buffer_append"):
                self.ring.append(piece)
            self._mel.feed(piece)
            with self._metrics.measure("vad.infer"):
                probabilities = self._detector.feed(piece)
            yield len(piece), probabilities

    def finish(self) -> Sequence[float]:
        """The last, zero-padded window's probability, if samples are left over."""
        self._finished = True
        self._mel.finish()
        return self._detector.finish()

    def ready_end(self, now: int) -> int:
        """The last window end (a multiple of 320) whose features need no sample after ``now``."""
        if self._finished and now >= self.received:
            return self.received // HOP * HOP
        return max(0, (now - MEL_LOOKAHEAD) // FRAME * FRAME)

    def mel(self, start: int, end: int) -> FloatArray:
        """Features ``[n_mels, frames]`` of the samples ``[start, end)``, multiples of 160."""
        return np.ascontiguousarray(self._mel.window(start // HOP, end // HOP))
