"""Where exactly, inside a stretch of speech, the language changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from whisper_service.lid import LidFrame, LidSpan
from whisper_service.lid.smoother import span_error
from whisper_service.types import FRAME, SAMPLE_RATE, to_samples

BEFORE, BEHIND = to_samples(0.7), to_samples(0.4)
"""Around the crossing, where a change point may lie. On the dev split nine in ten changes without
a pause lie between 0.4 s before it and 0.3 s behind (``benchmarks/change_points.py``)."""

LOOK = to_samples(0.4)  # length of a span that is scored
SHORTEST = to_samples(0.3)  # of new speech behind the last candidate
GRID = to_samples(0.05)  # between two candidates
STRIDE = to_samples(0.1)  # between two overlapping spans
SNAP = to_samples(0.1)  # a dip of speech this close to the best candidate is taken instead
DISTANCE = 0.2  # nats for each second between a candidate and the crossing: decides between equals


def candidates(*, crossing: int, floor: int, end: int) -> list[int]:
    """Possible change points on a grid around ``crossing``, at least one, none before ``floor``."""
    first, last = max(floor, crossing - BEFORE), min(end - SHORTEST, crossing + BEHIND)
    grid = range(-(-first // GRID) * GRID, last + 1, GRID)
    return list(grid) or [max(floor, min(crossing, end))]


def change_point(
    *,
    listen: Callable[[Sequence[LidSpan]], Sequence[LidFrame]],
    columns: tuple[int, int],
    crossing: int,
    points: Sequence[int],
    bounds: tuple[int, int],
) -> int:
    """The candidate that explains best which language each short span near it is in.

    A candidate's score is the log-evidence for the old language in all spans before it and for the
    new one in all spans behind it; a span that holds the candidate counts for both by its shares.
    Points are 90 ms off at the median (``benchmarks/change_points.py --count 40``, dev split).

    ``listen`` gives the language probabilities of spans, all in one call; ``columns`` are those
    of the old and the new language; ``bounds`` (samples) hold all spans. Returns a sample.
    """
    first, end = bounds
    from_, to = max(first, points[0] - LOOK), min(end, points[-1] + LOOK)
    from_ = -(-from_ // STRIDE) * STRIDE  # where a suspicion had its newest parts heard already
    spans = [LidSpan(start=s, end=s + LOOK) for s in range(from_, to - LOOK + 1, STRIDE)]
    evidence = _evidence(listen(spans), columns)
    return max(
        points,
        key=lambda p: (
            _explained(evidence, spans, p) * STRIDE / LOOK
            - DISTANCE * abs(p - crossing) / SAMPLE_RATE
        ),
    )


def snapped(point: int, places: Iterable[int], *, floor: int) -> int:
    """The place (a dip of speech) nearest to ``point``, or ``point`` if none is near.

    Gaps between the words that the old language's decoder hears are no help: it writes words over
    the new language too (56 ms off at the median without them, 66 and 80 with).
    """
    near = [p for p in places if abs(p - point) <= SNAP and p >= floor]
    return min(near, key=lambda p: abs(p - point)) if near else point


def dips_of(probabilities: Iterable[tuple[int, float]], *, below: float) -> list[int]:
    """Centres of the local minima of speech probability below ``below``, in samples."""
    points = list(probabilities)
    return [
        at // FRAME * FRAME
        for (_, left), (at, here), (_, right) in zip(points, points[1:], points[2:], strict=False)
        if here < below and here <= left and here < right
    ]


def _evidence(frames: Sequence[LidFrame], columns: tuple[int, int]) -> NDArray[np.float64]:
    """Log-evidence ``[frames, 2]`` for the old and the new language, capped by span length."""
    rows = [
        np.log(f.probabilities[list(columns)] + span_error((f.end - f.start) / SAMPLE_RATE))
        for f in frames
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def _explained(evidence: NDArray[np.float64], spans: Sequence[LidSpan], point: int) -> float:
    """Evidence for the old language before ``point`` and the new one behind it, by share."""
    starts = np.array([s.start for s in spans], np.float64)
    old = np.clip((point - starts) / LOOK, 0.0, 1.0)
    return float(old @ evidence[:, 0] + (1.0 - old) @ evidence[:, 1])
