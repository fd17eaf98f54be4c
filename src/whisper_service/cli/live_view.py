"""Captions on a terminal, moving while they are spoken."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from whisper_service import events
from whisper_service.cli.views import View, clock, stamp
from whisper_service.types import SAMPLE_RATE, Segment

# Readable on light and dark backgrounds; a language keeps the colour it got first.
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_TAIL_LINES = 4  # of the running caption: the moving part must stay smaller than the terminal


@dataclass(kw_only=True)
class _State:
    """All that changes while a view runs; times in samples."""

    running: events.Partial | None = None
    language: str = ""
    candidate: str | None = None
    speaking: bool = False
    received: int = 0
    lag: int = 0
    dropped: int = 0
    colours: dict[str, str] = field(default_factory=dict)


class TerminalView(View):
    """Finished captions scroll up; below them the running one and a status line move.

    Committed text is solid, text that may still change is dim, each language has a colour.
    With ``captions=False`` only the moving part is drawn (the captions go elsewhere).
    """

    def __init__(self, console: Console, *, captions: bool = True) -> None:
        self._console = console
        self._captions = captions
        self._state = _State()
        self._live = Live(
            console=console,
            auto_refresh=False,  # drawn when something changed: no thread, no flicker
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> TerminalView:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, event: events.Event) -> None:
        self.note(event)
        if isinstance(event, events.Final):
            self._draw()  # without the caption that scrolls up now
            self._print(event.segment)
        if isinstance(event, events.Partial | events.Final):
            self._draw()

    def heard(self, samples: int) -> None:
        self._state.received = samples
        self._draw()

    def moving_part(self) -> Group:
        """Lay out the running caption, if any, above the status line."""
        parts: list[RenderableType] = [self._status()]
        running = self._state.running
        if running is not None and (running.committed + running.tentative).strip():
            parts.insert(0, self._row(stamp(running.start, None), running.language, self._tail()))
        return Group(*parts)

    def finished_row(self, segment: Segment) -> Table:
        """Lay out one finished caption."""
        times = stamp(segment.start, segment.end)
        return self._row(times, segment.language, Text(segment.text.strip()))

    def note(self, event: events.Event) -> None:
        """Take one event without drawing."""
        state = self._state
        match event:
            case events.Partial(language=language):
                state.running, state.language = event, language
            case events.Final():
                state.running = None
            case events.LanguageDetected(language=language):
                state.language = language
            case events.LanguageCandidate(language=candidate):
                state.candidate = candidate
            case events.LanguageSwitched(new=new):
                state.language, state.candidate = new, None
            case events.SpeechStarted() | events.SpeechEnded():
                state.speaking = isinstance(event, events.SpeechStarted)
            case events.Lag(samples=samples):
                state.lag = samples
            case events.AudioSkipped(start=start, end=end, reason="overload"):
                state.dropped += end - start

    def _print(self, segment: Segment) -> None:
        if self._captions and segment.text.strip():
            self._console.print(self.finished_row(segment))

    def _draw(self) -> None:
        self._live.update(self.moving_part(), refresh=True)

    def _tail(self) -> Text:
        """Return the newest lines of the running caption, committed solid and tentative dim."""
        running = self._state.running
        assert running is not None
        text = Text(running.committed).append(running.tentative, style="dim")
        start = len(text.plain) - len(text.plain.lstrip())
        room = _TAIL_LINES * max(20, self._console.width - 28)
        if len(text) - start > room:
            return Text("… ", style="dim").append_text(text[len(text) - room :])
        return text[start:]

    def _status(self) -> Text:
        state = self._state
        status = Text().append(*(("● ", "red") if state.speaking else ("○ ", "dim")))
        status.append(clock(state.received), style="dim")
        if state.language:
            status.append(f"  {state.language}", style=self._colour(state.language))
        if state.candidate and state.candidate != state.language:
            status.append(f" → {state.candidate}?", style=f"dim {self._colour(state.candidate)}")
        status.append(f"  lag {state.lag / SAMPLE_RATE:.1f} s", style="dim")
        if state.dropped:
            status.append(f"  dropped {state.dropped / SAMPLE_RATE:.1f} s", style="yellow")
        return status

    def _row(self, times: str, language: str, text: Text) -> Table:
        """Time, language and text side by side; long text wraps in its own column."""
        row = Table.grid(padding=(0, 1))
        row.add_column(no_wrap=True, style="dim")
        row.add_column(no_wrap=True, min_width=2, style=f"bold {self._colour(language)}")
        row.add_column(overflow="fold")
        row.add_row(Text(times), Text(language), text)
        return row

    def _colour(self, language: str) -> str:
        colours = self._state.colours
        return colours.setdefault(language, _COLOURS[len(colours) % len(_COLOURS)])
