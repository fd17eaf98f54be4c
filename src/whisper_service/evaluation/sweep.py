"""Thresholds chosen from recorded posteriors: lag of changes against false switches.

Frames are recorded once (:mod:`whisper_service.evaluation.posteriors`); then the tracker alone is
replayed with each combination of options. Only the dev split is swept; the figures that are
published come from the test split.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from whisper_service.config import LanguageOptions
from whisper_service.engine.base import Engine
from whisper_service.evaluation.posteriors import HeardUtterance, replay_language
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.score import percentile
from whisper_service.evaluation.switching import Decision, score_switches
from whisper_service.types import SAMPLE_RATE

GRID: Mapping[str, Sequence[Any]] = {
    "seconds_per_change": (15.0, 30.0, 90.0),
    "min_dwell_frames": (5, 6, 8),
    "min_probability": (0.6, 0.8, 0.9),
    "evidence_floor": (0.8, 1.0),
}
MISSED = 4.0  # s that a missed change counts as


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording's truth and what was heard of it."""

    recording: Recording
    utterances: tuple[HeardUtterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one combination of options does; seconds, computing not counted."""

    options: Mapping[str, Any]  # what differs from the defaults
    lag_p50: float
    lag_p95: float
    switches: int
    missed: int
    false_switches: int
    hours: float  # of speech in which they were counted

    @property
    def false_per_hour(self) -> float:
        return self.false_switches / self.hours if self.hours else 0.0


def combinations(
    base: LanguageOptions, grid: Mapping[str, Sequence[Any]] = GRID
) -> Iterator[tuple[dict[str, Any], LanguageOptions]]:
    """Every combination of ``grid`` as ``(values, options)``."""
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        yield chosen, replace(base, **chosen)


def evaluate_options(
    engine: Engine,
    recorded: Sequence[Recorded],
    options: LanguageOptions,
    *,
    chosen: Mapping[str, Any],
) -> Outcome:
    """Replay every recording with ``options``."""
    lags: list[float] = []
    missed = false = switches = 0
    speech = 0
    for each in recorded:
        changes = replay_language(engine, each.utterances, options)
        decisions = [
            Decision(old=c.change.old, new=c.change.new, at=c.change.crossing, available=c.at)
            for c in changes
        ]
        score = score_switches(each.recording.switches, decisions)
        lags += [lag / SAMPLE_RATE for lag in score.lags] + [MISSED] * len(score.missed)
        missed += len(score.missed)
        false += len(score.false)
        switches += len(each.recording.switches)
        speech += sum(s.end - s.start for s in each.recording.speech)
    return Outcome(
        options=chosen,
        lag_p50=percentile(lags, 50) or 0.0,
        lag_p95=percentile(lags, 95) or 0.0,
        switches=switches,
        missed=missed,
        false_switches=false,
        hours=speech / SAMPLE_RATE / 3600,
    )


def sweep(
    engine: Engine,
    recorded: Sequence[Recorded],
    base: LanguageOptions,
    *,
    grid: Mapping[str, Sequence[Any]] = GRID,
) -> list[Outcome]:
    """All combinations, fewest false switches first, then the shortest p95 lag."""
    outcomes = [
        evaluate_options(engine, recorded, options, chosen=chosen)
        for chosen, options in combinations(base, grid)
    ]
    return sorted(outcomes, key=lambda o: (o.false_switches, o.lag_p95, o.lag_p50))


def pareto(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes that no other beats in false switches and in p95 lag, fewest false first."""
    front: list[Outcome] = []
    ordered = sorted(outcomes, key=lambda o: (o.false_switches, o.lag_p95))
    for outcome in ordered:
        if not front or outcome.lag_p95 < front[-1].lag_p95:
            front.append(outcome)
    return front


def chart(outcomes: Sequence[Outcome], *, chosen: Outcome | None = None) -> str:
    """The sweep as an SVG: p95 lag over false switches an hour, the Pareto front drawn through."""
    width, height, left, bottom = 720, 420, 64, 56
    front = pareto(outcomes)
    most = max(1.0, *(o.false_per_hour for o in outcomes))
    low = min(o.lag_p95 for o in outcomes) - 0.1
    high = max(o.lag_p95 for o in outcomes) + 0.1

    def place(outcome: Outcome) -> tuple[float, float]:
        x = left + outcome.false_per_hour / most * (width - left - 24)
        y = 24 + (high - outcome.lag_p95) / (high - low) * (height - bottom - 24)
        return round(x, 1), round(y, 1)

    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="3" class="all"><title>{_title(o)}</title></circle>'
        for o in outcomes
        for x, y in [place(o)]
    )
    line = " ".join(f"{x},{y}" for x, y in map(place, front))
    best = "".join(
        f'<circle cx="{x}" cy="{y}" r="5" class="front"><title>{_title(o)}</title></circle>'
        for o in front
        for x, y in [place(o)]
    )
    mark = ""
    if chosen is not None:
        x, y = place(chosen)
        mark = f'<circle cx="{x}" cy="{y}" r="9" class="chosen"><title>chosen</title></circle>'
    ticks = "".join(
        f'<text x="{left - 8}" y="{24 + i / 4 * (height - bottom - 24) + 4}" '
        f'text-anchor="end">{high - i / 4 * (high - low):.1f}</text>'
        f'<text x="{left + i / 4 * (width - left - 24)}" y="{height - bottom + 20}" '
        f'text-anchor="middle">{i / 4 * most:.0f}</text>'
        for i in range(5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Switch lag against false switches"><style>'
        "svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#4a5058}"
        ".all{fill:#b9c0c8}.front{fill:#2a6fbb}.line{fill:none;stroke:#2a6fbb;stroke-width:2}"
        ".chosen{fill:none;stroke:#c4511c;stroke-width:2.5}.axis{stroke:#c9ced4}"
        "@media(prefers-color-scheme:dark){svg{background:#14171b}text{fill:#aab2bb}"
        ".all{fill:#4a535d}.axis{stroke:#333a43}}</style>"
        f'<line class="axis" x1="{left}" x2="{left}" y1="24" y2="{height - bottom}"/>'
        f'<line class="axis" x1="{left}" x2="{width - 24}" y1="{height - bottom}" '
        f'y2="{height - bottom}"/>{ticks}{dots}<polyline class="line" points="{line}"/>{best}{mark}'
        f'<text x="{width // 2}" y="{height - 10}" text-anchor="middle">'
        "false switches an hour of speech</text>"
        f'<text x="16" y="{height // 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {height // 2})">switch lag, p95 (s)</text></svg>\n'
    )


def _title(outcome: Outcome) -> str:
    chosen = ", ".join(f"{k} {v}" for k, v in outcome.options.items())
    return (
        f"{chosen}: lag {outcome.lag_p50:.2f}/{outcome.lag_p95:.2f} s, "
        f"{outcome.missed} missed, {outcome.false_switches} false"
    )
