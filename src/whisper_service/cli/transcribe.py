"""``whisper-service transcribe``: files, standard input or the microphone into text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from whisper_service.cli import options as opt
from whisper_service.cli.console import Console
from whisper_service.cli.errors import INTERRUPTED, OK, report, reporting
from whisper_service.cli.inputs import Input, RawAudio, open_input
from whisper_service.cli.options import Format
from whisper_service.cli.output import ensure_folder, ensure_writable, file_or_stdout
from whisper_service.cli.runner import Job, Outcome, load_model, run
from whisper_service.cli.settings import (
    ModelChoice,
    Shape,
    Speech,
    choose_format,
    choose_mode,
    encoder_context,
    stream_options,
)
from whisper_service.errors import (
    InvalidAudioError,
    InvalidOptionError,
    OutputError,
    WhisperServiceError,
)
from whisper_service.types import Mode

EXAMPLES = """\
[bold]Examples[/bold]
whisper-service transcribe talk.mp3                                   [dim]# text on stdout[/dim]
whisper-service transcribe talk.mp4 -o talk.srt                       [dim]# subtitles[/dim]
whisper-service transcribe *.wav --output-dir out --format json
whisper-service transcribe mic --languages en,es                      [dim]# live[/dim]
whisper-service transcribe talk.wav --live --model demo               [dim]# offline[/dim]
ffmpeg -i rtsp://… -f s16le -ar 16000 -ac 1 - | whisper-service transcribe - --rate 16000
"""

DEFAULT_MODEL = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything one call asks for."""

    inputs: Sequence[str]
    model: ModelChoice
    speech: Speech
    shape: Shape
    mode: Mode | None
    raw: RawAudio
    mic_device: str | None
    output: Path | None
    output_dir: Path | None
    stats: bool


def transcribe(
    *,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT…",
            help="Audio or video files, - for standard input, mic for the microphone.",
            show_default=False,
        ),
    ],
    model: opt.Model = DEFAULT_MODEL,
    models_dir: opt.ModelsDir = None,
    device: opt.DeviceOption = opt.Device.auto,
    compute_type: opt.ComputeTypeOption = opt.ComputeType.auto,
    threads: opt.Threads = 0,
    language: opt.Language = None,
    languages: opt.Languages = None,
    task: opt.TaskOption = opt.TaskName.transcribe,
    prompt: opt.Prompt = "",
    live: opt.Live = False,
    fast: opt.Fast = False,
    offline: opt.Offline = False,
    context: opt.Context = "auto",
    policy: opt.Policy = opt.PolicyName.align_att,
    beam_size: opt.BeamSize = 1,
    output_format: opt.FormatOption = None,
    output: opt.Output = None,
    output_dir: opt.OutputDir = None,
    max_line_width: opt.MaxLineWidth = 42,
    max_line_count: opt.MaxLineCount = 2,
    language_tags: opt.LanguageTags = False,
    stats: opt.Stats = False,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
    rate: opt.Rate = None,
    encoding: opt.EncodingOption = None,
    channels: opt.Channels = None,
    mic_device: opt.MicDevice = None,
) -> None:
    """Turn speech into text: recordings, streams, or what is being said now."""
    console = Console(verbosity=-1 if quiet else verbose)
    with reporting(console):
        request = Request(
            inputs=inputs,
            model=ModelChoice(
                name=model,
                models_dir=models_dir,
                device=device,
                compute_type=compute_type,
                threads=threads,
            ),
            speech=Speech(
                language=language,
                languages=languages,
                task=task,
                prompt=prompt,
                context=context,
                policy=policy,
                beam_size=beam_size,
            ),
            shape=Shape(
                format=output_format,
                max_line_width=max_line_width,
                max_line_count=max_line_count,
                language_tags=language_tags,
            ),
            mode=choose_mode(live=live, fast=fast, offline=offline),
            raw=RawAudio(rate=rate, encoding=encoding, channels=channels),
            mic_device=mic_device,
            output=file_or_stdout(output),
            output_dir=output_dir,
            stats=stats,
        )
        code = transcribe_all(request, console=console)
        if code != OK:
            raise typer.Exit(code)


def transcribe_all(request: Request, *, console: Console) -> int:
    """Every input in turn with one loaded model; the exit code.

    One input that fails is reported and the others still run; the first failure decides the
    code. A signal ends the running input and the whole call.
    """
    context = encoder_context(request.speech.context)
    opened, code = _open_inputs(request, console=console)
    jobs = _plan(request, opened)
    if not jobs:
        return code
    engine = load_model(request.model, console=console, context=context)
    _warn_of_limits(request, jobs[0], console=console)
    for job in jobs:
        if len(jobs) > 1 and request.output_dir is None:
            console.note(f"── {job.input.name}")
        try:
            outcome = run(job, engine=engine, console=console)
        except OutputError:
            raise  # the next result would not fit either
        except WhisperServiceError as error:
            if request.raw.given and isinstance(error, InvalidAudioError):
                error.add_note("check --rate, --encoding and --channels")
            failure = report(error, console)
            code = code or failure
            continue
        _conclude(job, outcome, console=console)
        if outcome.interrupted:
            return INTERRUPTED
    return code


def _open_inputs(request: Request, *, console: Console) -> tuple[list[Input], int]:
    opened: list[Input] = []
    code = OK
    for name in request.inputs:
        try:
            opened.append(
                open_input(name, mode=request.mode, raw=request.raw, mic_device=request.mic_device)
            )
        except InvalidOptionError:
            raise
        except WhisperServiceError as error:
            failure = report(error, console)
            code = code or failure
    return opened, code


def _plan(request: Request, inputs: Sequence[Input]) -> list[Job]:
    """Jobs with their outputs checked, so that nothing is loaded or decoded in vain."""
    if request.output is not None and request.output_dir is not None:
        raise InvalidOptionError("--output and --output-dir exclude each other: choose one")
    if request.output is not None and len(request.inputs) > 1:
        raise InvalidOptionError("--output takes one input: use --output-dir for several")
    if request.output_dir is not None:
        ensure_folder(request.output_dir)
        twice = [name for name, times in Counter(i.name for i in inputs).items() if times > 1]
        if twice:
            raise InvalidOptionError(
                f"{twice[0]} is given twice: one result would replace the other"
            )
    elif request.output is not None:
        ensure_writable(request.output)
    stems = Counter(i.stem for i in inputs)
    return [_job(request, i, unique=stems[i.stem] == 1) for i in inputs]


def _job(request: Request, source: Input, *, unique: bool) -> Job:
    output = request.output
    chosen = choose_format(request.shape, output=output, mode=source.mode)
    if request.output_dir is not None:
        chosen = chosen or Format.txt
        name = source.stem if unique else source.name.replace("/", "_")
        output = request.output_dir / f"{name}.{chosen.value}"
    return Job(
        input=source,
        options=stream_options(request.speech, mode=source.mode),
        format=chosen,
        shape=request.shape,
        output=output,
        stats=request.stats,
    )


def _warn_of_limits(request: Request, job: Job, *, console: Console) -> None:
    """Say what a known model was not made for; other models' limits only they know."""
    from whisper_service.models.catalog import DEMO, lookup

    entry = lookup(request.model.name)
    if entry is DEMO:
        console.note("the demo model only knows synthetic voices: use --model base for real speech")
    trained = entry.languages if entry is not None else ()
    foreign = [code for code in job.options.language.languages if trained and code not in trained]
    if foreign:
        console.warn(
            f"{request.model.name} was trained on {', '.join(trained)}, not on {', '.join(foreign)}"
        )


def _conclude(job: Job, outcome: Outcome, *, console: Console) -> None:
    if not outcome.transcript.text and not outcome.interrupted:
        console.note(f"no speech found in {job.input.name}")
    if job.output is not None:
        console.detail(f"wrote {job.output}")
