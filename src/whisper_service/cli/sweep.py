"""``whisper-service sweep``: switching thresholds chosen from recorded posteriors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import reporting
from whisper_service.cli.output import ensure_writable
from whisper_service.types import to_seconds

if TYPE_CHECKING:
    from whisper_service.evaluation.recording import Recording
    from whisper_service.evaluation.sweep import Outcome

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service sweep                                        [dim]# dev split, demo model[/dim]
whisper-service sweep --hours 2 --chart docs/images/sweep.svg
whisper-service sweep --json
"""

_SHOWN = 12  # rows of the front at most


def sweep(
    *,
    count: Annotated[int, typer.Option(min=1, help="Recordings of each switch suite.")] = 30,
    hours: Annotated[float, typer.Option(min=0.01, help="Hours of monolingual speech.")] = 0.5,
    grammar: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Sentences from grammar files (en.txt …) in a folder."),
    ] = None,
    model: opt.Model = "demo",
    models_dir: opt.ModelsDir = None,
    threads: opt.Threads = 0,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the Pareto front as an SVG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every combination as JSON.")] = False,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Record what the model hears on the dev split once, then try thresholds on the recording."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        from whisper_service.config import LanguageOptions
        from whisper_service.engine.by_name import load_model
        from whisper_service.evaluation import sweep as sweeping
        from whisper_service.evaluation.posteriors import PosteriorRecorder

        if chart is not None:
            ensure_writable(chart)
        engine = load_model(model, models_dir=models_dir, threads=threads or None)
        recordings = _recordings(count=count, hours=hours, grammar=grammar)
        recorder = PosteriorRecorder(engine)
        recorded, total = [], sum(len(r.samples) for r in recordings)
        with console.progress("listening") as advance:
            done = 0
            for recording in recordings:
                heard = recorder.record(recording.samples, recording.speech)
                recorded.append(sweeping.Recorded(recording=recording, utterances=tuple(heard)))
                done += len(recording.samples)
                advance(to_seconds(done), to_seconds(total))
        base = LanguageOptions(policy="code_switch", languages=recordings[-1].languages)
        combinations = list(sweeping.combinations(base))
        outcomes = []
        with console.progress("trying", unit="steps") as advance:
            for number, (chosen, options) in enumerate(combinations, 1):
                outcomes.append(sweeping.evaluate_options(engine, recorded, options, chosen=chosen))
                advance(number, len(combinations))
        now = sweeping.evaluate_options(engine, recorded, base, chosen={"as it is": ""})
        _print(outcomes, now, as_json=as_json)
        if chart is not None:
            chart.write_text(sweeping.chart(outcomes, chosen=now), encoding="utf-8")
            console.note(f"wrote {chart}")


def _recordings(*, count: int, hours: float, grammar: Path | None) -> list[Recording]:
    from whisper_service.evaluation.store import RecordingStore
    from whisper_service.evaluation.suites import Plan, build

    plan = Plan(split="dev", count=count, minutes=hours * 60 / 5, grammar=grammar)
    store = RecordingStore()
    return [
        recording
        for suite in ("switches-pause", "switches-no-pause", "monolingual")
        for recording in build(suite, plan, store=store)
    ]


def _print(outcomes: Sequence[Outcome], now: Outcome, *, as_json: bool) -> None:
    from whisper_service.evaluation.report import table
    from whisper_service.evaluation.sweep import pareto

    if as_json:
        rows = [{**asdict(o), "false_per_hour": o.false_per_hour} for o in (now, *outcomes)]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    front = [*pareto(outcomes)[:_SHOWN], now]
    typer.echo(table(("options", "lag p50", "p95", "missed", "false", "false/h"), _rows(front)))


def _rows(outcomes: Sequence[Outcome]) -> list[list[Any]]:
    return [
        [
            ", ".join(f"{k} {v}".strip() for k, v in o.options.items()),
            f"{o.lag_p50:.2f} s",
            f"{o.lag_p95:.2f} s",
            f"{o.missed} of {o.switches}",
            o.false_switches,
            f"{o.false_per_hour:.1f}",
        ]
        for o in outcomes
    ]
