"""What log-mel features cost: incrementally, for whole files, and the old way.

The old way computes the whole 30 s window again whenever 100 ms have come.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from whisper_service.evaluation.bench.measuring import Section, Table, interleave, spread
from whisper_service.features import LogMelStream, log_mel
from whisper_service.types import HOP, SAMPLE_RATE, FloatArray

CHUNK = SAMPLE_RATE // 10
INCREMENTAL, WHOLE = "100 ms, incremental", "30 s, whole (the old way of every 100 ms)"


def features(*, quick: bool) -> Section:
    """80 and 128 bins: wall and CPU time of 100 ms, windows, and exactness."""
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    signal = _signal(20 if quick else 60)
    for n_mels in (80, 128):
        log_mel(signal[: 30 * SAMPLE_RATE], n_mels)  # filters and FFT plans are made once
        times = interleave(_sides(signal, n_mels), blocks=10 if quick else 40)
        times.sides[INCREMENTAL] = [t / 10 for t in times.sides[INCREMENTAL]]
        bins: dict[str, Any] = {}
        for name, values in times.sides.items():
            bins[name] = spread([v * 1e3 for v in values])
            marks = bins[name]
            rows.append((str(n_mels), name, f"{marks['p50']:.3f}", f"{marks['p95']:.3f}"))
        bins["gain"] = times.ratio(WHOLE, INCREMENTAL).as_dict()
        bins["cpu_ms"] = _cpu_per_chunk(signal, n_mels)
        bins["difference"] = _difference(signal, n_mels)
        rows.append((str(n_mels), "100 ms, CPU time", f"{bins['cpu_ms']:.3f}", ""))
        gain = times.ratio(WHOLE, INCREMENTAL)
        rows.append((str(n_mels), "old way / incremental", str(gain), ""))
        rows.append((str(n_mels), "largest difference to it", f"{bins['difference']:.1e}", ""))
        data[f"{n_mels} bins"] = bins
    table = Table(header=("bins", "what", "p50 ms", "p95 ms"), rows=tuple(rows))
    return Section(name="features", title="Features", tables=(table,), data=data)


def _signal(seconds: int) -> FloatArray:
    noise = np.random.default_rng(0).standard_normal(seconds * SAMPLE_RATE)
    signal: FloatArray = (noise * 0.1).astype(np.float32)
    return np.resize(signal, max(len(signal), 31 * SAMPLE_RATE))


def _sides(signal: FloatArray, n_mels: int) -> dict[str, Callable[[], object]]:
    return {
        INCREMENTAL: _feeding(signal, n_mels),
        "window of 10 s": _windowing(signal, n_mels, 10),
        "window of 30 s": _windowing(signal, n_mels, 30),
        WHOLE: lambda: log_mel(signal[: 30 * SAMPLE_RATE], n_mels),
    }


def _feeding(signal: FloatArray, n_mels: int) -> Callable[[], None]:
    """One second of a running stream, in chunks of 100 ms."""
    stream = LogMelStream(n_mels)
    stream.feed(signal)

    def block() -> None:
        for first in range(0, SAMPLE_RATE, CHUNK):
            stream.feed(signal[first : first + CHUNK])

    return block


def _windowing(signal: FloatArray, n_mels: int, seconds: int) -> Callable[[], object]:
    stream = LogMelStream(n_mels)
    stream.feed(signal)
    last = stream.available
    return lambda: stream.window(last - 100 * seconds, last)


def _cpu_per_chunk(signal: FloatArray, n_mels: int) -> float:
    """CPU milliseconds per 100 ms of audio."""
    stream = LogMelStream(n_mels)
    start = time.process_time()
    for first in range(0, len(signal), CHUNK):
        stream.feed(signal[first : first + CHUNK])
    return (time.process_time() - start) * 1e3 / (len(signal) / CHUNK)


def _difference(signal: FloatArray, n_mels: int) -> float:
    """Largest difference between a window fed in chunks and the same audio computed whole."""
    whole = signal[: 10 * SAMPLE_RATE]
    stream = LogMelStream(n_mels)
    for first in range(0, len(whole), CHUNK):
        stream.feed(whole[first : first + CHUNK])
    stream.finish()
    frames = len(whole) // HOP
    return float(np.abs(stream.window(0, frames) - log_mel(whole, n_mels)[:, :frames]).max())
