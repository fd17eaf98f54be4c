"""What a running transcription is shown on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from whisper_service.events import Event, Final
from whisper_service.types import SAMPLE_RATE, Mode, Segment

if TYPE_CHECKING:
    from whisper_service.cli.console import Console


class View:
    """Takes events while audio runs. A context manager; this one shows nothing."""

    def __enter__(self) -> View:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the view down."""

    def show(self, event: Event) -> None:
        """Take one event."""

    def heard(self, samples: int) -> None:
        """So many samples were received; called after each chunk."""


class CaptionLines(View):
    """One line per finished caption, written at once: for pipes, files and logs."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def show(self, event: Event) -> None:
        if isinstance(event, Final) and event.segment.text.strip():
            self._write(caption(event.segment) + "\n")


class JsonLines(View):
    """One JSON object per event, written at once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def show(self, event: Event) -> None:
        from whisper_service.text.formats import event_to_json

        self._write(event_to_json(event) + "\n")


def views_for(
    mode: Mode,
    *,
    console: Console,
    title: str,
    duration: float | None,
    captions: Callable[[str], None] | None,
) -> list[View]:
    """Choose the views for one run.

    ``captions`` writes finished captions when these are the result (``None``: the result is a
    document, written at the end). The moving view goes to stdout only when captions do and it
    is a terminal; otherwise it goes to stderr, and nowhere when that is no terminal either.
    """
    if mode == "offline":
        from whisper_service.cli.progress import ProgressView

        return [ProgressView(console, title, duration)]
    if captions is not None and sys.stdout.isatty() and not console.quiet:
        return [_terminal_view(stderr=False)]
    lines: list[View] = [CaptionLines(captions)] if captions is not None else []
    if console.moving:
        lines.append(_terminal_view(stderr=True, captions=captions is None))
    return lines


def _terminal_view(*, stderr: bool, captions: bool = True) -> View:
    import rich.console

    from whisper_service.cli.live_view import TerminalView

    return TerminalView(rich.console.Console(stderr=stderr, highlight=False), captions=captions)


def clock(samples: int) -> str:
    """Write samples as ``mm:ss.t``, from one hour on ``h:mm:ss.t`` (rounded down, like a clock)."""
    minutes, tenths = divmod(samples * 10 // SAMPLE_RATE, 600)
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}:" if hours else ""
    return f"{prefix}{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"


def stamp(start: int, end: int | None) -> str:
    """``[00:00.5 → 00:03.8]``; the end is left open while the segment runs."""
    return f"[{clock(start)} → {clock(end) if end is not None else '…'.ljust(7)}]"


def caption(segment: Segment) -> str:
    """One finished segment as a plain line."""
    return f"{stamp(segment.start, segment.end)} {segment.language:<2}  {segment.text.strip()}"
