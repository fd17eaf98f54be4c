"""What a standalone benchmark shares with ``whisper-service bench``: one way to time and to say.

``part("buffer")`` measures a part and prints it with machine, commit and date (``--json``: data).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from whisper_service.evaluation.bench import measuring, micro
from whisper_service.evaluation.bench.measuring import provenance

__all__ = [
    "ROOT",
    "interleave",
    "part",
    "percentiles",
    "provenance",
    "ratio",
    "recordings_parser",
    "report",
    "table",
]

ROOT = Path(__file__).resolve().parent.parent

percentiles = measuring.spread


def part(name: str) -> None:
    """Measure one part alone and print it; ``--quick`` takes fewer blocks."""
    parser = argparse.ArgumentParser(description=f"Measure one part: {name}.")
    parser.add_argument("--quick", action="store_true", help="fewer blocks")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    section = micro.measure(name, quick=parser.parse_args().quick)
    body = "\n\n".join([*(t.markdown() for t in section.tables), *section.notes])
    report(section.title, provenance(), body, section.data)


def interleave(
    sides: Mapping[str, Callable[[], object]], *, blocks: int = 20
) -> dict[str, list[float]]:
    """Seconds of each side, run in turn (ABBA) so that a noisy neighbour hits all alike."""
    return measuring.interleave(sides, blocks=blocks).sides


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """Ratio of the medians with the spread of the blocks' own ratios."""
    return str(measuring.ratio(slow, fast))


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> str:
    """A Markdown table."""
    cells = tuple(tuple(str(cell) for cell in row) for row in rows)
    return measuring.Table(header=tuple(header), rows=cells).markdown()


def recordings_parser(
    description: str, *, count: int, model: bool = True
) -> argparse.ArgumentParser:
    """Options of a benchmark over the recordings of ``whisper-service evaluate``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--split", default="dev", choices=("dev", "test"))
    parser.add_argument("--count", type=int, default=count, help="recordings of each kind")
    if model:
        parser.add_argument("--model", default="demo", help="name or folder of the model")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def report(title: str, facts: Mapping[str, str], body: str, data: Any) -> None:
    """Print the provenance and ``body``; with ``--json`` print ``data`` instead."""
    if "--json" in sys.argv:
        print(json.dumps({"benchmark": title, **facts, "results": data}, ensure_ascii=False))
        return
    print(f"## {title}\n\n" + "\n".join(f"{key}: {value}" for key, value in facts.items()))
    print("\n" + body)
