"""A horizontal bar chart, ours against the old way, as one self-contained SVG.

Lengths are logarithmic, because the two sides lie up to a thousand times apart; every bar says its
value. Colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 860, 300, 110  # px; room for the labels and for the values
TOP, BAR, GAP, GROUP = 84, 15, 3, 18

_STYLE = """
  .title { font: 600 17px system-ui, sans-serif; fill: #1b1f24 }
  .note, .value, .label { font: 13px system-ui, sans-serif; fill: #1b1f24 }
  .note { fill: #59636e }
  .factor { font-weight: 600 }
  .ours { fill: #1a7f6b } .old { fill: #b9c0c8 }
  @media (prefers-color-scheme: dark) {
    .title, .value, .label { fill: #e6edf3 } .note { fill: #9198a1 }
    .ours { fill: #3fc6a8 } .old { fill: #57606a }
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One comparison; both sides in ``unit``, smaller is better."""

    label: str
    ours: float
    old: float
    unit: str


def bar_chart(pairs: Sequence[Pair], *, title: str, note: str = "") -> str:
    """Draw ``pairs`` one below the other."""
    height = TOP + len(pairs) * (2 * BAR + GAP + GROUP) + 12
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(_description(pairs))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="16" y="28">{escape(title)}</text>',
        f'<text class="note" x="16" y="48">{escape(note)}</text>',
        '<rect class="ours" x="16" y="60" width="11" height="11" rx="2"/>'
        '<text class="note" x="32" y="70">ours</text>'
        '<rect class="old" x="80" y="60" width="11" height="11" rx="2"/>'
        '<text class="note" x="96" y="70">the old way, same engine, same run '
        "(logarithmic lengths)</text>",
    ]
    for index, pair in enumerate(pairs):
        body += _bars(pair, TOP + GROUP // 2 + index * (2 * BAR + GAP + GROUP))
    return "\n".join([*body, "</svg>", ""])


def _bars(pair: Pair, y: int) -> list[str]:
    """A group; a bar's length is its decades above a tenth of the smaller value."""
    room = WIDTH - LEFT - RIGHT
    least = min(pair.ours, pair.old) / 10
    decades = max(2.0, math.log10(max(pair.ours, pair.old) / least))
    factor = pair.old / pair.ours
    lines = [
        f'<text class="label" x="{LEFT - 12}" y="{y + BAR - 2}" text-anchor="end">'
        f"{escape(pair.label)}</text>",
        f'<text class="note factor" x="{LEFT - 12}" y="{y + 2 * BAR}" text-anchor="end">'
        f"{_number(factor)}x</text>",
    ]
    for row, (kind, value) in enumerate((("ours", pair.ours), ("old", pair.old))):
        top = y + row * (BAR + GAP)
        length = max(2.0, room * math.log10(value / least) / decades)
        lines.append(
            f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" '
            'rx="2"/>'
            f'<text class="value" x="{LEFT + length + 8:.1f}" y="{top + BAR - 3}">'
            f"{_number(value)} {escape(pair.unit)}</text>"
        )
    return lines


def _description(pairs: Sequence[Pair]) -> str:
    return "; ".join(
        f"{p.label}: {_number(p.ours)} {p.unit} against {_number(p.old)} {p.unit}" for p in pairs
    )


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
