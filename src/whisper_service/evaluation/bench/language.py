"""Batch LID against one by one, and LID beside the decode against LID before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from whisper_service.engine.base import Engine, Span
from whisper_service.evaluation.bench.measuring import Section, Table, interleave, ratio
from whisper_service.evaluation.bench.models import Subject
from whisper_service.evaluation.bench.pipeline import run
from whisper_service.evaluation.bench.workload import Clip, Counted, stream_options
from whisper_service.types import FloatArray

FRAMES = 5  # LID frames of a 0.5 s update

WAYS = {
    "one after the other, batch LID": (False, False),
    "one after the other, one by one": (False, True),
    "beside the decode, batch LID": (True, False),
    "beside the decode, one by one": (True, True),
}
"""Name → (decode beside the probe, spans one by one)."""

DEFAULT = "one after the other, batch LID"


class OneByOne(Counted):
    """An engine whose language head gets one span a call."""

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        if not spans:
            return self.engine.language_probabilities(spans)
        rows = [self.engine.language_probabilities([span]) for span in spans]
        return np.concatenate(rows)


def language_identification(
    subject: Subject, engine: Engine, clip: Clip, *, blocks: int
) -> Section:
    """Median update of each way, interleaved run by run, and the head alone."""
    updates: dict[str, list[float]] = {name: [] for name in WAYS}
    computed: dict[str, list[float]] = {name: [] for name in WAYS}
    for block in range(blocks + 1):
        for name in WAYS if block % 2 else reversed(WAYS):
            beside, single = WAYS[name]
            found = run(
                OneByOne(engine) if single else engine,
                clip,
                fixed=subject.random,
                options=replace(stream_options(), parallel=beside),
            )
            if block:  # the first prepares every shape
                updates[name] += found.replayed.updates
                computed[name].append(found.replayed.computed)
    winner = min(WAYS, key=lambda name: float(np.median(computed[name])))
    rows, data = [], dict[str, Any]()
    for name in WAYS:
        marks = [float(np.quantile(updates[name], q)) * 1e3 for q in (0.5, 0.95)]
        against = ratio(computed[DEFAULT], computed[name])
        data[name] = {"p50_ms": marks[0], "p95_ms": marks[1], "gain": against.as_dict()}
        label = f"**{name}**" if name == winner else name
        rows.append((label, *(f"{m:.1f}" for m in marks), str(against)))
    data |= {"winner": winner, "head": _head(engine)}
    header = ("way", "update p50 ms", "p95 ms", "whole run, faster than the default by")
    return Section(
        name=f"language: {subject}",
        title=f"Batch and parallel LID: {subject}",
        tables=(Table(header=header, rows=tuple(rows)),),
        data=data,
        notes=(_note(data["head"], winner),),
    )


def _head(engine: Engine) -> dict[str, Any]:
    """The language head alone: five frames of 1 s in one call against five calls."""
    mel = np.random.default_rng(0).uniform(-1, 1, (engine.n_mels, 400)).astype(np.float32)
    (encoded,) = engine.encode([mel])
    spans = [Span(encoded, 5 * i, 5 * i + 50) for i in range(FRAMES)]
    sides: dict[str, Callable[[], object]] = {
        "batch": lambda: engine.language_probabilities(spans),
        "one by one": lambda: [engine.language_probabilities([span]) for span in spans],
    }
    for side in sides.values():
        side()
    times = interleave(sides, blocks=40)
    gain = times.ratio("one by one", "batch")
    return {
        "batch_ms": times.median("batch", per=FRAMES) * 1e3,
        "one_by_one_ms": times.median("one by one", per=FRAMES) * 1e3,
        "less": 1 - 1 / gain.median,
    }


def _note(head: dict[str, Any], winner: str) -> str:
    return (
        f"The language head alone, a frame: {head['batch_ms']:.2f} ms in a batch of {FRAMES}, "
        f"{head['one_by_one_ms']:.2f} ms one by one ({head['less']:.0%} less). Winner: {winner}; "
        f"the default is {DEFAULT}."
    )
