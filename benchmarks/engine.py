"""The engine's speed and weights, by model size and compute type: the table of docs/ENGINE.md.

    python benchmarks/engine.py [--models demo tiny-size base-size] [--threads N] [--quick] [--json]

Part of `whisper-service bench`; measured in `whisper_service.evaluation.bench.precision`, which
says how.
"""

from __future__ import annotations

import argparse

from common import provenance, report

from whisper_service.evaluation.bench.models import MODELS, model_names
from whisper_service.evaluation.bench.precision import precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true", help="fewer blocks")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    args = parser.parse_args()
    section = precision(
        model_names(args.models), quick=args.quick, progress=lambda _: None, threads=args.threads
    )
    facts = provenance(threads=str(args.threads or "default"))
    body = "\n\n".join([*(table.markdown() for table in section.tables), *section.notes])
    report(section.title, facts, body, section.data)


if __name__ == "__main__":
    main()
