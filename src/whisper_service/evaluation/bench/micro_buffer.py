"""What keeping the newest seconds of a stream costs: the ring buffer and ``np.concatenate``.

The old way appends with ``np.concatenate`` and cuts the front off, which copies everything that
is kept each time. Memory is the highest number of bytes held while appending: NumPy's arrays by
tracemalloc, the ring's mapping by its size. The old service kept three such buffers of the same
audio (VAD, LID, Whisper), and read a window by padding a copy of it to 30 s (openai/whisper's
``pad_or_trim``); one ring serves all three through views.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from whisper_service.audio.ring_buffer import RingBuffer
from whisper_service.evaluation.bench.measuring import (
    Section,
    Table,
    Times,
    interleave,
    short,
    spread,
)
from whisper_service.types import SAMPLE_RATE, FloatArray

CHUNK: FloatArray = np.random.default_rng(0).standard_normal(1600).astype(np.float32)  # 100 ms
PER_BLOCK = 200
COPIES = 10  # of an unwrapping read in a block: one takes as long as twenty appends


class Concatenated:
    """The old way."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.samples: FloatArray = np.empty(0, np.float32)

    def append(self, x: FloatArray) -> None:
        self.samples = np.concatenate((self.samples, x))[-self.capacity :]


def ring_buffer(*, quick: bool) -> Section:
    """Append, view and peak memory at 10, 30 and 60 s."""
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for seconds in (10, 30, 60):
        times = _race(seconds * SAMPLE_RATE, blocks=8 if quick else 30)
        micro = {
            name: [t / _calls(name) * 1e6 for t in values] for name, values in times.sides.items()
        }
        for name, values in micro.items():
            marks = spread(values)
            rows.append((f"{seconds} s", name, short(marks["p50"]), short(marks["p95"])))
        gain = times.ratio("np.concatenate", "append")
        rows.append((f"{seconds} s", "np.concatenate / append", str(gain), ""))
        data[f"{seconds} s"] = {name: spread(values) for name, values in micro.items()}
        data[f"{seconds} s"]["gain"] = gain.as_dict()
    data["memory"] = memory(10 * SAMPLE_RATE)
    held = tuple(
        (m["old"], f"{m['bytes']:,}", f"{m['ring']:,}", f"{m['less']:.0%}") for m in data["memory"]
    )
    return Section(
        name="buffer",
        title="Ring buffer",
        tables=(
            Table(header=("kept", "100 ms chunks", "p50 µs", "p95 µs"), rows=tuple(rows)),
            Table(header=("old buffers", "peak bytes", "one ring of 10 s", "less"), rows=held),
        ),
        data=data,
    )


def memory(capacity: int) -> list[dict[str, Any]]:
    """Peak bytes of the old buffers and of one ring over the same ``capacity`` samples."""
    mapped = RingBuffer(capacity)
    ring = _traced(lambda: _ring_way(capacity)) + (mapped.nbytes if mapped.mirrored else 0)
    rows = []
    for buffers, padded in ((1, False), (3, False), (3, True)):
        old = _traced(partial(_old_way, capacity, buffers=buffers, padded=padded))
        name = f"{buffers} of 10 s" + (", one read padded to 30 s" if padded else "")
        rows.append({"old": name, "bytes": old, "ring": ring, "less": 1 - ring / old})
    return rows


def _race(capacity: int, *, blocks: int) -> Times:
    ring, twice = RingBuffer(capacity), RingBuffer(capacity, mirrored=False)
    old = Concatenated(capacity)
    for buffer in (ring, twice, old):
        _fill(buffer, capacity)
    sides = {
        "append": _appending(ring),
        "append (written twice)": _appending(twice),
        "np.concatenate": _appending(old),
        "view of all": _viewing(ring),
        "unwrapping copy of all": _copying(ring),
    }
    return interleave(sides, blocks=blocks)


def _calls(side: str) -> int:
    return COPIES if side == "unwrapping copy of all" else PER_BLOCK


def _appending(buffer: RingBuffer | Concatenated) -> Callable[[], None]:
    def block() -> None:
        append = buffer.append
        for _ in range(PER_BLOCK):
            append(CHUNK)

    return block


def _viewing(ring: RingBuffer) -> Callable[[], None]:
    def block() -> None:
        view, start, end = ring.view, ring.start, ring.end
        for _ in range(PER_BLOCK):
            view(start, end)

    return block


def _copying(ring: RingBuffer) -> Callable[[], None]:
    """How a ring without mirrored memory reads: two pieces joined."""
    half = ring.capacity // 2
    samples = ring.read_all()

    def block() -> None:
        for _ in range(COPIES):
            np.concatenate((samples[half:], samples[:half]))

    return block


def _fill(buffer: RingBuffer | Concatenated, capacity: int) -> None:
    for _ in range(capacity // len(CHUNK) + 3):
        buffer.append(CHUNK)


def _traced(work: Callable[[], object]) -> int:
    """Highest number of bytes NumPy and Python held during ``work``."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _old_way(capacity: int, *, buffers: int, padded: bool) -> None:
    kept = [Concatenated(capacity) for _ in range(buffers)]
    for buffer in kept:
        _fill(buffer, capacity)
    if padded:
        samples = kept[-1].samples
        np.pad(samples, (0, 30 * SAMPLE_RATE - len(samples)))


def _ring_way(capacity: int) -> None:
    ring = RingBuffer(capacity)
    _fill(ring, capacity)
    ring.read_last_n(capacity)
