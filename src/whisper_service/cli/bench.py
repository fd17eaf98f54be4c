"""``whisper-service bench``: what the parts and the whole cost here, and against the old way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import reporting
from whisper_service.cli.output import ensure_writable
from whisper_service.errors import OutputError

if TYPE_CHECKING:
    from whisper_service.evaluation.bench.report import Report
    from whisper_service.evaluation.bench.run import BenchOptions

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service bench --quick                       [dim]# a few minutes[/dim]
whisper-service bench --json bench.json --chart bench.svg
whisper-service bench --model demo --only parts     [dim]# the parts alone[/dim]
"""


def bench(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="demo, tiny-size or base-size; may be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer blocks, shorter clips.")] = False,
    only: Annotated[
        str, typer.Option(metavar="parts|pipeline", help="One half. Default: both.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write everything as JSON.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Also draw ours against the old way.")
    ] = None,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Measure this machine: every part, every stage, the old way beside ours in the same run."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        if only not in ("", "parts", "pipeline"):
            raise typer.BadParameter("give parts or pipeline", param_hint="--only")
        for path in filter(None, (json, chart)):
            ensure_writable(path)
        from whisper_service.evaluation.bench import run
        from whisper_service.evaluation.bench.models import model_names

        options = run.BenchOptions(
            models=model_names(model or []),
            quick=quick,
            parts=only != "pipeline",
            whole=only != "parts",
        )
        report = _measure(options, console)
        typer.echo(report.markdown())
        if json is not None:
            _write(json, report.json())
        if chart is not None:
            _write(chart, report.chart())


def _measure(options: BenchOptions, console: Console) -> Report:
    from whisper_service.evaluation.bench import run

    with console.progress("benchmark", unit="steps") as advance:
        total, done = run.steps(options), 0

        def progress(step: str) -> None:
            nonlocal done
            advance(done, total)
            console.detail(f"measuring {step}")
            done += 1

        return run.bench(options, progress)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"could not write {path}: {error.strerror}") from error
