"""How far off localised change points are, with their sign: positive is too late.

    .venv/bin/python benchmarks/change_points.py [--split dev] [--count 24] [--model demo]

Runs the product over the suites of `whisper-service evaluate` that change language and matches each
decided change with the nearest true one to the same language. In a pause a point that is too
early lies in silence. "crossing" is where the evidence seemed to turn, before localisation: the
change point is looked for around it.
"""

from __future__ import annotations

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
from whisper_service.streaming.listening import LanguageListener

SUITES: tuple[Suite, ...] = ("switches-no-pause", "switches-pause")
QUANTILES = (5, 25, 50, 75, 95)
NEAREST = 1000  # ms; what lies farther off is another change


def errors(model: str, suite: Suite, plan: Plan) -> dict[str, list[float]]:
    """Milliseconds from each true change to the decided one, and to the crossing it came from."""
    engine, localise = load_model(model), LanguageListener.localise
    found: dict[str, list[float]] = {suite: [], f"{suite}, crossing": []}
    crossings: list[tuple[str, int]] = []

    def noted(self: LanguageListener, change: LanguageChange, *args: Any, **more: Any) -> int:
        if crossings and crossings[-1][0] == change.new:  # the same change, postponed before
            crossings.pop()
        crossings.append((change.new, change.crossing))
        return localise(self, change, *args, **more)

    with patch.object(LanguageListener, "localise", noted):
        for recording in Recordings(suite, plan, store=RecordingStore()):
            crossings.clear()
            run, _ = stream_recording(engine, PRODUCT, recording)
            decided = [(e.new, e.at) for e, _ in run.switches()]
            for name, places in zip(found, (decided, crossings), strict=True):
                for true in recording.switches:
                    off = [(at - true.at) / 16 for new, at in places if new == true.new]
                    nearest = min(off, key=abs, default=NEAREST)
                    found[name] += [nearest] if abs(nearest) < NEAREST else []
    return found


def main() -> None:
    parser = recordings_parser("How far off change points are.", count=24)
    parser.add_argument("--model", default="demo")
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
