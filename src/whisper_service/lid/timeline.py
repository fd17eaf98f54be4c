"""The newest LID frames, for reports and for finding where another language began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whisper_service.types import FloatArray, to_samples

FRAMES = 6000
"""Frames kept: ten minutes of speech at 10 Hz, 0.2 MB with six columns, 2.4 MB with a hundred."""

MOSTLY = 0.5
"""Share of a frame beyond which it is in none of the allowed languages."""

DIP = to_samples(1.0)
"""A name or a word that sounds like an allowed language ends no stretch of another one."""


class LanguageTimeline:
    """``(centre in samples, probabilities [allowed languages and other])`` of each frame.

    Kept in two arrays that are written in a circle: a tuple and an array for each frame, dropped
    after ten minutes, would leave holes in Python's memory that nothing else fits into.
    """

    def __init__(self) -> None:
        self.clear()

    def __iter__(self) -> Iterator[tuple[int, FloatArray]]:
        """Oldest first; the probabilities are copies."""
        for i in range(self._added - len(self), self._added):
            yield int(self._centres[i % FRAMES]), self._rows[i % FRAMES].copy()

    def __len__(self) -> int:
        return min(self._added, FRAMES)

    def add(self, centre: int, probabilities: NDArray[np.floating[Any]]) -> None:
        """Note a frame; all frames since :meth:`clear` must have as many probabilities."""
        if not self._added:
            self._rows = np.zeros((FRAMES, len(probabilities)), np.float32)
        self._centres[self._added % FRAMES] = centre
        self._rows[self._added % FRAMES] = probabilities
        self._added += 1

    def clear(self) -> None:
        """Forget all frames. Pages of the arrays are taken when frames come, not before."""
        self._added = 0
        self._centres = np.zeros(FRAMES, np.int64)
        self._rows = np.zeros((FRAMES, 0), np.float32)

    def _newest_first(self) -> Iterator[tuple[int, FloatArray]]:
        for i in range(self._added - 1, self._added - 1 - len(self), -1):
            yield int(self._centres[i % FRAMES]), self._rows[i % FRAMES]

    def other_since(self, at: int) -> int | None:
        """Centre of the first of the newest frames, none before ``at``, in no allowed language.

        Frames in an allowed one over less than :data:`DIP` end no such stretch. ``None`` if the
        newest frames are in an allowed one for longer.
        """
        since = newest = None
        for centre, probabilities in self._newest_first():
            newest = centre if newest is None else newest
            if centre < at or newest - centre >= DIP:
                break
            if probabilities[-1] > MOSTLY:
                since = newest = centre
        return since

    def least(self, column: int, start: int, end: int) -> float:
        """Least probability of ``column`` in frames centred in ``[start, end]``; without any, 0."""
        found = None
        for centre, probabilities in self._newest_first():
            if centre < start:
                break
            if centre <= end:
                found = min(1.0 if found is None else found, float(probabilities[column]))
        return 0.0 if found is None else found
