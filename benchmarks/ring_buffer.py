"""What keeping the newest seconds of a stream costs: the ring buffer and np.concatenate.

    python benchmarks/ring_buffer.py [--json]

The old way appends with ``np.concatenate`` and cuts the front off, which copies everything that
is kept each time. Memory is the highest number of bytes held while appending: NumPy's arrays by
tracemalloc, the ring's mapping by its size. The old service kept three such buffers of the same
audio (VAD, LID, Whisper), and read a window by padding a copy of it to 30 s (openai/whisper's
``pad_or_trim``); one ring serves all three through views.
"""

from __future__ import annotations

import statistics
import tracemalloc
from collections.abc import Callable

import numpy as np
from common import interleave, percentiles, provenance, ratio, report, table

from whisper_service.audio.ring_buffer import RingBuffer

RATE = 16_000
CHUNK = np.random.default_rng(0).standard_normal(RATE // 10).astype(np.float32)  # 100 ms
PER_BLOCK = 200


class Concatenated:
    """The old way."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.samples = np.empty(0, np.float32)

    def append(self, x: np.ndarray) -> None:
        self.samples = np.concatenate((self.samples, x))[-self.capacity :]


def appending(buffer: RingBuffer | Concatenated) -> Callable[[], None]:
    def block() -> None:
        append = buffer.append
        for _ in range(PER_BLOCK):
            append(CHUNK)

    return block


def viewing(ring: RingBuffer) -> Callable[[], None]:
    def block() -> None:
        view, start, end = ring.view, ring.start, ring.end
        for _ in range(PER_BLOCK):
            view(start, end)

    return block


def copying(ring: RingBuffer) -> Callable[[], None]:
    """How a ring without mirrored memory reads: two pieces joined."""
    half = ring.capacity // 2
    samples = ring.read_all()

    def block() -> None:
        for _ in range(PER_BLOCK // 20):
            np.concatenate((samples[half:], samples[:half]))

    return block


def filled(buffer: RingBuffer | Concatenated, capacity: int) -> RingBuffer | Concatenated:
    for _ in range(capacity // len(CHUNK) + 3):
        buffer.append(CHUNK)
    return buffer


def traced(work: Callable[[], object]) -> int:
    """Highest number of bytes NumPy and Python held during ``work``."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def old_way(capacity: int, *, buffers: int, padded: bool) -> None:
    kept = [filled(Concatenated(capacity), capacity) for _ in range(buffers)]
    if padded:
        samples = kept[-1].samples
        np.pad(samples, (0, 30 * RATE - len(samples)))


def ring_way(capacity: int) -> None:
    filled(RingBuffer(capacity), capacity).read_last_n(capacity)


def memory(capacity: int) -> list[dict[str, object]]:
    mapped = RingBuffer(capacity)
    ring = traced(lambda: ring_way(capacity)) + (mapped.nbytes if mapped.mirrored else 0)
    rows: list[dict[str, object]] = []
    for buffers, padded in ((1, False), (3, False), (3, True)):
        old = traced(lambda b=buffers, p=padded: old_way(capacity, buffers=b, padded=p))
        name = f"{buffers} of 10 s" + (", one read padded to 30 s" if padded else "")
        rows.append({"old": name, "bytes": old, "ring": ring, "less": 1 - ring / old})
    return rows


def main() -> None:
    rows, data = [], {}
    for seconds in (10, 30, 60):
        capacity = seconds * RATE
        ring = filled(RingBuffer(capacity), capacity)
        twice = filled(RingBuffer(capacity, mirrored=False), capacity)
        old = filled(Concatenated(capacity), capacity)
        sides = {
            "append": appending(ring),
            "append (written twice)": appending(twice),
            "np.concatenate": appending(old),
            "view of all": viewing(ring),
            "unwrapping copy of all": copying(ring),
        }
        times = interleave(sides, blocks=20)
        calls = dict.fromkeys(sides, PER_BLOCK) | {"unwrapping copy of all": PER_BLOCK // 20}
        micro = {name: [t / calls[name] * 1e6 for t in ts] for name, ts in times.items()}
        for name, values in micro.items():
            spread = percentiles(values)
            rows.append((f"{seconds} s", name, f"{spread['p50']:.2f}", f"{spread['p95']:.2f}"))
        gain = ratio(micro["np.concatenate"], micro["append"])
        rows.append((f"{seconds} s", "np.concatenate / append", gain, ""))
        data[f"{seconds}s"] = {n: statistics.median(v) for n, v in micro.items()} | {"gain": gain}
    data["memory"] = memory(10 * RATE)
    held = [
        (m["old"], f"{m['bytes']:,}", f"{m['ring']:,}", f"{m['less']:.0%}") for m in data["memory"]
    ]
    body = table(rows, ("kept", "operation, 100 ms chunks", "p50 µs", "p95 µs"))
    body += "\n\n" + table(held, ("old buffers", "peak bytes", "one ring of 10 s", "less"))
    report("Ring buffer", provenance(), body, data)


if __name__ == "__main__":
    main()
