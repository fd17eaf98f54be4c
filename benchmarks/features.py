"""What log-mel features cost: incrementally, for whole files, and the old way.

    python benchmarks/features.py [--json]

The old way computes the whole 30 s window again whenever 100 ms have come.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from common import interleave, percentiles, provenance, ratio, report, table

from whisper_service.features import LogMelStream, log_mel

RATE = 16_000
SIGNAL = np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32) * 0.1
CHUNK = RATE // 10


def feeding(n_mels: int) -> Callable[[], None]:
    """One second of a running stream, in chunks of 100 ms."""
    stream = LogMelStream(n_mels)
    stream.feed(SIGNAL)

    def block() -> None:
        for first in range(0, RATE, CHUNK):
            stream.feed(SIGNAL[first : first + CHUNK])

    return block


def windowing(n_mels: int, seconds: int) -> Callable[[], None]:
    stream = LogMelStream(n_mels)
    stream.feed(SIGNAL)
    last = stream.available
    return lambda: stream.window(last - 100 * seconds, last)


def cpu_per_chunk(n_mels: int) -> float:
    """CPU milliseconds per 100 ms of audio over a minute."""
    stream = LogMelStream(n_mels)
    start = time.process_time()
    for first in range(0, len(SIGNAL), CHUNK):
        stream.feed(SIGNAL[first : first + CHUNK])
    return (time.process_time() - start) * 1e3 / (len(SIGNAL) / CHUNK)


def main() -> None:
    rows, data = [], {}
    whole = SIGNAL[: 30 * RATE]
    for n_mels in (80, 128):
        log_mel(whole, n_mels)  # filters and FFT plans are made once
        times = interleave(
            {
                "100 ms, incremental": feeding(n_mels),
                "window of 10 s": windowing(n_mels, 10),
                "window of 30 s": windowing(n_mels, 30),
                "30 s, whole": lambda n=n_mels: log_mel(whole, n),
            },
            blocks=40,
        )
        times["100 ms, incremental"] = [t / 10 for t in times["100 ms, incremental"]]
        for name, values in times.items():
            spread = percentiles([v * 1e3 for v in values])
            rows.append((n_mels, name, f"{spread['p50']:.3f}", f"{spread['p95']:.3f}"))
            data[f"{n_mels} {name}"] = spread
        cpu = cpu_per_chunk(n_mels)
        rows.append((n_mels, "100 ms, incremental, CPU time", f"{cpu:.3f}", ""))
        speed = 30 / sorted(times["30 s, whole"])[len(times["30 s, whole"]) // 2]
        rows.append((n_mels, "whole file, times real time", f"{speed:.0f}x", ""))
        gain = ratio(times["30 s, whole"], times["100 ms, incremental"])
        rows.append((n_mels, "old way / incremental", gain, ""))
        data[f"{n_mels} summary"] = {"cpu_ms": cpu, "real_time_factor": speed, "gain": gain}
    report("Features", provenance(), table(rows, ("mels", "what", "p50 ms", "p95 ms")), data)


if __name__ == "__main__":
    main()
