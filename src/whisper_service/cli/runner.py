"""One recording or stream, from its source to its written result."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whisper_service.cli.console import Console
from whisper_service.cli.inputs import Input
from whisper_service.cli.interrupt import Interruptible
from whisper_service.cli.options import Format
from whisper_service.cli.output import Destination, destination
from whisper_service.cli.settings import ModelChoice, Shape
from whisper_service.cli.views import JsonLines, View, views_for
from whisper_service.config import StreamOptions
from whisper_service.errors import InvalidAudioError
from whisper_service.events import Event
from whisper_service.types import Transcript, to_seconds

if TYPE_CHECKING:
    from whisper_service.engine.base import Engine
    from whisper_service.streaming.transcriber import StreamTranscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One input and where its transcript goes."""

    input: Input
    options: StreamOptions
    format: Format | None  # None: live captions, a line each
    shape: Shape
    output: Path | None = None  # None: stdout
    stats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out of a job."""

    transcript: Transcript
    interrupted: bool  # a signal ended it early


def load_model(
    choice: ModelChoice,
    *,
    console: Console,
    context: float | Literal["auto", "full"] = "auto",
) -> Engine:
    """Find the model, fetching it on first use with a progress bar, and load it.

    ``context`` is the encoder's input: as long as the speech, 30 s, or at least so many seconds.
    """
    started = time.perf_counter()
    from whisper_service.engine.load import load_engine
    from whisper_service.models.store import resolve

    with console.progress(f"fetching {choice.name}", unit="B") as advance:
        path = resolve(choice.name, models_dir=choice.models_dir, progress=advance)
    engine = load_engine(
        path,
        name=choice.name,
        compute_type=choice.compute_type.value,
        threads=choice.threads or None,
        context=context,
    )
    console.detail(f"{choice.name} from {path}, ready in {time.perf_counter() - started:.2f} s")
    return engine


def run(job: Job, *, engine: Engine, console: Console, watchers: Sequence[View] = ()) -> Outcome:
    """Transcribe one input and write the result.

    The output is opened first: what cannot be written is known before anything is decoded.
    Input that breaks off is transcribed up to there and written before its error is raised.
    ``watchers`` see what is shown besides the views that fit the terminal.
    """
    from whisper_service.streaming.transcriber import StreamTranscriber

    clock = time.monotonic if job.options.mode == "live" else None
    with destination(job.output) as sink, Interruptible() as interruptible:
        stream = StreamTranscriber(engine, job.options, clock=clock)
        with ExitStack() as stack:
            shown = [*_views(job, sink=sink, console=console), *watchers]
            views = [stack.enter_context(view) for view in shown]
            broken = _pump(job.input, stream, views=views, interruptible=interruptible)
        transcript = stream.transcript()
        if job.format is not None and job.format is not Format.jsonl:
            sink.write(render(transcript, job.format, job.shape))
    for warning in job.input.source.warnings:
        console.warn(warning)
    warn_of_other_languages(transcript, job.options.language.languages, console=console)
    if job.stats:
        print_statistics(stream, console=console)
    if broken is not None:
        raise broken
    return Outcome(transcript=transcript, interrupted=interruptible.requested)


def render(transcript: Transcript, document: Format, shape: Shape) -> str:
    """Write the whole transcript as a document."""
    from whisper_service.text.captions import CaptionOptions
    from whisper_service.text.formats import FormatOptions, write_transcript

    captions = CaptionOptions(
        max_line_width=shape.max_line_width, max_line_count=shape.max_line_count
    )
    options = FormatOptions(language_tags=shape.language_tags, captions=captions)
    return write_transcript(transcript, document.value, options=options)


def warn_of_other_languages(
    transcript: Transcript, languages: Sequence[str], *, console: Console
) -> None:
    """Say how much speech was left out because it was in none of ``languages``."""
    left_out = [g for g in transcript.gaps if g.reason == "other_language"]
    if left_out:
        seconds = to_seconds(sum(g.end - g.start for g in left_out))
        console.warn(
            f"{seconds:.1f} s of speech were in none of {','.join(languages)} and left out; "
            "name the other languages in --languages too"
        )


def print_statistics(stream: StreamTranscriber, *, console: Console) -> None:
    """Where the audio and the time went."""
    account = stream.account
    console.note(
        f"audio: {to_seconds(account.received):.1f} s received, "
        f"{to_seconds(account.decoded):.1f} s decoded, "
        f"{to_seconds(account.skipped_silence):.1f} s silence, "
        f"{to_seconds(account.dropped):.1f} s dropped"
    )
    console.note(stream.get_performance_summary())


def _views(job: Job, *, sink: Destination, console: Console) -> list[View]:
    if job.format is Format.jsonl and job.output is None and sys.stdout.isatty():
        return [JsonLines(sink.write)]  # a moving view would run through its lines
    views = views_for(
        job.options.mode,
        console=console,
        title=job.input.name,
        duration=job.input.source.duration,
        captions=sink.write if job.format is None else None,
    )
    return [*views, JsonLines(sink.write)] if job.format is Format.jsonl else views


def _pump(
    audio: Input,
    stream: StreamTranscriber,
    *,
    views: Sequence[View],
    interruptible: Interruptible,
) -> InvalidAudioError | None:
    """Feed everything and finish; the error that cut the audio short after it had begun."""
    broken = None
    told = 0
    try:
        for chunk in interruptible.iterate(audio.chunks, stop=audio.stop):
            told = _tell_lost(audio, stream, views, told=told)
            _show(stream.feed(chunk), views)
            for view in views:
                view.heard(stream.account.received)
    except InvalidAudioError as error:
        if not stream.account.received:
            raise
        broken = error
    _tell_lost(audio, stream, views, told=told)
    _show(stream.finish(), views)
    return broken


def _tell_lost(audio: Input, stream: StreamTranscriber, views: Sequence[View], *, told: int) -> int:
    """Tell the stream what was lost before the newest chunk, beyond ``told``; all it knows of."""
    if audio.dropped > told:
        _show(stream.drop(audio.dropped - told), views)
    return audio.dropped


def _show(events: Iterable[Event], views: Sequence[View]) -> None:
    for event in events:
        for view in views:
            view.show(event)
