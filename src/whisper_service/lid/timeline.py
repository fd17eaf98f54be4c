"""The newest LID frames, for reports and for finding where another language began."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from whisper_service.types import FloatArray

FRAMES = 6000
"""Frames kept: ten minutes of speech at 10 Hz, about 1 MB."""

MOSTLY = 0.5
"""Share of a frame beyond which it is in none of the allowed languages."""


class LanguageTimeline:
    """``(centre in samples, probabilities [allowed languages and other])`` of each frame."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, FloatArray]] = deque(maxlen=FRAMES)

    def __iter__(self) -> Iterator[tuple[int, FloatArray]]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, centre: int, probabilities: FloatArray) -> None:
        self._frames.append((centre, probabilities))

    def clear(self) -> None:
        self._frames.clear()

    def other_since(self, at: int) -> int | None:
        """Centre of the first of the newest frames, none before ``at``, in no allowed language.

        ``None`` if the newest frame is in an allowed one.
        """
        since = None
        for centre, probabilities in reversed(self._frames):
            if centre < at or probabilities[-1] <= MOSTLY:
                break
            since = centre
        return since

    def least(self, column: int, start: int, end: int) -> float:
        """Least probability of ``column`` in frames centred in ``[start, end]``; without any, 0."""
        found = None
        for centre, probabilities in reversed(self._frames):
            if centre < start:
                break
            if centre <= end:
                found = min(1.0 if found is None else found, float(probabilities[column]))
        return 0.0 if found is None else found
