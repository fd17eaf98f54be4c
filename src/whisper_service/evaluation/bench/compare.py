"""The old way and ours on the same speech, chunk by chunk in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from whisper_service.engine.base import Engine
from whisper_service.evaluation.bench.measuring import Ratio, Section, Table, percentile, ratio
from whisper_service.evaluation.bench.models import Subject
from whisper_service.evaluation.bench.old_way import OldWay
from whisper_service.evaluation.bench.pipeline import subject_engine
from whisper_service.evaluation.bench.workload import (
    CHUNK,
    Clip,
    Counted,
    FixedWorkload,
    stream_options,
)
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import FloatArray, to_samples

SPOKEN = 1e-4  # s of LID that a chunk with speech takes at least, on either side


class Side:
    """One of the two ways, fed chunk by chunk; ``lid`` and ``total`` in seconds per chunk."""

    def __init__(
        self, feed: Callable[[FloatArray], object], lid: Callable[[], float], engine: Counted
    ) -> None:
        self.engine = engine
        self.total: list[float] = []
        self.lid: list[float] = []
        self._feed = feed
        self._lid = lid

    def take(self, chunk: FloatArray) -> None:
        before = self._lid()
        start = time.perf_counter()
        self._feed(chunk)
        self.total.append(time.perf_counter() - start)
        self.lid.append(self._lid() - before)


def ours(engine: Engine, clip: Clip, *, fixed: bool) -> Side:
    """The transcriber; its LID time includes the encoder pass that decoding shares."""
    counted = subject_engine(engine, clip, fixed=fixed)
    stream = StreamTranscriber(counted, stream_options())
    if isinstance(counted, FixedWorkload):
        counted.heard = lambda: stream.front.received

    def lid() -> float:
        row = stream.metrics.get_statistics().get("lid.total")
        return row["mean"] * row["count"] / 1e3 if row else 0.0

    return Side(stream.feed, lid, counted)


def old(engine: Engine, clip: Clip, *, fixed: bool) -> Side:
    """The old way, on the same engine and with the same decodes."""
    counted = subject_engine(engine, clip, fixed=fixed)
    way = OldWay(counted)
    received = [0]
    if isinstance(counted, FixedWorkload):
        counted.heard = lambda: received[0]

    def feed(chunk: FloatArray) -> None:
        received[0] += len(chunk)
        way.feed(chunk)

    def lid() -> float:
        totals = way.metrics.totals.get("lid.total")
        return totals[1] if totals else 0.0

    return Side(feed, lid, counted)


def race(engine: Engine, clip: Clip, *, fixed: bool) -> tuple[Side, Side]:
    """Feed both sides the clip; which goes first changes with every chunk."""
    sides = ours(engine, clip, fixed=fixed), old(engine, clip, fixed=fixed)
    size = to_samples(CHUNK)
    for number, first in enumerate(range(0, len(clip.samples), size)):
        chunk = clip.samples[first : first + size]
        for side in sides if number % 2 == 0 else reversed(sides):
            side.take(chunk)
    return sides


def against_the_old_way(subject: Subject, engine: Engine, clip: Clip) -> Section:
    """LID and total time per 0.5 s chunk with speech, and encoder passes, of both."""
    race(engine, clip.cut(2.0), fixed=subject.random)  # every shape once
    new, was = race(engine, clip, fixed=subject.random)
    spoken = [
        i for i, (a, b) in enumerate(zip(new.lid, was.lid, strict=True)) if min(a, b) > SPOKEN
    ]
    rows, data = [], {}
    for what, mine, theirs in (("LID", new.lid, was.lid), ("total", new.total, was.total)):
        a, b = [mine[i] for i in spoken], [theirs[i] for i in spoken]
        gain = ratio(b, a)
        data[what] = _figures(a, b, gain)
        marks = [f"{percentile(v, q) * 1e3:.1f}" for v in (a, b) for q in (0.5, 0.95)]
        rows.append((what, *marks, f"{1 - 1 / gain.median:.0%}", str(gain)))
    passes = [side.engine.work.encoded for side in (new, was)]
    windows = [len(p) for p in passes]
    rows.append(("encoder passes", str(windows[0]), "", str(windows[1]), "", _less(windows), ""))
    header = ("per 0.5 s chunk", "ours p50 ms", "p95", "old p50 ms", "p95", "less", "ratio")
    return Section(
        name=f"old way: {subject}",
        title=f"Against the old way: {subject}",
        tables=(Table(header=header, rows=tuple(rows)),),
        data={**data, "passes": {"ours": windows[0], "old": windows[1]}, "chunks": len(spoken)},
    )


def _figures(ours: list[float], old: list[float], gain: Ratio) -> dict[str, Any]:
    return {
        "ours_ms": {"p50": percentile(ours, 0.5) * 1e3, "p95": percentile(ours, 0.95) * 1e3},
        "old_ms": {"p50": percentile(old, 0.5) * 1e3, "p95": percentile(old, 0.95) * 1e3},
        "gain": gain.as_dict(),
        "less": 1 - 1 / gain.median,
    }


def _less(windows: list[int]) -> str:
    return f"{1 - windows[0] / max(1, windows[1]):.0%}"
