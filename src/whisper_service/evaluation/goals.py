"""The figures of a tally by name, and which of them must reach what (design 5, rows 9-16)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from whisper_service.evaluation.calibration import expected_error, reliability
from whisper_service.evaluation.score import Tally, percentile, total_errors
from whisper_service.types import SAMPLE_RATE, to_samples

Figures: TypeAlias = dict[str, Any]
"""Name → number, ``None`` where there was nothing to measure."""

LATE: dict[str, float] = {"switches-no-pause": 2.2}  # s: recall counts up to here
PAUSED_LATE = 1.6


def figures(tally: Tally, *, suite: str) -> Figures:
    """Everything that is reported of a suite; seconds, shares and counts."""
    within = to_samples(LATE.get(suite, PAUSED_LATE))
    total = tally.switches
    mixed = total_errors(tally.errors.values())
    hours = tally.speech / SAMPLE_RATE / 3600
    timed = total if tally.streamed else 0  # changes that can have a lag
    return {
        "recordings": tally.recordings,
        "seconds": tally.samples / SAMPLE_RATE,
        "speech_seconds": tally.speech / SAMPLE_RATE,
        "switches": total,
        "switch_recall": _share(sum(lag <= within for lag in tally.lags), timed),
        "switch_recall_any": _share(total - tally.missed, total),
        "switch_lag_p50": _seconds(tally.lags, 50),
        "switch_lag_p95": _seconds(tally.lags, 95),
        "switch_lag_heard_p50": _seconds(tally.lags_heard, 50),
        "switch_lag_heard_p95": _seconds(tally.lags_heard, 95),
        "change_point_p50": _seconds(tally.point_errors, 50),
        "change_point_p95": _seconds(tally.point_errors, 95),
        "false_switches": tally.false_switches,
        "false_switches_per_hour": tally.false_switches / hours if hours else None,
        "reversals": tally.reversals,
        "ld_der": tally.diarization.rate if tally.diarization.speech else None,
        "wrong_language_time": tally.diarization.wrong_rate if tally.diarization.speech else None,
        "missed_speech": _share(tally.diarization.missed, tally.diarization.speech),
        "false_alarm": _share(tally.diarization.false_alarm, tally.diarization.speech),
        "wrong_words_near": _share(tally.near_wrong, tally.near_words),
        "wrong_words": _share(tally.words_wrong, tally.words),
        "mer": mixed.rate if mixed.reference else None,
        "error_rates": {code: e.rate for code, e in sorted(tally.errors.items())},
        "mer_near": tally.near.rate if tally.near.reference else None,
        "word_latency_p50": _seconds(tally.latencies, 50),
        "word_latency_p95": _seconds(tally.latencies, 95),
        "word_latency_heard_p50": _seconds(tally.latencies_heard, 50),
        "word_latency_heard_p95": _seconds(tally.latencies_heard, 95),
        "words_right": len(tally.latencies),
        "laal": _seconds(tally.laals, 50),
        "final_p50": _seconds(tally.finals, 50),
        "final_p95": _seconds(tally.finals, 95),
        "erasure": tally.erased / tally.erasable if tally.erasable else None,
        "edits": tally.edits if tally.streamed else None,
        "seconds_lost": tally.lost / SAMPLE_RATE if tally.streamed else None,
        "uncovered": _share(tally.uncovered, tally.speech),
        "doubled": _share(tally.doubled, tally.speech),
        "insertions_heard": _share(tally.inserted_heard, tally.inserted),
        "ece": expected_error(tally.confidences),
        "reliability": [
            {
                "low": b.low,
                "high": b.high,
                "words": b.words,
                "confidence": b.confidence,
                "right": b.right,
            }
            for b in reliability(tally.confidences)
        ]
        if tally.confidences
        else [],
        "real_time_factor": tally.computed / (tally.samples / SAMPLE_RATE)
        if tally.samples
        else None,
        "encoder_passes_per_second": _share(tally.encoder_passes, tally.samples / SAMPLE_RATE)
        if tally.streamed
        else None,
        "cache_hit_rate": _share(tally.hits, tally.needs),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure of a suite that must be at most (or at least) a limit."""

    row: str  # of design 5
    suite: str
    figure: str
    label: str
    limit: float
    unit: Literal["s", "ms", "%", ""] = ""
    at_least: bool = False

    def reached(self, value: float | None) -> bool | None:
        """``None``: not measured."""
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


def _goal(row: str, suite: str, figure: str, label: str, *, limit: float, **more: Any) -> Goal:
    return Goal(row=row, suite=suite, figure=figure, label=label, limit=limit, **more)


LONG = "monolingual, ten hours"  # a run of its own, put beside the others by refresh_evaluation

GOALS: tuple[Goal, ...] = (
    _goal("9", "monolingual", "word_latency_p50", "committed word, p50", limit=1.0, unit="s"),
    _goal("9", "monolingual", "word_latency_p95", "committed word, p95", limit=1.8, unit="s"),
    _goal("9", "mix5", "word_latency_p50", "committed word, p50", limit=1.2, unit="s"),
    _goal("10", "accuracy", "final_p95", "end of speech to final, p95", limit=0.1, unit="ms"),
    _goal("11", "switches-pause", "switch_lag_p50", "switch lag, median", limit=1.0, unit="s"),
    _goal("11", "switches-pause", "switch_lag_p95", "switch lag, p95", limit=1.6, unit="s"),
    _goal(
        "11",
        "switches-pause",
        "switch_recall",
        "recall within 1.6 s",
        limit=0.95,
        unit="%",
        at_least=True,
    ),
    _goal("11", "switches-no-pause", "switch_lag_p50", "switch lag, median", limit=1.4, unit="s"),
    _goal("11", "switches-no-pause", "switch_lag_p95", "switch lag, p95", limit=2.2, unit="s"),
    _goal(
        "11", "switches-no-pause", "change_point_p50", "change point, median", limit=0.25, unit="ms"
    ),
    _goal(
        "11", "switches-pause", "change_point_p50", "change point, median", limit=0.25, unit="ms"
    ),
    _goal("12", "mix3", "ld_der", "LD-DER, no collar", limit=0.10, unit="%"),
    _goal("12", "mix3", "wrong_language_time", "wrong-language time", limit=0.02, unit="%"),
    _goal("12", "mix5", "ld_der", "LD-DER, no collar", limit=0.10, unit="%"),
    _goal("12", "mix5", "wrong_language_time", "wrong-language time", limit=0.02, unit="%"),
    _goal("13", "monolingual", "false_switches", "false switches", limit=0),
    _goal("13", LONG, "false_switches", "false switches in ten hours", limit=0),
    _goal("13", "insertions", "false_switches", "switches at inserted words", limit=0),
    _goal(
        "14",
        "switches-pause",
        "wrong_words_near",
        "wrong-language words within 1 s",
        limit=0.02,
        unit="%",
    ),
    _goal(
        "14",
        "switches-no-pause",
        "wrong_words_near",
        "wrong-language words within 1 s",
        limit=0.02,
        unit="%",
    ),
    *(
        _goal(
            "14",
            suite,
            "wrong_words_near",
            "wrong-language words within 1 s",
            limit=0.02,
            unit="%",
        )
        for suite in ("mix3", "mix5")
    ),
    _goal(
        "15", "accuracy", "mer_over_offline", "error rate above offline mode", limit=0.015, unit="%"
    ),
    _goal("16", "mix5", "edits", "edits to committed text", limit=0),
    _goal("16", "monolingual", "edits", "edits to committed text", limit=0),
    _goal("16", "mix5", "erasure", "normalized erasure", limit=0.2),
    _goal("16", "monolingual", "erasure", "normalized erasure", limit=0.2),
    _goal("-", "monolingual", "seconds_lost", "audio lost", limit=0.0, unit="s"),
    _goal("-", "mix5", "seconds_lost", "audio lost", limit=0.0, unit="s"),
)

LESS_WRONG_TIME = 0.6  # share by which wrong-language time must lie below every baseline


def less_wrong_time(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float | None:
    """Share by which our wrong-language time lies below a baseline's."""
    mine, other = ours.get("wrong_language_time"), theirs.get("wrong_language_time")
    return None if mine is None or not other else 1.0 - mine / other


def _seconds(values: list[int] | list[float], q: float) -> float | None:
    value = percentile(values, q)
    return None if value is None else value / SAMPLE_RATE


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
