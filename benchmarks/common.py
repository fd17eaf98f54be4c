"""What every benchmark states about itself, and how it times."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def provenance(**more: str) -> dict[str, str]:
    """Machine, commit and date of a measurement, and whatever ``more`` says (model, …)."""
    return {"machine": machine(), "commit": commit(), "date": date.today().isoformat(), **more}


def machine() -> str:
    """CPU name, cores and the instruction sets that matter here."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next(
        (line.split(":", 1)[1].strip() for line in info.splitlines() if "model name" in line),
        platform.processor(),
    )
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "").split()
    known = [f for f in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2") if f in flags]
    cores = sum(line.startswith("processor") for line in info.splitlines())
    return f"{name}, {cores} cores ({', '.join(known)})"


def commit() -> str:
    """Short hash of the commit measured, with ``+`` when the tree has changes."""
    run = lambda *args: subprocess.run(  # noqa: E731
        ["git", *args], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return (run("rev-parse", "--short", "HEAD") or "unknown") + ("+" if run("status", "-s") else "")


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max of ``values`` (nearest rank)."""
    ordered = sorted(values)
    rank = lambda q: ordered[min(len(ordered) - 1, int(q * len(ordered)))]  # noqa: E731
    return {"p50": rank(0.5), "p95": rank(0.95), "p99": rank(0.99), "max": ordered[-1]}


def interleave(
    sides: dict[str, Callable[[], object]], *, blocks: int = 20
) -> dict[str, list[float]]:
    """Seconds of each side, run in turn (ABBA) so that a noisy neighbour hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(blocks):
        names = list(sides) if block % 2 == 0 else list(reversed(sides))
        for name in names:
            start = time.perf_counter()
            sides[name]()
            times[name].append(time.perf_counter() - start)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """Ratio of the medians with the spread of the blocks' own ratios."""
    paired = sorted(a / b for a, b in zip(slow, fast, strict=True))
    low, high = paired[len(paired) // 10], paired[-1 - len(paired) // 10]
    return f"{statistics.median(slow) / statistics.median(fast):.2f}x ({low:.2f}-{high:.2f})"


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def report(title: str, facts: dict[str, str], body: str, data: Any) -> None:
    """Print the provenance and ``body``; with ``--json`` print ``data`` instead."""
    if "--json" in sys.argv:
        print(json.dumps({"benchmark": title, **facts, "results": data}, ensure_ascii=False))
        return
    print(f"## {title}\n\n" + "\n".join(f"{key}: {value}" for key, value in facts.items()))
    print("\n" + body)
