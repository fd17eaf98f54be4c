"""``whisper-service demo``: the bundled recording, captioned live, with nothing to fetch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import INTERRUPTED, reporting
from whisper_service.cli.inputs import Input
from whisper_service.cli.output import ensure_writable, file_or_stdout
from whisper_service.cli.runner import Job, load_model, run
from whisper_service.cli.settings import (
    ModelChoice,
    Shape,
    Speech,
    choose_format,
    choose_mode,
    stream_options,
)
from whisper_service.types import Mode, Segment, Transcript, to_seconds

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service demo                        [dim]# live, as it would be spoken[/dim]
whisper-service demo --fast                 [dim]# without waiting[/dim]
whisper-service demo --offline -f srt       [dim]# as subtitles[/dim]
"""

LANGUAGES = "en,es,fr,de,zh"  # what the demo model was trained on
_RECORDING = files("whisper_service") / "data" / "code_switching.flac"
_TRUTH = files("whisper_service") / "data" / "code_switching.json"


def demo(
    *,
    live: opt.Live = False,
    fast: opt.Fast = False,
    offline: opt.Offline = False,
    languages: opt.Languages = LANGUAGES,
    output_format: opt.FormatOption = None,
    output: opt.Output = None,
    compute_type: opt.ComputeTypeOption = opt.ComputeType.auto,
    threads: opt.Threads = 0,
    stats: opt.Stats = False,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Caption a bundled recording that changes language, live; nothing is fetched."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        mode = choose_mode(live=live, fast=fast, offline=offline) or "live"
        speech = Speech(languages=languages)
        output = file_or_stdout(output)
        if output is not None:
            ensure_writable(output)
        with demo_job(
            mode, speech=speech, shape=Shape(format=output_format), output=output, stats=stats
        ) as job:
            model = ModelChoice(name="demo", compute_type=compute_type, threads=threads)
            engine = load_model(model, console=console)
            console.note(
                f"{job.input.name}: {job.input.source.duration or 0:.0f} s of synthetic voices "
                "changing language, captioned by the embedded model"
            )
            outcome = run(job, engine=engine, console=console)
        if outcome.interrupted:
            raise typer.Exit(INTERRUPTED)
        console.note(verdict(outcome.transcript))


@contextmanager
def demo_job(
    mode: Mode,
    *,
    speech: Speech = Speech(languages=LANGUAGES),  # noqa: B008 - frozen
    shape: Shape = Shape(),  # noqa: B008 - frozen
    output: Path | None = None,
    stats: bool = False,
) -> Iterator[Job]:
    """Prepare the bundled recording."""
    from whisper_service.audio.sources import FileSource

    with as_file(_RECORDING) as path:
        source = FileSource(path)
        yield Job(
            input=Input(source=source, name="bundled recording", stem="demo", mode=mode),
            options=stream_options(speech, mode=mode),
            format=choose_format(shape, output=output, mode=mode),
            shape=shape,
            output=output,
            stats=stats,
        )


def verdict(transcript: Transcript) -> str:
    """Compare with what is really said in the recording, which is known word by word."""
    from whisper_service.evaluation.wer import mixed_errors

    truth = json.loads(_TRUTH.read_text(encoding="utf-8"))["segments"]
    errors = mixed_errors(
        [(part["text"], part["language"]) for part in truth],
        [(segment.text, segment.language) for segment in transcript.segments],
    )
    right = sum(_spoken_language(s, truth) == s.language for s in transcript.segments)
    changes = sum(a["language"] != b["language"] for a, b in pairwise(truth))
    return (
        f"against the truth: {right} of {len(transcript.segments)} captions in the right "
        f"language, {len(transcript.switches)} changes of language heard ({changes} are there), "
        f"word error rate {errors.rate:.1%}"
    )


def _spoken_language(segment: Segment, truth: list[dict[str, Any]]) -> str:
    """Tell the language spoken for most of a segment's time."""
    start, end = to_seconds(segment.start), to_seconds(segment.end)
    shared: dict[str, float] = {p["language"]: 0.0 for p in truth}
    for part in truth:
        shared[part["language"]] += max(0.0, min(end, part["end"]) - max(start, part["start"]))
    return max(shared, key=lambda code: shared[code])
