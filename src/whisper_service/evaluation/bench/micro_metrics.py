"""What one measured operation costs: ours on and off, the old way, prometheus_client.

The old way is a generator context manager around ``perf_counter`` that appends to a list and pops
its front when that is full.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Histogram, Summary

from whisper_service.evaluation.bench.measuring import Section, Table, interleave, ratio, short
from whisper_service.metrics import PerformanceMetrics
from whisper_service.metrics.sketch import BATCH

PER_BLOCK = BATCH  # so that each block holds one drain of the pending samples
OURS, OLD, LOOP = "ours, on", "old way", "empty loop"


class OldMetrics:
    """Statistics kept up to date on every measurement, through a generator."""

    def __init__(self, max_samples: int = 1000) -> None:
        self.max_samples = max_samples
        self.samples: dict[str, list[float]] = {}
        self.totals: dict[str, list[float]] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.record(name, time.perf_counter() - start)

    def record(self, name: str, seconds: float) -> None:
        samples = self.samples.setdefault(name, [])
        totals = self.totals.setdefault(name, [0.0, 0.0, float("inf"), 0.0])
        totals[0] += 1
        totals[1] += seconds
        totals[2] = min(totals[2], seconds)
        totals[3] = max(totals[3], seconds)
        samples.append(seconds)
        if len(samples) > self.max_samples:
            samples.pop(0)


def metrics(*, quick: bool) -> Section:
    """One ``measure`` of every way, the empty loop subtracted."""
    registry = CollectorRegistry()
    on = PerformanceMetrics()
    times = interleave(
        {
            LOOP: _empty,
            OURS: _measured(on),
            "ours, off": _measured(PerformanceMetrics(enabled=False)),
            OLD: _measured(OldMetrics()),
            "prometheus_client Summary": _timed(Summary("s_seconds", "x", registry=registry)),
            "prometheus_client Histogram": _timed(Histogram("h_seconds", "x", registry=registry)),
        },
        blocks=60 if quick else 400,
    )
    loop = times.median(LOOP)
    net = {n: [max(1e-9, t - loop) for t in v] for n, v in times.sides.items() if n != LOOP}
    data: dict[str, Any] = {}
    rows = []
    for name, values in net.items():
        us = float(np.median(values)) / PER_BLOCK * 1e6
        best = float(np.quantile(values, 0.1)) / PER_BLOCK * 1e6
        against = ratio(values, net[OURS])
        data[name] = {"us": us, "p10_us": best, "against_ours": against.as_dict()}
        rows.append((name, short(us), short(best), str(against)))
    header = ("way", "µs a measure", "of the fastest blocks", "against ours, on")
    note = f"`get_statistics` of a full stage: {_reading_time(on):.0f} µs."
    return Section(
        name="metrics",
        title="Metrics",
        tables=(Table(header=header, rows=tuple(rows)),),
        data=data,
        notes=(note,),
    )


def _measured(ways: PerformanceMetrics | OldMetrics) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            with ways.measure("stage"):
                pass

    return block


def _timed(metric: Summary | Histogram) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            with metric.time():
                pass

    return block


def _empty() -> None:
    for _ in range(PER_BLOCK):
        pass


def _reading_time(ways: PerformanceMetrics) -> float:
    """Microseconds of reading a full stage."""
    times = []
    for _ in range(100):
        start = time.perf_counter()
        ways.get_statistics()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6
