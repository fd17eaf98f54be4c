"""An evaluation as one HTML page that needs nothing else: tables, and timelines as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from whisper_service.evaluation.corpus import LANGUAGES
from whisper_service.evaluation.harness import Timeline
from whisper_service.evaluation.report import (
    Report,
    calibration_table,
    goal_rows,
    languages_table,
    shown,
    suite_table,
)
from whisper_service.evaluation.suites import SUITES
from whisper_service.evaluation.switching import Stretch
from whisper_service.types import SAMPLE_RATE

PIXELS = 100  # a second
LEFT = 92  # px of row labels
TRUTH, CURVES, HEARD, WORDS = 26, 64, 26, 122  # px, heights of the rows
GAP = 10  # px between rows

_STYLE = """
:root { color-scheme: light dark; --ground:#fbfbfa; --panel:#fff; --ink:#1b1e23; --soft:#5d6570;
 --line:#dcdfe3; --good:#1a6f3c; --bad:#b3261e; --l0:#2a6fbb; --l1:#c4511c; --l2:#7a4fb5;
 --l3:#14806f; --l4:#b0327a; --l5:#7b8087; }
@media (prefers-color-scheme: dark) { :root { --ground:#14171b; --panel:#1b1f25; --ink:#e6e8eb;
 --soft:#9aa3ad; --line:#333a43; --good:#6ccf92; --bad:#ff8a80; --l0:#6fa8e8; --l1:#f0935f;
 --l2:#b695ea; --l3:#52c3ae; --l4:#ee83b8; --l5:#9aa3ad; } }
* { box-sizing:border-box } body { margin:0; background:var(--ground); color:var(--ink);
 font:15px/1.5 system-ui,sans-serif } main { max-width:1160px; margin:0 auto;
 padding:28px 20px 60px }
h1 { font-size:26px; margin:0 0 4px } h2 { font-size:19px; margin:40px 0 8px }
h3 { font-size:15px; margin:22px 0 6px } p,dl { color:var(--soft); margin:4px 0 }
dl { display:grid; grid-template-columns:max-content 1fr; gap:0 14px } dd { margin:0 }
.wide { overflow-x:auto; background:var(--panel); border:1px solid var(--line); border-radius:6px }
.wide:focus-visible, summary:focus-visible, a:focus-visible { outline:3px solid var(--l0);
 outline-offset:2px } table { border-collapse:collapse; width:100%;
 font-variant-numeric:tabular-nums } th,td { padding:5px 10px; text-align:right;
 border-bottom:1px solid var(--line); white-space:nowrap; font-size:13.5px }
th { color:var(--soft); font-weight:600 } td:first-child,th:first-child,th.t,td.t {
 text-align:left }
tr:last-child td { border-bottom:0 } .yes { color:var(--good); font-weight:600 }
.no { color:var(--bad); font-weight:600 } nav a { margin-right:14px; color:var(--l0) }
svg { display:block } svg text { fill:var(--ink); font:12px system-ui,sans-serif }
svg .soft { fill:var(--soft) } svg .on { fill:#fff; font-weight:600 }
@media (prefers-color-scheme: dark) { svg .on { fill:#14171b } }
svg .axis { stroke:var(--line) } svg .mark { stroke:var(--ink); stroke-dasharray:3 3 }
svg .late { stroke:var(--soft) } figure { margin:10px 0 22px } figcaption { color:var(--soft);
 font-size:13.5px; margin-bottom:6px } details { margin:6px 0 } summary { cursor:pointer;
 color:var(--soft) } .key { display:inline-block; width:11px; height:11px; border-radius:2px;
 margin:0 5px 0 12px }
"""


def html_page(report: Report, timelines: Sequence[Timeline]) -> str:
    """The whole page."""
    suites = [s for s in SUITES if s in report["results"]]
    links = "".join(f'<a href="#{s}">{s}</a>' for s in ("goals", *suites, "languages"))
    facts = "".join(
        f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in report["facts"].items()
    )
    parts = [
        f"<h1>Code-switching benchmark</h1><dl>{facts}</dl><nav>{links}</nav>",
        f'<h2 id="goals">Goals</h2>{_goals(report)}',
    ]
    for suite in suites:
        pictures = "".join(_figure(t) for t in timelines if t.suite == suite)
        body = _from_markdown(suite_table(report, suite), name=suite)
        parts.append(f'<h2 id="{suite}">{suite}</h2>{body}{pictures}')
    rates = _from_markdown(languages_table(report), name="error rates")
    parts.append(f'<h2 id="languages">Error rates by language</h2>{rates}')
    if calibration := calibration_table(report):
        note, made = calibration.split("\n\n")
        body = _from_markdown(made, name="confidence")
        parts.append(f"<h2>Confidence of words</h2><p>{escape(note)}</p>{body}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Code-switching benchmark</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _goals(report: Report) -> str:
    rows = []
    for goal in goal_rows(report):
        state = {True: ("yes", "met"), False: ("no", "missed"), None: ("", "not measured")}
        style, word = state[goal["reached"]]
        sign = "≥" if goal["at_least"] else "≤"
        rows.append(
            "<tr>"
            + "".join(f'<td class="t">{escape(goal[k])}</td>' for k in ("row", "suite", "label"))
            + f"<td>{shown(goal['value'], goal['unit'])}</td>"
            f"<td>{sign} {shown(goal['limit'], goal['unit'])}</td>"
            f'<td class="{style}">{word}</td></tr>'
        )
    titles = ("row", "suite", "figure", "reached", "goal", "")
    head = "".join(f'<th class="{"t" if i < 3 else ""}">{t}</th>' for i, t in enumerate(titles))
    return _wide(f"<table><tr>{head}</tr>{''.join(rows)}</table>", name="goals")


def _from_markdown(text: str, *, name: str) -> str:
    """A Markdown table of :mod:`report` as HTML, so that both say the same."""
    head, _, *rows = [
        [escape(cell.strip()) for cell in line.strip("|").split("|")] for line in text.split("\n")
    ]
    header = "".join(f"<th>{h}</th>" for h in head)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return _wide(f"<table><tr>{header}</tr>{body}</table>", name=name)


def _wide(inner: str, *, name: str) -> str:
    """A box that scrolls sideways, also with the keyboard."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}">{inner}</div>'


def _figure(timeline: Timeline) -> str:
    codes = _codes(timeline)
    key = "".join(
        f'<span class="key" style="background:var(--l{_hue(c)})"></span>{escape(c)}' for c in codes
    )
    said = "".join(
        f"<tr><td>{w.start / SAMPLE_RATE:.2f}</td><td>{at / SAMPLE_RATE:.2f}</td>"
        f'<td class="t">{escape(w.language)}</td><td class="t">{escape(w.text)}</td></tr>'
        for w, at in timeline.words
    )
    words = (
        "<details><summary>words with their times (s)</summary>"
        '<table><tr><th>start</th><th>committed</th><th class="t">language</th>'
        f'<th class="t">word</th></tr>{said}</table></details>'
    )
    caption = f"{timeline.recording}; {timeline.system}: {key}"
    name = f"timeline of {timeline.recording}"
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f"{_wide(_svg(timeline), name=name)}{words}</figure>"
    )


def _svg(timeline: Timeline) -> str:
    top = 22
    rows = (("spoken", TRUTH), ("posterior", CURVES), ("decided", HEARD), ("words", WORDS))
    places, y = {}, top
    for name, height in rows:
        places[name] = y
        y += height + GAP
    width = LEFT + round(timeline.length / SAMPLE_RATE * PIXELS) + 20
    labels = "".join(
        f'<text class="soft" x="8" y="{places[name] + 17}">{name}</text>' for name, _ in rows
    )
    return (
        f'<svg width="{width}" height="{y}" role="img" '
        'aria-label="truth, posteriors and decisions">'
        f"{_axis(timeline, y)}{labels}"
        f"{_bars(timeline.truth, y=places['spoken'], height=TRUTH)}"
        f"{_curves(timeline, y=places['posterior'])}"
        f"{_bars(timeline.hypothesis, y=places['decided'], height=HEARD)}"
        f"{_marks(timeline, places)}{_words(timeline, y=places['words'])}</svg>"
    )


def _axis(timeline: Timeline, bottom: int) -> str:
    seconds = range(timeline.length // SAMPLE_RATE + 1)
    return "".join(
        f'<line class="axis" x1="{_x(s * SAMPLE_RATE)}" x2="{_x(s * SAMPLE_RATE)}" y1="18" '
        f'y2="{bottom - GAP}"/><text class="soft" x="{_x(s * SAMPLE_RATE) + 3}" y="14">{s}</text>'
        for s in seconds
    )


def _bars(stretches: Sequence[Stretch], *, y: int, height: int) -> str:
    bars = []
    for s in stretches:
        x, width = _x(s.start), max(1.0, _x(s.end) - _x(s.start))
        title = f"{s.language}, {s.start / SAMPLE_RATE:.2f}-{s.end / SAMPLE_RATE:.2f} s"
        bars.append(
            f'<g><title>{title}</title><rect x="{x}" y="{y}" width="{width:.1f}" height="{height}" '
            f'rx="3" fill="var(--l{_hue(s.language)})"/>'
            + (
                f'<text class="on" x="{x + 5}" y="{y + 17}">{s.language}</text>'
                if width > 24
                else ""
            )
            + "</g>"
        )
    return "".join(bars)


def _curves(timeline: Timeline, *, y: int) -> str:
    """One line a language; broken where no frame was heard for half a second."""
    lines = []
    for column, code in enumerate(timeline.columns):
        path, before = [], None
        for at, row in timeline.posteriors:
            far = before is None or at - before > SAMPLE_RATE // 2
            path.append(f"{'M' if far else 'L'}{_x(at)} {y + CURVES * (1 - row[column]):.1f}")
            before = at
        lines.append(
            f'<path d="{" ".join(path)}" fill="none" stroke-width="1.8" '
            f'stroke="var(--l{_hue(code)})"><title>P({escape(code)})</title></path>'
        )
    return "".join(lines)


def _marks(timeline: Timeline, places: dict[str, int]) -> str:
    """Each decision: a line at the change point, and when it was available."""
    top, bottom = places["posterior"], places["decided"] + HEARD
    return "".join(
        f"<g><title>to {escape(new)}: change at {at / SAMPLE_RATE:.2f} s, "
        f"known at {known / SAMPLE_RATE:.2f} s</title>"
        f'<line class="mark" x1="{_x(at)}" x2="{_x(at)}" y1="{top}" y2="{bottom}"/>'
        f'<line class="late" x1="{_x(at)}" x2="{_x(known)}" y1="{bottom + 4}" y2="{bottom + 4}"/>'
        f'<circle cx="{_x(known)}" cy="{bottom + 4}" r="3" fill="var(--ink)"/></g>'
        for new, at, known in timeline.decisions
    )


def _words(timeline: Timeline, *, y: int) -> str:
    """Spoken words above, committed ones below, each on three lines in turn."""
    made = []
    spoken = ((t, s, e, c, None) for t, s, e, c in timeline.spoken)
    heard = ((w.text.strip(), w.start, w.end, w.language, at) for w, at in timeline.words)
    for base, row in ((y + 12, spoken), (y + 76, heard)):
        for number, (text, start, end, code, at) in enumerate(row):
            title = f"{text} ({code}) {start / SAMPLE_RATE:.2f}-{end / SAMPLE_RATE:.2f} s"
            title += f", committed at {at / SAMPLE_RATE:.2f} s" if at is not None else ""
            made.append(
                f'<text x="{_x(start)}" y="{base + 17 * (number % 3)}" '
                f'style="fill:var(--l{_hue(code)})"><title>{escape(title)}</title>'
                f"{escape(text)}</text>"
            )
    return "".join(made)


def _codes(timeline: Timeline) -> list[str]:
    said = {s.language for s in (*timeline.truth, *timeline.hypothesis)}
    return sorted(said | set(timeline.columns), key=lambda c: (c == "other", c))


def _hue(code: str) -> int:
    """Number of the colour of a language, the same in all pictures; 5 is grey."""
    if code == "other":
        return 5
    return LANGUAGES.index(code) if code in LANGUAGES else sum(map(ord, code)) % 5


def _x(sample: int) -> float:
    return round(LEFT + sample / SAMPLE_RATE * PIXELS, 1)
