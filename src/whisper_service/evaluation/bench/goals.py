"""The goals (``design/5-measuring.md``, rows 1-8 and 10, and issue 4) and whether a run met them.

The goals were set on a 2-core Intel machine with AMX; on another machine the same figures are
asked for, and the report names the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whisper_service.evaluation.bench.measuring import Section, Table, short
from whisper_service.evaluation.bench.precision import STOCK
from whisper_service.evaluation.bench.workload import FINAL

Data = Mapping[str, Mapping[str, Any]]
"""Data of each section by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure that must be reached; ``measured`` is None where it was not run."""

    row: str  # of design 5, or "issue"
    figure: str
    must: float
    unit: str
    measured: float | None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.must if self.at_least else self.measured <= self.must

    def cells(self) -> tuple[str, ...]:
        sign = "≥" if self.at_least else "≤"
        found = "not run" if self.measured is None else _amount(self.measured, self.unit)
        verdict = {True: "yes", False: "**no**", None: ""}[self.reached]
        return self.row, self.figure, f"{sign} {_amount(self.must, self.unit)}", found, verdict


def goals(data: Data) -> list[Goal]:
    """Every goal with what ``data`` says of it."""
    return [*_latencies(data), *_shares(data), *_memory(data), *_parts(data), *_old_way(data)]


def goals_section(data: Data) -> Section:
    """The goals as a table."""
    found = goals(data)
    header = ("row", "figure", "goal", "here", "reached")
    reached = sum(goal.reached is True for goal in found)
    ran = sum(goal.reached is not None for goal in found)
    return Section(
        name="goals",
        title="Goals",
        tables=(Table(header=header, rows=tuple(goal.cells() for goal in found)),),
        data={"reached": reached, "run": ran, "all": len(found)},
        notes=(f"{reached} of {ran} measured goals are reached.", *_final_floors(data)),
    )


def _final_floors(data: Data) -> Iterator[str]:
    """What the parts of a final take by themselves: no update that holds one can be faster."""
    for model in ("tiny-size", "base-size"):
        kinds = data.get("precision", {}).get(model)
        if kinds is None:
            continue
        floors = {
            encoder: min(
                f[encoder] + f["prefix of 24"] + (FINAL - 1) * f["step"]
                for f in (kind["figures"] for kind in kinds.values() if isinstance(kind, Mapping))
            )
            for encoder in ("encoder 10 s", STOCK)
        }
        yield (
            f"A final of {FINAL} tokens, {model}: encoder, prefix and steps alone take "
            f"{floors['encoder 10 s']:.0f} ms over 10 s and {floors[STOCK]:.0f} ms over 30 s, by "
            "the fastest compute type; an update that holds one cannot take less."
        )


def _latencies(data: Data) -> Iterator[Goal]:
    must = {
        "pipeline: tiny-size, real length": ("update p95, tiny-size, up to 10 s", 50),
        "pipeline: base-size, real length": ("update p95, base-size, up to 10 s", 90),
        "pipeline: tiny-size, 30 s (stock)": ("update p95, tiny-size, stock context", 100),
        "pipeline: base-size, 30 s (stock)": ("update p95, base-size, stock context", 200),
    }
    for name, (figure, ms) in must.items():
        for clip, part, what in (
            ("one language", "ordinary_ms", "8 tokens"),
            ("one language", "update_ms", "finals of 25 tokens too"),
            ("without pauses", "update_ms", "finals and 4 changes in 18 s too"),
        ):
            found = _dig(data, name, clip, part, "p95")
            yield Goal(row="1", figure=f"{figure}, {what}", must=ms, unit="ms", measured=found)
    found = _dig(data, "pipeline: tiny-size, real length", "added_lid_ms")
    figure = "LID a 10 Hz frame, encoding shared, batched, tiny-size"
    yield Goal(row="2", figure=figure, must=1.0, unit="ms", measured=found)
    for model, context, ms in (
        ("demo", "real length", 100),
        ("tiny-size", "real length", 100),
        ("tiny-size", "30 s (stock)", 200),
    ):
        found = _dig(data, f"pipeline: {model}, {context}", "finals", "ms", "p95")
        figure = f"end of speech to final text, p95, {model}, {context}"
        yield Goal(row="10", figure=figure, must=ms, unit="ms", measured=found)


def _shares(data: Data) -> Iterator[Goal]:
    name = "pipeline: demo, real length"
    for key, figure, must in (
        ("fewer_passes", "fewer encoder passes, demo, switched clip", 0.80),
        ("fewer_flops", "fewer encoder FLOPs, demo, switched clip", 0.95),
    ):
        found = _dig(data, name, "with pauses", key)
        yield Goal(row="3", figure=figure, must=must, unit="%", measured=found, at_least=True)
    for clip in ("with pauses", "without pauses"):
        found = _dig(data, name, clip, "hit_rate")
        figure = f"cache hit rate per need, demo, switched clip {clip}"
        yield Goal(row="4", figure=figure, must=0.80, unit="%", measured=found, at_least=True)


def _memory(data: Data) -> Iterator[Goal]:
    for key, figure, must, unit in (
        ("above", "resident above the imports, demo", 150, "MiB"),
        ("total", "resident in all", 230, "MiB"),
        ("stream", "each further stream", 5, "MiB"),
        ("slope", "growth, the newest 50 segments kept", 0.5, "MiB/h"),
    ):
        found = _dig(data, "memory", key)
        yield Goal(row="5", figure=figure, must=must, unit=unit, measured=found)


def _parts(data: Data) -> Iterator[Goal]:
    buffer = "append 100 ms", "view of the last 30 s, no copy"
    found = _dig(data, "buffer", "30 s", "append", "p50")
    yield Goal(row="6", figure=buffer[0], must=2.0, unit="µs", measured=found)
    found = _dig(data, "buffer", "30 s", "view of all", "p50")
    yield Goal(row="6", figure=buffer[1], must=0.3, unit="µs", measured=found)
    found = _dig(data, "buffer", "60 s", "gain", "median")
    figure = "append against np.concatenate, 60 s"
    yield Goal(row="6", figure=figure, must=50, unit="x", measured=found, at_least=True)
    # Appending to one old buffer holds its samples twice, a ring holds them once.
    for index, than in (
        (0, "one old buffer (float32: 51 % at most)"),
        (2, "the old service's 3 buffers and one read padded to 30 s"),
    ):
        rows = data.get("buffer", {}).get("memory")
        found = rows[index]["less"] if rows else None
        figure = f"less peak memory, 10 s kept, than {than}"
        yield Goal(row="issue", figure=figure, must=0.78, unit="%", measured=found, at_least=True)
    for way, must in (("ours, on", 0.6), ("ours, off", 0.2)):
        found = _dig(data, "metrics", way, "us")
        figure = f"one measure, {way.removeprefix('ours, ')}"
        yield Goal(row="7", figure=figure, must=must, unit="µs", measured=found)
    found = _dig(data, "features", "80 bins", "cpu_ms")
    yield Goal(row="8", figure="features, CPU per 100 ms", must=0.15, unit="ms", measured=found)
    found = _dig(data, "features", "80 bins", "difference")
    figure = "features in chunks against whole"
    yield Goal(row="8", figure=figure, must=1e-5, unit="", measured=found)
    gains = [row["gain"]["median"] for row in data.get("meaningful", {}).values()]
    figure = "any(isalnum) beaten, the closest script"
    least = min(gains, default=None)
    yield Goal(row="issue", figure=figure, must=1.0, unit="x", measured=least, at_least=True)


def _old_way(data: Data) -> Iterator[Goal]:
    for name in (name for name in data if name.startswith("old way: ")):
        where = name.removeprefix("old way: ")
        for key, figure, must in (("LID", "LID latency", 0.50), ("total", "total latency", 0.35)):
            found = _dig(data, name, key, "less")
            what = f"{figure} below the old way, {where}"
            yield Goal(row="issue", figure=what, must=must, unit="%", measured=found, at_least=True)
    for model in ("tiny-size", "base-size"):
        row = data.get("precision", {}).get(model)
        faster = row["int8"]["faster"]["encoder 5 s"]["median"] if row else None
        smaller = row["int8"]["smaller"] if row else None
        for figure, must, found in (
            (f"INT8 encoder (5 s) against float32, {model}", 2.0, faster),
            (f"INT8 weights smaller than float32's, {model}", 4.0, smaller),
        ):
            yield Goal(
                row="issue", figure=figure, must=must, unit="x", measured=found, at_least=True
            )
    wer = data.get("precision", {}).get("wer", {})
    found = wer["int8"] - wer["float32"] if "int8" in wer else None
    figure = "WER that INT8 adds, demo"
    yield Goal(row="issue", figure=figure, must=0.5, unit="points", measured=found)


def _dig(data: Data, *path: str) -> float | None:
    """A figure of one section, None if any step of the way is missing."""
    found: Any = data
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return float(found)


def _amount(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.0%}"
    if unit == "x":
        return f"{short(value)}x"
    number = f"{value:.0e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    return f"{number} {unit}".strip()
