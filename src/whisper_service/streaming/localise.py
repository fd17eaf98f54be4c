"""Where exactly, inside a stretch of speech, the language changed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from whisper_service.engine.base import Engine, Span
from whisper_service.streaming.encodings import Window
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
    engine: Engine,
    window: Window,
    old: str,
    new: str,
    points: list[int],
    floor: int,
) -> int:
    """The candidate with the best ``log P(old | before) + log P(new | after)``.

    ``points`` are samples inside ``window``; spans are read off the shared encoding, all in one
    call. Returns a sample.
    """
    columns = list(engine.languages)
    spans = []
    for point in points:
        spans.append(_span(window, max(floor, point - SIDE), point))
        spans.append(_span(window, point, min(window.end, point + SIDE)))
    probabilities = engine.language_probabilities(spans)
    before = np.log(probabilities[0::2, columns.index(old)] + 1e-6)
    after = np.log(probabilities[1::2, columns.index(new)] + 1e-6)
    before[[point - floor < SHORTEST for point in points]] = 0.0  # nothing to contradict it
    return points[int(np.argmax(before + after))]


def _span(window: Window, start: int, end: int) -> Span:
    first = min(window.frame(start), window.encoded.frames - 1)
    return Span(window.encoded, first, max(first + 1, window.frame(end)))


def dips_of(probabilities: Iterable[tuple[int, float]], *, below: float) -> list[int]:
    """Centres of the local minima of speech probability below ``below``, in samples."""
    points = list(probabilities)
    return [
        at // FRAME * FRAME
        for (_, left), (at, here), (_, right) in zip(points, points[1:], points[2:], strict=False)
        if here < below and here <= left and here < right
    ]
