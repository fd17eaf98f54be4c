"""What one measured operation costs: ours on and off, the old way, prometheus_client.

    python benchmarks/metrics.py [--json]

The old way is a generator context manager around ``perf_counter`` that appends to a list and pops
its front when that is full.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common import interleave, provenance, ratio, report, table
from prometheus_client import CollectorRegistry, Histogram, Summary

from whisper_service.metrics import PerformanceMetrics
from whisper_service.metrics.sketch import BATCH

PER_BLOCK = BATCH  # so that each block holds one drain of the pending samples
BLOCKS = 400


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


def measured(metrics: PerformanceMetrics | OldMetrics) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            with metrics.measure("stage"):
                pass

    return block


def timed(metric: Summary | Histogram) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            with metric.time():
                pass

    return block


def empty() -> None:
    for _ in range(PER_BLOCK):
        pass


def main() -> None:
    on, off, old = PerformanceMetrics(), PerformanceMetrics(enabled=False), OldMetrics()
    registry = CollectorRegistry()
    summary = Summary("summary_seconds", "x", registry=registry)
    histogram = Histogram("histogram_seconds", "x", registry=registry)
    times = interleave(
        {
            "loop": empty,
            "ours, on": measured(on),
            "ours, off": measured(off),
            "old way": measured(old),
            "prometheus_client Summary": timed(summary),
            "prometheus_client Histogram": timed(histogram),
        },
        blocks=BLOCKS,
    )
    loop = statistics.median(times.pop("loop"))
    net = {name: [max(1e-9, t - loop) for t in values] for name, values in times.items()}
    microseconds = {n: statistics.median(v) / PER_BLOCK * 1e6 for n, v in net.items()}
    rows = [
        (name, f"{microseconds[name]:.3f}", ratio(values, net["ours, on"]))
        for name, values in net.items()
    ]
    body = table(rows, ("way", "µs a measure", "against ours, on"))
    body += f"\n\nget_statistics of a full stage: {reading_time(on):.0f} µs"
    report("Metrics", provenance(), body, microseconds)


def reading_time(metrics: PerformanceMetrics) -> float:
    times = []
    for _ in range(200):
        start = time.perf_counter()
        metrics.get_statistics()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    main()
