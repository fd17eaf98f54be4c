"""How a benchmark times, compares and states where it ran."""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

ROOT = Path(__file__).resolve().parents[4]

Progress: TypeAlias = Callable[[str], None]
"""Is told what is being measured."""

_FEATURES = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a report; cells are text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def markdown(self) -> str:
        """The caption in a line of its own, then the table."""
        lines = [_row(self.header), "|" + "---|" * len(self.header)]
        lines += [_row(row) for row in self.rows]
        return (f"{self.caption}\n\n" if self.caption else "") + "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One subject of a report: tables for people, ``data`` for programs."""

    name: str
    title: str
    tables: tuple[Table, ...]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def markdown(self, level: int = 3) -> str:
        parts = [f"{'#' * level} {self.title}", *(t.markdown() for t in self.tables), *self.notes]
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times longer one side took: ratio of medians, 10th and 90th percentile of blocks."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{short(self.median)}x ({short(self.low)}-{short(self.high)})"

    def as_dict(self) -> dict[str, float]:
        return {"median": self.median, "low": self.low, "high": self.high}


@dataclass(slots=True)
class Times:
    """Seconds of each side of an interleaved measurement, block by block."""

    sides: dict[str, list[float]] = field(default_factory=dict)

    def median(self, side: str, *, per: int = 1) -> float:
        """Median seconds of a block divided by ``per`` calls."""
        return statistics.median(self.sides[side]) / per

    def ratio(self, slow: str, fast: str) -> Ratio:
        """How many times longer ``slow`` took than ``fast``."""
        return ratio(self.sides[slow], self.sides[fast])


def interleave(sides: Mapping[str, Callable[[], object]], *, blocks: int = 20) -> Times:
    """Run the sides in turn, forwards and backwards (ABBA): a busy machine hits all alike."""
    times = Times({name: [] for name in sides})
    for block in range(blocks):
        names = list(sides) if block % 2 == 0 else list(reversed(list(sides)))
        for name in names:
            start = time.perf_counter()
            sides[name]()
            times.sides[name].append(time.perf_counter() - start)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """Compare paired blocks; both sides hold seconds."""
    pairs = sorted(a / b for a, b in zip(slow, fast, strict=True))
    edge = len(pairs) // 10
    median = statistics.median(slow) / statistics.median(fast)
    return Ratio(median, pairs[edge], pairs[-1 - edge])


def percentile(values: Sequence[float], q: float) -> float:
    """Nearest-rank percentile, ``q`` from 0 to 1: the least value that so many do not exceed.

    0 of nothing.
    """
    return float(np.quantile(values, q, method="inverted_cdf")) if len(values) else 0.0


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max."""
    marks = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: percentile(values, q) for name, q in marks.items()}


def short(value: float) -> str:
    """A number with about three digits."""
    if value == 0:
        return "0"
    digits = max(0, 2 - len(f"{abs(value):.0f}") + (abs(value) < 1))
    return f"{value:.{digits + 1 if abs(value) < 10 else digits}f}"


def provenance(**more: str) -> dict[str, str]:
    """Machine, software, commit, date, how busy the machine was, and whatever ``more`` says."""
    from importlib.metadata import version

    return {
        "machine": machine(),
        "software": f"Python {platform.python_version()}, OpenVINO {version('openvino')}, "
        f"NumPy {version('numpy')}",
        "commit": commit(),
        "date": date.today().isoformat(),
        "load": load(),
        **more,
    }


def machine() -> str:
    """CPU name, cores and the instruction sets that matter here; a missing AMX is named."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fields = [(key.strip(), value.strip()) for key, _, value in (r.partition(":") for r in lines)]
    name = next((v for k, v in fields if k == "model name"), platform.processor() or "unknown")
    flags = next((v.split() for k, v in fields if k == "flags"), [])
    known = ", ".join(f for f in _FEATURES if f in flags) or "no vector extensions found"
    without = "" if "amx_bf16" in flags else "; no AMX"
    cores = sum(k == "processor" for k, _ in fields)
    return f"{name}, {cores} cores ({known}{without})"


def load() -> str:
    """One-minute load average: far above 0 on a machine that is not quiet."""
    path = Path("/proc/loadavg")
    return path.read_text(encoding="utf-8").split()[0] if path.exists() else "unknown"


def commit() -> str:
    """Short hash of the commit measured, with ``+`` when the tree has changes."""
    found = _git("rev-parse", "--short", "HEAD") or "unknown"
    return found + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return result.stdout.strip()


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
