"""The measurements of one named operation."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from whisper_service.metrics.sketch import BATCH, QuantileSketch

PERCENTILES = (50, 95, 99)


class Stage:
    """Durations in ms: the last ``capacity`` exactly, all of them as sums and a sketch.

    ``pending`` is appended to without a lock; :meth:`drain` moves its values on under one. A value
    appended while it is being drained lies behind the drained ones and stays for the next time.
    """

    __slots__ = (
        "_filled",
        "_largest",
        "_lock",
        "_log",
        "_next",
        "_sketch",
        "_smallest",
        "_total",
        "_window",
        "count",
        "log_at",
        "pending",
    )

    def __init__(self, capacity: int, log: Callable[[float], None]) -> None:
        self.pending: list[float] = []
        self.log_at = math.inf  # s, on the clock of perf_counter
        self.count = 0
        self._log = log
        self._lock = threading.Lock()
        self._window = np.zeros(capacity, dtype=np.float64)
        self._next = 0
        self._filled = 0
        self._total = 0.0
        self._smallest = math.inf
        self._largest = 0.0
        self._sketch = QuantileSketch()

    def tend(self, now: float) -> None:
        """Do what is due after a measurement: take in a full batch, write the log."""
        if len(self.pending) >= BATCH:
            self.drain()
        if now >= self.log_at:
            self._log(now)

    def drain(self) -> None:
        """Bring everything up to date with the pending values."""
        with self._lock:
            values = self.pending[:]
            del self.pending[: len(values)]
            if values:
                self._take(np.array(values, dtype=np.float64))

    def statistics(self, *, whole_run: bool) -> dict[str, float]:
        """Count, mean, min, max of the whole run, and percentiles, in ms."""
        with self._lock:
            exact = np.sort(self._window[: self._filled]).tolist()
            row: dict[str, float] = {
                "count": self.count,
                "mean": self._total / self.count if self.count else 0.0,
                "min": self._smallest if self.count else 0.0,
                "max": self._largest,
            }
            for p in PERCENTILES:
                row[f"p{p}"] = (
                    self._sketch.quantile(p / 100) if whole_run else interpolate(exact, p / 100)
                )
        return row

    def merge(self, other: Stage) -> None:
        """Add what a drained ``other`` holds. ``other`` may be this very stage."""
        with other._lock:
            recent = other._window[: other._filled].copy()
            count, total = other.count, other._total
            smallest, largest = other._smallest, other._largest
            sketch = QuantileSketch()
            sketch.merge(other._sketch)
        self.drain()
        with self._lock:
            room = self._filled + len(recent)
            if room > len(self._window):
                self._window = np.resize(self._in_order(), room)
                self._next = self._filled
            self._remember(recent)
            self._sketch.merge(sketch)
            self.count += count
            self._total += total
            self._smallest = min(self._smallest, smallest)
            self._largest = max(self._largest, largest)

    def _take(self, values: NDArray[np.float64]) -> None:
        self.count += len(values)
        self._total += float(values.sum())
        self._smallest = min(self._smallest, float(values.min()))
        self._largest = max(self._largest, float(values.max()))
        self._sketch.add(values)
        self._remember(values)

    def _remember(self, values: NDArray[np.float64]) -> None:
        window = self._window
        recent = values[-len(window) :]
        until_end = len(window) - self._next
        window[self._next : self._next + len(recent)] = recent[:until_end]
        window[: max(0, len(recent) - until_end)] = recent[until_end:]
        self._next = (self._next + len(recent)) % len(window)
        self._filled = min(len(window), self._filled + len(recent))

    def _in_order(self) -> NDArray[np.float64]:
        """Return the remembered values, oldest first."""
        if self._filled < len(self._window):
            return self._window[: self._filled]
        return np.roll(self._window, -self._next)


def interpolate(ordered: Sequence[float], q: float) -> float:
    """Quantile ``q`` of ascending values, linear between the closest ranks (NumPy's default)."""
    if not ordered:
        return 0.0
    rank = q * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
