"""A mergeable summary of any number of durations, for percentiles of a whole run.

DDSketch: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch
with Relative-Error Guarantees", PVLDB 12(12), 2019, https://arxiv.org/abs/1908.10693.
Values are counted in bins whose bounds differ by a factor of at most ``(1 + a) / (1 - a)``, so the
bin's representative is within the relative error ``a`` of every value in it. Of the mappings that
do this, the one of DataDog's ``BitwiseLinearlyInterpolatedMapping`` (sketches-java) is used: the
exponent and the first bits of the mantissa *are* the bin's index, and no logarithm is taken.

The Python package ``ddsketch`` adds one value at a time; here a batch is binned by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whisper_service.errors import InvalidOptionError

BATCH = 1024  # values waiting before they are binned together
MANTISSA = 52  # bits of a float64
SMALLEST = 1e-9  # values up to this one count as zero; in ms it is far below any clock tick


class QuantileSketch:
    """Quantiles of all values ever added, each within ``relative_error`` of an exact one.

    Memory is bounded by ``max_bins``: beyond it the lowest bins are joined, which costs accuracy
    at the low end only. Not thread-safe.
    """

    def __init__(self, relative_error: float = 0.01, *, max_bins: int = 2048) -> None:
        if not 0.0 < relative_error < 1.0:
            raise InvalidOptionError(
                f"relative_error is {relative_error}; give a number between 0 and 1, such as 0.01"
            )
        if max_bins < 1:
            raise InvalidOptionError(f"max_bins is {max_bins}; give at least 1")
        self.relative_error = relative_error
        self.max_bins = max_bins
        widest = 2.0 * relative_error / (1.0 - relative_error)  # of a bin, relative to its start
        self._shift = MANTISSA - max(0, math.ceil(-math.log2(widest)))
        self._bins: dict[int, int] = {}
        self._zeros = 0
        self._waiting: list[NDArray[np.float64]] = []
        self._waiting_count = 0

    def __len__(self) -> int:
        """Values added so far."""
        return self._zeros + sum(self._bins.values()) + self._waiting_count

    @property
    def bins(self) -> int:
        """Bins in use, at most ``max_bins``."""
        self._fold()
        return len(self._bins)

    def add(self, values: ArrayLike) -> None:
        """Add finite values that are zero or positive, shape ``[n]``; they are not copied."""
        array = np.asarray(values, dtype=np.float64)
        self._waiting.append(array)
        self._waiting_count += len(array)
        if self._waiting_count >= BATCH:
            self._fold()

    def merge(self, other: QuantileSketch) -> None:
        """Take in all values of ``other``, as if they had been added here.

        Raises ``InvalidOptionError`` when the two have different relative errors.
        """
        if other.relative_error != self.relative_error:
            raise InvalidOptionError(
                f"sketches of relative error {self.relative_error} and {other.relative_error} "
                "cannot be merged; build both with the same one"
            )
        other._fold()
        self._fold()
        self._zeros += other._zeros
        self._count(other._bins.items())

    def quantile(self, q: float) -> float:
        """Return the value at rank ``floor(q * (n - 1))``, within the relative error.

        0.0 when nothing has been added. Raises ``InvalidOptionError`` unless ``0 <= q <= 1``.
        """
        if not 0.0 <= q <= 1.0:
            raise InvalidOptionError(f"quantile {q} does not exist; give a number from 0 to 1")
        self._fold()
        rank = math.floor(q * (len(self) - 1))
        seen = self._zeros
        if rank < seen or not self._bins:
            return 0.0
        for index in sorted(self._bins):
            seen += self._bins[index]
            if rank < seen:
                break
        low, high = (np.array([index, index + 1]) << self._shift).view(np.float64).tolist()
        return float(2.0 * low * high / (low + high))

    def _fold(self) -> None:
        if not self._waiting:
            return
        values = np.concatenate(self._waiting)
        self._waiting.clear()
        self._waiting_count = 0
        positive = values[values > SMALLEST]
        self._zeros += len(values) - len(positive)
        self._count(self._binned(positive))

    def _binned(self, positive: NDArray[np.float64]) -> Iterable[tuple[int, int]]:
        """Indices of the bins that ``positive`` falls into, and how many of its values do."""
        if not len(positive):
            return ()
        indices = positive.view(np.int64) >> self._shift
        lowest = indices.min()
        counts = np.bincount(indices - lowest)  # a thousand octaves at most, some bins in each
        used = np.flatnonzero(counts)
        return zip((used + lowest).tolist(), counts[used].tolist(), strict=True)

    def _count(self, counts: Iterable[tuple[int, int]]) -> None:
        bins = self._bins
        for index, count in counts:
            bins[index] = bins.get(index, 0) + count
        if len(bins) > self.max_bins:
            self._collapse()

    def _collapse(self) -> None:
        order = sorted(self._bins)
        keep = order[-self.max_bins]
        for index in order[: -self.max_bins]:
            self._bins[keep] += self._bins.pop(index)
