"""Where exactly, inside a stretch of speech, the language changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whisper_service.lid import LidFrame, LidSpan
from whisper_service.lid.smoother import span_error
from whisper_service.types import FRAME, SAMPLE_RATE, to_samples

BEFORE, BEHIND = to_samples(0.7), to_samples(0.4)
"""Around the crossing, where a change point may lie. On the dev split nine in ten changes without
a pause lie between 0.4 s before it and 0.3 s behind (``benchmarks/change_points.py``)."""

LOOK = to_samples(0.2)  # length of a span that is scored
SHORTEST = to_samples(0.3)  # of new speech behind the last candidate
GRID = to_samples(0.05)  # between two candidates, and between two overlapping spans
SNAP = to_samples(0.1)  # a dip of speech this close to the best candidate is taken instead
DISTANCE = 1.0  # nats for each second between a candidate and the crossing: decides between equals


def candidates(*, crossing: int, floor: int, end: int) -> list[int]:
    """Possible change points on a grid around ``crossing``, at least one, none before ``floor``."""
    first, last = max(floor, crossing - BEFORE), min(end - SHORTEST, crossing + BEHIND)
    grid = range(-(-first // GRID) * GRID, last + 1, GRID)
    return list(grid) or [max(floor, min(crossing, end))]


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A sample at which the language changed, and what the sound says of other places near it."""

    at: int
    starts: NDArray[np.float64]  # samples; of the spans that were heard
    evidence: NDArray[np.float64]  # [spans, 2], log: for the old and the new language

    @classmethod
    def given(cls, at: int) -> ChangePoint:
        """One that is not to be looked for: no other place will do."""
        return cls(at, np.zeros(0), np.zeros((0, 2)))

    def explained(self, at: int) -> float:
        """Nats for the old language before ``at`` and the new one behind it, by share of spans."""
        old = np.clip((at - self.starts) / LOOK, 0.0, 1.0)
        return float(old @ self.evidence[:, 0] + (1.0 - old) @ self.evidence[:, 1]) * GRID / LOOK

    def against(self, at: int) -> float:
        """Nats by which the sound speaks against a change at ``at`` (samples) instead."""
        return self.explained(self.at) - self.explained(at) if len(self.starts) else math.inf

    @property
    def back(self) -> float:
        """Nats by which the sound says that the old language goes on at the end, 0 or more.

        Over the place behind the change from where on that is most so.
        """
        behind = self.evidence[self.starts >= self.at]
        newest = np.cumsum((behind[:, 0] - behind[:, 1])[::-1]) * GRID / LOOK
        return float(newest.max(initial=0.0))


def change_point(
    *,
    listen: Callable[[Sequence[LidSpan]], Sequence[LidFrame]],
    columns: tuple[int, int],
    crossing: int,
    points: Sequence[int],
    bounds: tuple[int, int],
) -> ChangePoint:
    """The candidate that explains best which language each short span near it is in.

    A candidate's score is the log-evidence for the old language in all spans before it and for the
    new one in all spans behind it; a span that holds the candidate counts for both by its shares.
    Spans are read off an encoding that has heard both sides: it draws the border between words.
    Spans of 0.4 s, each encoded alone, are 55 ms off at the median where these are 34
    (``benchmarks/change_points.py --count 60``, dev split).

    ``listen`` gives the language probabilities of spans, all in one call; ``columns`` are those
    of the old and the new language; ``bounds`` (samples) hold all spans, and the last of them ends
    where :attr:`ChangePoint.back` looks to.
    """
    first, end = bounds
    from_ = max(first, points[0] - LOOK)
    spans = [LidSpan(start=s, end=s + LOOK) for s in range(from_, end - LOOK + 1, GRID)]
    starts = np.array([s.start for s in spans], np.float64)
    heard = ChangePoint(crossing, starts, _evidence(listen(spans), columns))
    best = max(
        points,
        key=lambda p: heard.explained(p) - DISTANCE * abs(p - crossing) / SAMPLE_RATE,
    )
    return replace(heard, at=best)


def snapped(point: ChangePoint, places: Iterable[int], *, floor: int) -> ChangePoint:
    """The place (a dip of speech) nearest to ``point``, or ``point`` if none is near.

    Gaps between the words that the old language's decoder hears are no help: it writes words over
    the new language too.
    """
    near = [p for p in places if abs(p - point.at) <= SNAP and p >= floor]
    return replace(point, at=min(near, key=lambda p: abs(p - point.at))) if near else point


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
