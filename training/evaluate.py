"""Measure the demo model: ``python -m training.evaluate [--model demo] [--split test]``.

Runs this project's engine (no PyTorch) over the corpora of ``whisper_service.evaluation.corpus``
and prints the table of the model card as Markdown.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Iterator
from pathlib import Path

from training.figures import (
    Result,
    invented_when_cut,
    language_right,
    run,
    spans_right,
    start_errors,
    word_errors,
    words_on_babble,
    words_on_noise,
)
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.corpus import LANGUAGES, make_split

KINDS = {
    "template": "held-out templates",
    "written": "hand-written",
    "dictionary": "dictionary words",
}
GOALS = {"template": "5 (zh 8)", "written": "15", "dictionary": "25"}


def accuracy_rows(results: list[Result], kinds: dict[str, str]) -> Iterator[str]:
    """Error rate [%] of each kind of sentence, language by language."""
    for kind, label in kinds.items():
        chosen = [r for r in results if r.clip.kind == kind]
        rates = [word_errors([r for r in chosen if r.clip.language == c]).rate for c in LANGUAGES]
        yield _row(f"WER (zh: CER) % {label}", _percent(rates), GOALS.get(kind, ""))


def language_row(results: list[Result]) -> str:
    """Share [%] of clips whose language the whole pipeline found, language by language."""
    rates = [language_right([r for r in results if r.clip.language == c]) for c in LANGUAGES]
    return _row("language of a whole clip right %", _percent(rates), "")


def _percent(rates: list[float]) -> list[str]:
    return [f"{100 * rate:.1f}" for rate in [*rates, statistics.mean(rates)]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo", help="name or folder")
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--clips", type=int, default=200, help="clips a language")
    parser.add_argument("--minutes", type=float, default=10.0, help="of silence and noise")
    parser.add_argument("--out", type=Path, help="file for the table as well")
    args = parser.parse_args()
    engine = load_model(args.model)
    padding = load_model(args.model, context="full")  # pads every window to 30 s
    clips = make_split(args.split, clips=args.clips)
    results = run(engine, clips)
    few = [r for i, r in enumerate(results) if r.clip.kind == "template" and i % 2 == 0]
    lines = [
        f"Model {args.model}, split {args.split}, {args.clips} clips a language, offline mode, "
        f"{platform.processor() or platform.machine()}.",
        "",
        "| figure | " + " | ".join(LANGUAGES) + " | all | goal |",
        "|---" * (len(LANGUAGES) + 3) + "|",
        *accuracy_rows(results, KINDS),
        language_row(results),
    ]
    spoken = [r.clip for r in results]
    for seconds, goal in ((2.0, "99"), (1.0, "95"), (0.5, "")):
        for alone in (False, True):
            share = 100 * spans_right(engine, spoken, seconds, alone=alone)
            how = "encoded alone" if alone else "of the shared encoding"
            lines.append(_row(f"language of {seconds:g} s {how} right %", [f"{share:.1f}"], goal))
    times = start_errors(results)
    lines.append(
        _row("word starts off by, median ms", [f"{1000 * statistics.median(times):.0f}"], "120")
    )
    for at_start in (False, True):
        share = 100 * invented_when_cut(engine, [r.clip for r in few], at_start=at_start)
        where = "start" if at_start else "end"
        lines.append(_row(f"words invented when cut at the {where} %", [f"{share:.1f}"], "3"))
    padded = word_errors(run(padding, [r.clip for r in few])).rate - word_errors(few).rate
    lines.append(_row("padded to 30 s, points of WER more", [f"{100 * padded:.1f}"], "1"))
    noise = words_on_noise(engine, args.minutes)
    lines.append(_row(f"words on {args.minutes:g} min of silence and noise", [str(noise)], "0"))
    babble = words_on_babble(engine, spoken, max(1.0, args.minutes / 5))
    lines.append(_row("words a minute on babble of six", [f"{babble:.1f}"], "1"))
    text = "\n".join(lines)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf8")


def _row(label: str, cells: list[str], goal: str) -> str:
    """A table row; a single value stands in the column of all languages."""
    filled = cells if len(cells) > 1 else [""] * len(LANGUAGES) + cells
    return f"| {label} | " + " | ".join(filled) + f" | {goal} |"


if __name__ == "__main__":
    main()
