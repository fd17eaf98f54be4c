"""An evaluation as JSON, as Markdown tables, and as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from whisper_service.evaluation.goals import GOALS, LESS_WRONG_TIME, LONG, Goal, less_wrong_time
from whisper_service.evaluation.suites import SUITES, SWITCHED

Report: TypeAlias = dict[str, Any]
"""``facts`` (name → text), ``systems`` (name → title), ``results`` (suite → system → figures)."""

PRODUCT = "whisper-service"
OFFLINE = "offline"

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("switch_lag_p50", "lag p50", "s"),
    ("switch_lag_p95", "p95", "s"),
    ("switch_lag_heard_p50", "without computing p50", "s"),
    ("switch_recall", "recall in time", "%"),
    ("change_point_p50", "change point", "ms"),
    ("false_switches", "false switches", ""),
    ("reversals", "reversals", ""),
    ("ld_der", "LD-DER", "%"),
    ("wrong_language_time", "wrong-language time", "%"),
    ("wrong_words_near", "wrong words ±1 s", "%"),
    ("mer", "MER", "%"),
    ("mer_near", "MER ±1 s", "%"),
    ("word_latency_p50", "word p50", "s"),
    ("word_latency_p95", "p95", "s"),
    ("word_latency_heard_p50", "without computing p50", "s"),
    ("word_latency_heard_p95", "p95", "s"),
    ("laal", "LAAL", "s"),
    ("final_p95", "final p95", "ms"),
    ("erasure", "erasure", ""),
    ("seconds_lost", "lost", "s"),
    ("uncovered", "in no segment or gap", "%"),
    ("real_time_factor", "RTF", ""),
)


def measured(report: Report, suite: str, system: str = PRODUCT) -> Mapping[str, Any]:
    """Figures of a system on a suite; nothing where it was not run."""
    figures: Mapping[str, Any] = report["results"].get(suite, {}).get(system, {})
    return figures


def goal_value(report: Report, goal: Goal) -> float | None:
    """What the product reached for a goal; ``None``: not measured."""
    ours = measured(report, goal.suite)
    if goal.figure == "mer_over_offline":
        online, offline = ours.get("mer"), measured(report, goal.suite, OFFLINE).get("mer")
        return None if online is None or offline is None else online - offline
    value: float | None = ours.get(goal.figure)
    return value


def goal_rows(report: Report) -> list[dict[str, Any]]:
    """Every goal with what was reached."""
    rows = [
        {
            "row": goal.row,
            "suite": goal.suite,
            "label": goal.label,
            "value": goal_value(report, goal),
            "limit": goal.limit,
            "unit": goal.unit,
            "at_least": goal.at_least,
            "reached": goal.reached(goal_value(report, goal)),
        }
        for goal in GOALS
        if goal.suite in report["results"]
    ]
    return rows + _baseline_rows(report)


def _baseline_rows(report: Report) -> list[dict[str, Any]]:
    rows = []
    for suite in (s for s in SWITCHED if s in report["results"]):
        for name in report["results"][suite]:
            if name in (PRODUCT, OFFLINE, "local-agreement"):
                continue
            value = less_wrong_time(measured(report, suite), measured(report, suite, name))
            rows.append(
                {
                    "row": "-",
                    "suite": suite,
                    "label": f"wrong-language time below {name}",
                    "value": value,
                    "limit": LESS_WRONG_TIME,
                    "unit": "%",
                    "at_least": True,
                    "reached": None if value is None else value >= LESS_WRONG_TIME,
                }
            )
    return rows


def markdown(report: Report) -> str:
    """Facts, goals and all tables."""
    facts = [f"- {name}: {text}" for name, text in report["facts"].items()]
    parts = ["\n".join(facts), "### Goals\n\n" + goals_table(report)]
    suites = [s for s in (*SUITES, LONG, "manifest") if s in report["results"]]
    parts += [f"### {suite}\n\n{suite_table(report, suite)}" for suite in suites]
    parts.append("### Error rates by language\n\n" + languages_table(report))
    if calibration := calibration_table(report):
        parts.append("### Confidence of words\n\n" + calibration)
    return "\n\n".join(parts) + "\n"


def goals_table(report: Report) -> str:
    rows = [
        [
            r["row"],
            r["suite"],
            r["label"],
            shown(r["value"], r["unit"]),
            ("≥ " if r["at_least"] else "≤ ") + shown(r["limit"], r["unit"]),
            {True: "yes", False: "**no**", None: "not measured"}[r["reached"]],
        ]
        for r in goal_rows(report)
    ]
    return table(("row", "suite", "figure", "reached", "goal", "met"), rows)


def suite_table(report: Report, suite: str) -> str:
    """All systems on one suite, the columns that say something there."""
    systems = report["results"][suite]
    columns = [c for c in COLUMNS if any(f.get(c[0]) is not None for f in systems.values())]
    if suite == "insertions":
        columns.insert(0, ("insertions_heard", "inserted words heard", "%"))
    if suite not in SWITCHED:
        columns = [c for c in columns if not c[0].startswith(("switch_", "change_", "wrong_words"))]
    rows = [
        [report["systems"].get(name, name), *(shown(f.get(key), unit) for key, _, unit in columns)]
        for name, f in systems.items()
    ]
    return table(("system", *(label for _, label, _ in columns)), rows)


def languages_table(report: Report) -> str:
    """Word error rate (zh: character error rate) of each language, and the mixed error rate."""
    rows, codes = (
        [],
        sorted(
            {
                code
                for systems in report["results"].values()
                for figures in systems.values()
                for code in figures["error_rates"]
            }
        ),
    )
    for suite, systems in report["results"].items():
        for name, figures in systems.items():
            rates = [shown(figures["error_rates"].get(code), "%") for code in codes]
            rows.append([suite, name, *rates, shown(figures["mer"], "%")])
    return table(("suite", "system", *codes, "MER"), rows)


def calibration_table(report: Report) -> str:
    """Reliability of word confidences over everything that the product said."""
    suite = next((s for s in ("mix5", "accuracy", "monolingual") if s in report["results"]), None)
    if suite is None:
        return ""
    figures = measured(report, suite)
    rows = [
        [
            f"{b['low']:.1f}-{b['high']:.1f}",
            b["words"],
            shown(b["confidence"], "%"),
            shown(b["right"], "%"),
        ]
        for b in figures.get("reliability", [])
    ]
    if not rows:
        return ""
    made = table(("confidence", "words", "mean", "right"), rows)
    return f"Suite {suite}, expected calibration error {shown(figures['ece'], '%')}.\n\n{made}"


def shown(value: Any, unit: str) -> str:
    """A figure as people read it; seconds, shares and counts come in base units."""
    if value is None:
        return "-"
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "ms":
        return f"{1000 * value:.0f} ms"
    if unit == "s":
        return f"{value:.2f} s"
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
