"""Progress bars: seconds of audio with the speed against real time, or bytes of a download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

import rich.console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from whisper_service.cli.console import Advance, Console
from whisper_service.cli.views import View
from whisper_service.types import to_seconds


class RealTimeFactor(ProgressColumn):
    """Seconds of audio done per second."""

    def render(self, task: Task) -> Text:
        if not task.elapsed or not task.completed:
            return Text("")
        return Text(f"{task.completed / task.elapsed:.1f}x real time", style="dim")


class ProgressView(View):
    """How much of a recording is done; ``duration`` in seconds, if known."""

    def __init__(self, console: Console, title: str, duration: float | None) -> None:
        self._open = console.progress(title)
        self._duration = duration
        self._stack = ExitStack()

    def __enter__(self) -> ProgressView:
        self._advance = self._stack.enter_context(self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def heard(self, samples: int) -> None:
        self._advance(to_seconds(samples), self._duration)


@contextmanager
def bar(console: rich.console.Console, label: str, *, unit: str) -> Iterator[Advance]:
    """Draw a bar that disappears when it is done.

    ``unit`` is ``"s"`` of audio, ``"B"``, or ``"steps"``.
    """
    columns: dict[str, tuple[ProgressColumn, ...]] = {
        "B": (DownloadColumn(), TransferSpeedColumn()),
        "s": (TextColumn("{task.completed:.0f} s", style="dim"), RealTimeFactor()),
        "steps": (MofNCompleteColumn(),),
    }
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns[unit],
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=None)

        def advance(done: float, total: float | None = None) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
