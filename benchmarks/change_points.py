"""How far off localised change points are, with their sign: positive is too late.

    .venv/bin/python benchmarks/change_points.py [--split dev] [--count 24] [--model demo]

Runs the product over the suites of `whisper-service evaluate` that change language and matches each
decided change with the nearest true one to the same language. In a pause a point that is too
early lies in silence.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import provenance, report, table

from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.baselines import PRODUCT
from whisper_service.evaluation.harness import stream_recording
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Recordings

QUANTILES = (5, 25, 50, 75, 95)
NEAREST = 1000  # ms; what lies farther off is another change


def errors(model: str, suite: str, plan: Plan) -> list[float]:
    """Milliseconds from each true change to the decided one."""
    engine = load_model(model)
    found = []
    for recording in Recordings(suite, plan, store=RecordingStore()):
        run, _ = stream_recording(engine, PRODUCT, recording)
        for true in recording.switches:
            off = [(e.at - true.at) / 16 for e, _ in run.switches() if e.new == true.new]
            found += [ms for ms in [min(off, key=abs, default=NEAREST)] if abs(ms) < NEAREST]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="How far off change points are.")
    parser.add_argument("--split", default="dev", choices=("dev", "test"))
    parser.add_argument("--count", type=int, default=24, help="recordings of each suite")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    plan = Plan(split=arguments.split, count=arguments.count)
    rows, data = [], {}
    for suite in ("switches-no-pause", "switches-pause"):
        off = np.array(errors(arguments.model, suite, plan))
        marks = [round(float(q)) for q in np.percentile(off, QUANTILES)]
        rows.append((suite, len(off), *marks, round(float(np.median(np.abs(off))))))
        data[suite] = [round(ms) for ms in off.tolist()]
    header = ("suite", "changes", *(f"p{q}, ms" for q in QUANTILES), "median distance, ms")
    facts = {**provenance(), "model": arguments.model, "split": arguments.split}
    report("Change points: decided less true", facts, table(rows, header), data)


if __name__ == "__main__":
    main()
