"""How far off localised change points are, with their sign: positive is too late.

    .venv/bin/python benchmarks/change_points.py [--split dev] [--count 24] [--model demo]

Runs the product over the suites of `whisper-service evaluate` that change language and matches each
decided change with the nearest true one to the same language. In a pause a point that is too
early lies in silence. "crossing" is where the evidence seemed to turn: the change point is looked
for around it, in spans read off the window's encoding ("localised"; a doubtful word may move it
once more) or, for comparison, in spans of 0.4 s on the same grid that were each encoded alone.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
from common import provenance, recordings_parser, report, table

from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.baselines import PRODUCT
from whisper_service.evaluation.harness import stream_recording
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Recordings, Suite
from whisper_service.lid import LanguageChange
from whisper_service.streaming import localise as localisation
from whisper_service.streaming.encodings import Encodings
from whisper_service.streaming.listening import LanguageListener
from whisper_service.streaming.localise import ChangePoint
from whisper_service.types import to_samples

SUITES: tuple[Suite, ...] = ("switches-no-pause", "switches-pause")
QUANTILES = (5, 25, 50, 75, 95)
NEAREST = 1000  # ms; what lies farther off is another change
PLACES = ("decided", "crossing", "localised", "localised, spans alone")
ALONE = to_samples(0.4)  # a span shorter than that, heard alone, says less of its language


def alone() -> ExitStack:
    """While open, change points are looked for in spans that are encoded alone."""
    stack = ExitStack()
    stack.enter_context(patch.object(localisation, "LOOK", ALONE))
    stack.enter_context(
        patch.object(Encodings, "shared_frames", lambda self, _, spans: self.own_frames(spans))
    )
    return stack


def errors(model: str, suite: Suite, plan: Plan) -> dict[str, list[float]]:
    """Milliseconds from each true change to the places that were found for it."""
    engine, localise = load_model(model), LanguageListener.localise
    found: dict[str, list[float]] = defaultdict(list)
    noted: list[tuple[str, tuple[int, ...]]] = []

    def note(
        self: LanguageListener, change: LanguageChange, *args: Any, **more: Any
    ) -> ChangePoint:
        if noted and noted[-1][0] == change.new:  # the same change, postponed before
            noted.pop()
        point = localise(self, change, *args, **more)
        with alone():
            other = localise(self, change, *args, **more)
        noted.append((change.new, (change.crossing, point.at, other.at)))
        return point

    with patch.object(LanguageListener, "localise", note):
        for recording in Recordings(suite, plan, store=RecordingStore()):
            noted.clear()
            run, _ = stream_recording(engine, PRODUCT, recording)
            decided = [(e.new, e.at) for e, _ in run.switches()]
            places = [decided, *([(new, at[i]) for new, at in noted] for i in range(3))]
            for name, there in zip(PLACES, places, strict=True):
                for true in recording.switches:
                    off = [(at - true.at) / 16 for new, at in there if new == true.new]
                    nearest = min(off, key=abs, default=NEAREST)
                    found[f"{suite}, {name}"] += [nearest] if abs(nearest) < NEAREST else []
    return found


def main() -> None:
    parser = recordings_parser("How far off change points are.", count=24)
    arguments = parser.parse_args()
    plan = Plan(split=arguments.split, count=arguments.count)
    rows, data = [], {}
    for suite in SUITES:
        for name, found in errors(arguments.model, suite, plan).items():
            off = np.array(found)
            marks = [round(float(q)) for q in np.percentile(off, QUANTILES)]
            rows.append((name, len(off), *marks, round(float(np.median(np.abs(off))))))
            data[name] = [round(ms) for ms in found]
    header = ("suite", "changes", *(f"p{q}, ms" for q in QUANTILES), "median distance, ms")
    facts = {**provenance(), "model": arguments.model, "split": arguments.split}
    report("Change points: decided less true", facts, table(rows, header), data)


if __name__ == "__main__":
    main()
