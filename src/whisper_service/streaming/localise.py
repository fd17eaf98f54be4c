"""Where exactly, inside a stretch of speech, the language changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from whisper_service.lid import LidFrame, LidSpan
from whisper_service.types import FRAME, to_samples

RADIUS = to_samples(1.5)  # how far from the crossing a change point is looked for
SIDE = to_samples(0.8)  # length of the span scored on each side of a candidate
SHORTEST = to_samples(0.2)  # a shorter side says nothing
GRID = to_samples(0.1)  # candidates when no gap and no dip lies near


def candidates(
    *, crossing: int, floor: int, end: int, gaps: Iterable[int], dips: Iterable[int]
) -> list[int]:
    """Possible change points near ``crossing``: word gaps, dips of speech, else a 0.1 s grid."""
    first, last = max(floor, crossing - RADIUS), min(end - SHORTEST, crossing + RADIUS)
    found = sorted({c for c in (*gaps, *dips) if first <= c <= last})
    if found:
        return found
    grid = range(first // GRID * GRID + GRID, last + 1, GRID)
    return list(grid) or [max(floor, min(crossing, end))]


def change_point(
    *,
    listen: Callable[[Sequence[LidSpan]], Sequence[LidFrame]],
    columns: tuple[int, int],
    points: Sequence[int],
    bounds: tuple[int, int],
) -> int:
    """The candidate with the best ``log P(old | before) + log P(new | after)``.

    ``listen`` gives the language probabilities of spans, all in one call; ``columns`` are those
    of the old and the new language; ``bounds`` (samples) hold both sides. Returns a sample.
    """
    first, end = bounds
    before = [LidSpan(start=max(first, point - SIDE), end=point) for point in points]
    after = [LidSpan(start=point, end=min(end, point + SIDE)) for point in points]
    old, new = columns
    heard = iter(listen([s for s in (*before, *after) if s.end - s.start >= SHORTEST]))
    logs = [
        [
            float(np.log(next(heard).probabilities[column] + 1e-6))
            if span.end - span.start >= SHORTEST
            else 0.0  # too short to contradict anything
            for span in spans
        ]
        for spans, column in ((before, old), (after, new))
    ]
    scores = [left + right for left, right in zip(*logs, strict=True)]
    return points[int(np.argmax(scores))]


def dips_of(probabilities: Iterable[tuple[int, float]], *, below: float) -> list[int]:
    """Centres of the local minima of speech probability below ``below``, in samples."""
    points = list(probabilities)
    return [
        at // FRAME * FRAME
        for (_, left), (at, here), (_, right) in zip(points, points[1:], points[2:], strict=False)
        if here < below and here <= left and here < right
    ]
