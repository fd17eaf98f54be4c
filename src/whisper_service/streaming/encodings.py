"""Encoded windows of a stream, shared by everything that needs them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from whisper_service.engine.base import Encoded, Engine, Span
from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.lid import LidFrame, LidSpan
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.front_end import FrontEnd
from whisper_service.types import FRAME, HOP, FloatArray, to_samples

FULL_CONTEXT = to_samples(30.0)


@dataclass(frozen=True, slots=True)
class Window:
    """An encoded stretch ``[start, end)`` of the stream, in samples."""

    start: int
    end: int
    encoded: Encoded

    def frame(self, at: int) -> int:
        """The encoder frame that sample ``at`` lies in, within the content."""
        return min(max(0, (at - self.start) // FRAME), self.encoded.frames)

    def sample(self, frame: int) -> int:
        """The first sample of encoder frame ``frame``, not past the window's end."""
        return min(self.start + frame * FRAME, self.end)


class Encodings:
    """Encodes windows, at most once each while the cache holds them.

    Hits are counted per need, as ``design 4`` has it: one for each LID frame, decode, re-decode
    and final.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        front: FrontEnd,
        cache: EncoderCache | None,
        metrics: PerformanceMetrics,
        stream: Hashable,
    ) -> None:
        self._engine = engine
        self._front = front
        self._cache = cache
        self._metrics = metrics
        self._stream = stream
        self.passes = 0
        self.encoded_samples = 0

    def window(self, start: int, end: int, *, needs: int = 1, stage: str) -> Window:
        """The encoding of ``[start, end)``, serving ``needs`` needs; timed as ``stage``."""
        if self._cache is not None:
            cached = self._cache.get_span(self._stream, start, end, needs=needs)
            if cached is not None:
                return Window(start, end, cached)
        with self._metrics.measure("whisper.buffer_read"):
            mel = self._front.mel(start, end)
        encoded = self._encode(mel, stage=stage)
        if self._cache is not None:
            self._cache.put_span(encoded, self._stream, first=start, last=end)
        return Window(start, end, encoded)

    def padded(self, start: int, end: int) -> Window:
        """The same stretch with silence features up to 30 s, for a second opinion."""
        mel = self._front.mel(start, end)
        floor = max(float(mel.max()) - 2.0, -1.5)  # Whisper's clamp, or log-mel of zeros
        full = np.full((mel.shape[0], FULL_CONTEXT // HOP), floor, np.float32)
        full[:, : mel.shape[1]] = mel
        return Window(start, end, self._encode(full, stage="whisper.insert_audio"))

    def shared_frames(self, window: Window, spans: Sequence[LidSpan]) -> list[LidFrame]:
        """Language probabilities of ``spans`` (samples), read off ``window`` in one call."""
        return self._probabilities(
            spans, [Span(window.encoded, *_frames(window, s.start, s.end)) for s in spans]
        )

    def own_frames(self, spans: Sequence[LidSpan], *, needs: int | None = None) -> list[LidFrame]:
        """Language probabilities of ``spans`` (samples), each encoded alone, all in one batch.

        ``needs``: how many of them are LID frames (all by default); others only look closer.
        """
        if self._cache is not None:
            self._cache.count_misses(len(spans) if needs is None else needs)
        if not spans:
            return []
        with self._metrics.measure("whisper.buffer_read"):
            mels = [self._front.mel(s.start // HOP * HOP, s.end // HOP * HOP) for s in spans]
        self.passes += 1
        self.encoded_samples += sum(mel.shape[1] for mel in mels) * HOP
        with self._metrics.measure("lid.encoder"):
            encoded = self._engine.encode(mels)
        return self._probabilities(spans, [Span(e, 0, e.frames) for e in encoded])

    def _probabilities(self, spans: Sequence[LidSpan], heard: Sequence[Span]) -> list[LidFrame]:
        with self._metrics.measure("lid.detect"):
            probabilities = self._engine.language_probabilities(heard)
        return [
            LidFrame(start=s.start, end=s.end, probabilities=p)
            for s, p in zip(spans, probabilities, strict=True)
        ]

    def _encode(self, mel: FloatArray, *, stage: str) -> Encoded:
        self.passes += 1
        self.encoded_samples += mel.shape[1] * HOP
        with self._metrics.measure(stage):
            return self._engine.encode([mel])[0]


def _frames(window: Window, start: int, end: int) -> tuple[int, int]:
    first = min(window.frame(start), window.encoded.frames - 1)
    return first, max(first + 1, window.frame(end))
