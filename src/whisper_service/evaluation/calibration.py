"""Whether a confidence means what it says: reliability table and expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Words whose confidence lies in ``[low, high)`` (the last bin includes 1)."""

    low: float
    high: float
    words: int
    confidence: float  # mean
    right: float  # share of words that are right


def reliability(pairs: Sequence[tuple[float, bool]], *, bins: int = BINS) -> list[Bin]:
    """Equal-width bins of ``(confidence, right)``; empty bins are left out."""
    values = np.array([p for p, _ in pairs], np.float64)
    right = np.array([r for _, r in pairs], np.float64)
    index = np.minimum((values * bins).astype(int), bins - 1)
    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            words=int((index == i).sum()),
            confidence=float(values[index == i].mean()),
            right=float(right[index == i].mean()),
        )
        for i in range(bins)
        if (index == i).any()
    ]


def expected_error(pairs: Sequence[tuple[float, bool]], *, bins: int = BINS) -> float | None:
    """ECE (Guo et al. 2017): mean of ``|confidence - share right|`` weighted by words."""
    table = reliability(pairs, bins=bins)
    total = sum(b.words for b in table)
    if not total:
        return None
    return sum(b.words * abs(b.confidence - b.right) for b in table) / total
