"""Record one real run of ``whisper-service demo`` as an animated picture.

    python scripts/make_demo_picture.py docs/images/demo.svg

Every frame is what the live view drew at that moment. The picture moves where SVG animation is
supported (browsers, also inside a README) and shows the last frame everywhere else.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path

from rich.console import Console as RichConsole
from rich.segment import Segment
from rich.terminal_theme import SVG_EXPORT_THEME

from whisper_service.cli.console import Console
from whisper_service.cli.demo import demo_job
from whisper_service.cli.live_view import TerminalView
from whisper_service.cli.runner import load_model, run
from whisper_service.cli.settings import ModelChoice
from whisper_service.cli.views import View
from whisper_service.events import Event, Final

COLUMNS = 92
CHARACTER, LINE = 8.4, 19.0  # pixels of one cell of a 14 px monospace font
MARGIN = 16.0
HOLD = 4.0  # s that the last frame stays before the picture starts again

Row = tuple[tuple[str, str], ...]
"""Texts and their CSS, left to right."""


class Recorder(View):
    """Keeps what the terminal showed: rows of styled text, with the wall time of each frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, list[Row]]] = []
        self._console = RichConsole(
            file=io.StringIO(), width=COLUMNS, force_terminal=True, highlight=False
        )
        self._view = TerminalView(self._console)
        self._finished: list[Row] = []
        self._started = time.monotonic()

    def show(self, event: Event) -> None:
        self._view.note(event)
        if isinstance(event, Final):
            self._finished += self._rows(self._view.finished_row(event.segment))
        self._capture()

    def heard(self, samples: int) -> None:
        self._view.heard(samples)
        self._capture()

    def _capture(self) -> None:
        rows = [*self._finished, *self._rows(self._view.moving_part())]
        if not self.frames or rows != self.frames[-1][1]:
            self.frames.append((time.monotonic() - self._started, rows))

    def _rows(self, renderable: object) -> list[Row]:
        lines = self._console.render_lines(renderable, pad=False)  # type: ignore[arg-type]
        return [tuple((s.text, css(s)) for s in line if s.text) for line in lines]


def css(segment: Segment) -> str:
    """One segment's style."""
    style, theme = segment.style, SVG_EXPORT_THEME
    if style is None:
        return ""
    rules = []
    if style.color is not None and not style.color.is_default:
        rules.append(f"fill:{style.color.get_truecolor(theme).hex}")
    if style.bold:
        rules.append("font-weight:bold")
    if style.dim:
        rules.append("opacity:.55")
    return ";".join(rules)


def placed(frames: list[tuple[float, list[Row]]]) -> Iterator[tuple[int, Row, float, float]]:
    """``(line, row, from, until)`` for every row that stood unchanged on a line."""
    end = frames[-1][0] + HOLD
    standing: dict[int, tuple[Row, float]] = {}
    for at, rows in [*frames, (end, [])]:
        for line in {*standing, *range(len(rows))}:
            row = rows[line] if line < len(rows) else None
            if line in standing and standing[line][0] != row:
                shown, since = standing.pop(line)
                yield line, shown, since, at
            if row is not None and line not in standing:
                standing[line] = (row, at)


def animated_svg(frames: list[tuple[float, list[Row]]]) -> str:
    """All frames in one picture."""
    end = frames[-1][0] + HOLD
    height = max(len(rows) for _, rows in frames) * LINE + 2 * MARGIN + 24
    width = COLUMNS * CHARACTER + 2 * MARGIN
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="whisper-service demo, a real run">',
        "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',"
        "'Noto Sans Mono CJK SC',monospace;fill:#c5c8c6;white-space:pre}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#1e1f22"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 10}" style="opacity:.7">$ make demo</text>',
    ]
    for line, row, since, until in placed(frames):
        last = until >= end
        spans = "".join(
            f'<tspan style="{style}">{escape(text)}</tspan>' if style else escape(text)
            for text, style in row
        )
        y = MARGIN + 34 + line * LINE
        times = f"0;{since / end:.4f}" if last else f"0;{since / end:.4f};{until / end:.4f}"
        values = "hidden;visible" if last else "hidden;visible;hidden"
        body.append(
            f'<text x="{MARGIN}" y="{y:.0f}" visibility="{"visible" if last else "hidden"}">'
            f"{spans}"
            f'<animate attributeName="visibility" values="{values}" keyTimes="{times}" '
            f'dur="{end:.2f}s" calcMode="discrete" repeatCount="indefinite"/></text>'
        )
    return "\n".join([*body, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    picture: Path = parser.parse_args().picture
    console = Console()
    engine = load_model(ModelChoice(name="demo"), console=console)
    recorder = Recorder()
    with demo_job("live") as job:
        run(job, engine=engine, console=console, watchers=[recorder])
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(animated_svg(recorder.frames), encoding="utf-8")


if __name__ == "__main__":
    main()
