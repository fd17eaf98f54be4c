"""``whisper-service evaluate``: how well changes of language are followed, against baselines."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whisper_service import __version__
from whisper_service.cli import options as opt
from whisper_service.cli.console import Advance, Console
from whisper_service.cli.errors import INTERRUPTED, reporting
from whisper_service.cli.output import ensure_writable
from whisper_service.types import to_seconds

if TYPE_CHECKING:
    from whisper_service.engine.base import Engine
    from whisper_service.engine.openvino import OpenVinoEngine
    from whisper_service.evaluation.baselines import System
    from whisper_service.evaluation.harness import Progress, SuiteResult, Timeline
    from whisper_service.evaluation.jobs import Corpus, Workers
    from whisper_service.evaluation.report import Report

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service evaluate --quick                             [dim]# minutes[/dim]
whisper-service evaluate --baselines --html report.html      [dim]# a page with timelines[/dim]
whisper-service evaluate --suite monolingual --hours 10 --jobs 2   [dim]# a false switch?[/dim]
whisper-service evaluate --manifest ./recordings --model base
"""

_PANEL = "What to run"


class SuiteName(StrEnum):
    switches_pause = "switches-pause"
    switches_no_pause = "switches-no-pause"
    insertions = "insertions"
    mix3 = "mix3"
    mix5 = "mix5"
    monolingual = "monolingual"
    accuracy = "accuracy"
    everything = "all"


class SplitName(StrEnum):
    dev = "dev"
    test = "test"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asked for."""

    suites: tuple[str, ...]
    split: SplitName
    count: int
    minutes: float
    grammar: Path | None
    manifest: Path | None
    baselines: bool
    others: tuple[System, ...] = ()  # other programs


def evaluate(
    *,
    suite: Annotated[
        list[SuiteName] | None,
        typer.Option("--suite", help="May be given more than once.", rich_help_panel=_PANEL),
    ] = None,
    split: Annotated[
        SplitName,
        typer.Option(help="Thresholds are chosen on dev; test gives the published figures."),
    ] = SplitName.test,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few recordings a suite, 2 minutes a language.")
    ] = False,
    count: Annotated[
        int, typer.Option(min=1, help="Recordings of each switch suite (mixes: a quarter).")
    ] = 40,
    hours: Annotated[
        float, typer.Option(min=0.01, help="Hours of monolingual speech, all languages together.")
    ] = 0.5,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Score a folder with a manifest.jsonl instead."),
    ] = None,
    grammar: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Sentences from grammar files (en.txt …) in a folder."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Run other ways to follow the language too.")
    ] = False,
    converted: Annotated[
        Path | None,
        typer.Option(
            "--faster-whisper",
            metavar="DIR",
            envvar="WHISPER_SERVICE_FASTER_WHISPER",
            help="The model converted for faster-whisper, a baseline where that is installed. "
            "Default: where benchmarks/convert_for_faster_whisper.py writes it.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes, one thread each. What is heard stays the same; latency figures are "
            "then those of a busy machine.",
        ),
    ] = 1,
    model: opt.Model = "demo",
    models_dir: opt.ModelsDir = None,
    compute_type: opt.ComputeTypeOption = opt.ComputeType.auto,
    threads: opt.Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with timelines.")
    ] = None,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Measure accuracy, switching and latency on speech whose words and languages are known."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        from whisper_service.engine.by_name import load_model

        if html is not None:
            ensure_writable(html)
        loading: dict[str, Any] = {
            "models_dir": models_dir,
            "compute_type": compute_type.value,
            "threads": threads or (1 if jobs > 1 else None),
        }
        engine = load_model(model, **loading)
        wanted = Wanted(
            suites=_suites(suite),
            split=split,
            count=min(count, 6) if quick else count,
            minutes=2.0 if quick else hours * 60 / 5,
            grammar=grammar,
            manifest=manifest,
            baselines=baselines,
            others=_others(engine, converted, models_dir, console) if baselines else (),
        )
        with _workers(jobs, name=model, **loading) as processes:
            report, timelines, whole = _run(engine, wanted, console=console, processes=processes)
        _print(report, as_json=as_json)
        if html is not None:
            from whisper_service.evaluation.page import html_page

            html.write_text(html_page(report, timelines), encoding="utf-8")
            console.note(f"wrote {html}")
        if not whole:
            raise typer.Exit(INTERRUPTED)


def _suites(names: Sequence[SuiteName] | None) -> tuple[str, ...]:
    everything = tuple(s.value for s in SuiteName if s is not SuiteName.everything)
    if not names or SuiteName.everything in names:
        return everything
    return tuple(dict.fromkeys(s.value for s in names))


def _others(
    engine: OpenVinoEngine, folder: Path | None, models_dir: Path | None, console: Console
) -> tuple[System, ...]:
    """Other programs that are here with the model; a note says what is missing."""
    from whisper_service.evaluation.converted import converted_folder
    from whisper_service.evaluation.faster_whisper import faster_whisper, why_not
    from whisper_service.models.checkpoint import load_checkpoint
    from whisper_service.models.store import resolve

    folder = folder or converted_folder(engine.name)
    fingerprint = load_checkpoint(resolve(engine.name, models_dir=models_dir)).fingerprint
    if reason := why_not(folder, fingerprint=fingerprint):
        console.note(reason)
        return ()
    window = engine.longest_window
    return (faster_whisper(folder, longest_window=window, threads=engine.threads),)


def _workers(jobs: int, **model: Any) -> AbstractContextManager[Workers | None]:
    if jobs == 1:
        return nullcontext()
    from whisper_service.evaluation.jobs import workers

    return workers(jobs, **model)


def _run(
    engine: Engine, wanted: Wanted, *, console: Console, processes: Workers | None
) -> tuple[Report, list[Timeline], bool]:
    """What was measured, pictures of it, and whether that is all: Ctrl-C keeps what is finished."""
    from whisper_service.evaluation.goals import figures

    results: dict[str, dict[str, Any]] = {}
    timelines: list[Timeline] = []
    titles: dict[str, str] = {}
    whole = True
    try:
        for corpus, system, result in _results(engine, wanted, console, processes):
            titles[system.name] = system.title
            found = figures(result.tally, suite=corpus)
            results.setdefault(corpus, {})[system.name] = found
            if system.name == "whisper-service":
                timelines += result.timelines
    except KeyboardInterrupt:
        if not results:
            raise
        whole = False
        console.note("interrupted: what was finished until then follows")
    report = {"facts": _facts(engine, wanted), "systems": titles, "results": results}
    return report, timelines, whole


def _results(
    engine: Engine, wanted: Wanted, console: Console, processes: Workers | None
) -> Iterator[tuple[str, System, SuiteResult]]:
    """Run each system on each suite."""
    from whisper_service.evaluation.baselines import share_of
    from whisper_service.evaluation.harness import run_system, warm_up

    for corpus in _corpora(wanted):
        recordings = corpus.recordings()
        for system in _systems(corpus.name, wanted):
            began = time.monotonic()
            title = f"{corpus.name}, {system.name}"
            with console.progress(title) as advance:
                progress = _progress(advance, console, title=title, count=len(recordings))
                if processes is not None and system.whole is None:
                    result = processes.run(corpus, recordings, system, progress=progress)
                else:  # another program has its own way to use the cores
                    warm_up(engine, system, recordings[0])
                    part = share_of(recordings, system)
                    result = run_system(engine, system, part, progress=progress)
            console.note(f"{title}: {time.monotonic() - began:.0f} s")
            yield corpus.name, system, result


def _progress(
    advance: Advance, console: Console, *, title: str, count: int
) -> Callable[[Progress], None]:
    """Move the bar, and with ``--verbose`` say a line for each recording."""

    def show(progress: Progress) -> None:
        done = to_seconds(progress.samples)
        advance(done, done / progress.recordings * count)
        console.detail(
            f"{title}: {progress.recordings} of {count}, {progress.newest}; "
            f"false switches so far: {progress.false_switches}"
        )

    return show


def _corpora(wanted: Wanted) -> Iterator[Corpus]:
    from whisper_service.evaluation.jobs import Corpus
    from whisper_service.evaluation.suites import Plan

    if wanted.manifest is not None:
        yield Corpus(manifest=wanted.manifest)
        return
    plan = Plan(
        split=wanted.split.value,
        count=wanted.count,
        minutes=wanted.minutes,
        grammar=wanted.grammar,
    )
    for suite in wanted.suites:
        yield Corpus(suite=suite, plan=plan)  # type: ignore[arg-type]


def _systems(suite: str, wanted: Wanted) -> Iterator[System]:
    from whisper_service.evaluation import baselines

    yield baselines.PRODUCT
    if suite == "accuracy" or wanted.baselines:
        yield baselines.AGREEMENT
    if suite == "accuracy":
        yield baselines.OFFLINE
    elif wanted.baselines:
        yield from baselines.BASELINES
    yield from wanted.others


def _facts(engine: Engine, wanted: Wanted) -> dict[str, str]:
    return {
        "model": engine.name,
        "version": __version__,
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "date": date.today().isoformat(),
        "split": wanted.split.value,
        "sentences": str(wanted.grammar) if wanted.grammar else "held out",
    }


def _print(report: Report, *, as_json: bool) -> None:
    from whisper_service.evaluation.report import goal_rows, markdown

    if as_json:
        typer.echo(json.dumps({**report, "goals": goal_rows(report)}, ensure_ascii=False))
    else:
        typer.echo(markdown(report))
