"""What a person reads beside the results: notes, warnings, errors and progress, on stderr."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.console


class Advance(Protocol):
    """Reports how far a long job is: units done, and how many there are if that is known."""

    def __call__(self, done: float, total: float | None = None) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Console:
    """stderr with a verbosity: 0 normal, above it more, below it warnings and errors only."""

    verbosity: int = 0

    @property
    def verbose(self) -> bool:
        return self.verbosity > 0

    @property
    def quiet(self) -> bool:
        return self.verbosity < 0

    @cached_property
    def rich(self) -> rich.console.Console:
        """The rich console on stderr (``NO_COLOR`` and non-terminals print plain text)."""
        import rich.console  # 0.1 s that a plain `--version` need not spend

        return rich.console.Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def moving(self) -> bool:
        """Whether someone may watch a bar or a view on stderr."""
        return not self.quiet and self.rich.is_terminal

    def note(self, text: str) -> None:
        """Say something useful, unless ``--quiet``."""
        if not self.quiet:
            self._line(text, style="")

    def detail(self, text: str) -> None:
        """Say something that only ``--verbose`` asks for."""
        if self.verbose:
            self._line(text, style="dim")

    def warn(self, text: str) -> None:
        self._line(text, label="warning", style="yellow")

    def error(self, text: str, *, hints: Iterable[str] = ()) -> None:
        self._line(text, label="error", style="bold red")
        for hint in hints:
            self._line(hint, label="hint", style="cyan")

    def traceback(self, error: BaseException) -> None:
        """Show where an error came from, with ``--verbose``."""
        if self.verbose:
            sys.stderr.write("".join(traceback.format_exception(error)))

    @contextmanager
    def progress(self, label: str, *, unit: str = "s") -> Iterator[Advance]:
        """Draw a bar while something long runs; nothing when quiet or not on a terminal.

        ``unit`` is ``"s"`` (of audio), ``"B"`` or ``"steps"``.
        """
        if not self.moving:
            yield _no_progress
            return
        from whisper_service.cli.progress import bar

        with bar(self.rich, label, unit=unit) as advance:
            yield advance

    def _line(self, text: str, *, label: str = "", style: str) -> None:
        from rich.text import Text

        line = Text(f"{label}: ", style=style) + Text(text) if label else Text(text, style=style)
        self.rich.print(line)


def _no_progress(done: float, total: float | None = None) -> None:
    """Nobody is watching."""
