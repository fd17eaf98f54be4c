"""How well changes of language are followed: lag, recall, false switches, LD-DER.

The clock contract (``reference/performance-anchors.md`` section 4): a switch is timed from the
first speech sample of the new language to the moment the correct decision is available; a
decision before the change is a false switch; matching is one-to-one and direction-aware; a miss
has no lag. All times are samples at 16 kHz.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """``[start, end)`` spoken (or said to be spoken) in ``language``."""

    start: int
    end: int
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueSwitch:
    """The first speech sample of ``new``, until ``end``, where ``new`` stops being spoken."""

    old: str
    new: str
    at: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A switch as decided: available at ``available`` (compute included), localised at ``at``."""

    old: str
    new: str
    at: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchScore:
    """Matched switches and what is left over on both sides."""

    lags: tuple[int, ...]  # of matched switches, in order of the truth
    errors: tuple[int, ...]  # |decided change point - true one| of the same switches
    missed: tuple[TrueSwitch, ...]
    false: tuple[Decision, ...]
    reversals: int  # false switches undone within 2 s

    def recall(self, within: int) -> float:
        """Share of true switches decided within ``within`` samples."""
        total = len(self.lags) + len(self.missed)
        return sum(lag <= within for lag in self.lags) / total if total else 1.0


def true_switches(truth: Sequence[Stretch]) -> list[TrueSwitch]:
    """Changes between consecutive stretches in different languages."""
    return [
        TrueSwitch(old=a.language, new=b.language, at=b.start, end=b.end)
        for a, b in itertools.pairwise(truth)
        if a.language != b.language
    ]


def score_switches(
    truth: Sequence[TrueSwitch], decisions: Sequence[Decision], *, reversal: int = 32_000
) -> SwitchScore:
    """Match each true switch with the first decision for its language made while it is spoken.

    ``old`` is not compared, so that a missed switch does not turn the next one into a miss too;
    the direction that counts is the language switched *to*.
    """
    free = sorted(decisions, key=lambda d: d.available)
    lags, point_errors, missed = [], [], []
    for switch in truth:
        match = next(
            (
                d
                for d in free
                if d.new == switch.new and switch.at <= d.available < switch.end + reversal // 2
            ),
            None,
        )
        if match is None:
            missed.append(switch)
            continue
        free.remove(match)
        lags.append(match.available - switch.at)
        point_errors.append(abs(match.at - switch.at))
    ordered = sorted(decisions, key=lambda d: d.available)
    undone = sum(
        a in free and b.new == a.old and b.available - a.available <= reversal
        for a, b in itertools.pairwise(ordered)
    )
    return SwitchScore(
        lags=tuple(lags),
        errors=tuple(point_errors),
        missed=tuple(missed),
        false=tuple(free),
        reversals=undone,
    )


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Language diarization error without a collar, in samples."""

    speech: int = 0
    missed: int = 0
    false_alarm: int = 0
    wrong_language: int = 0

    @property
    def rate(self) -> float:
        """LD-DER: (missed + false alarm + wrong language) / reference speech."""
        return (self.missed + self.false_alarm + self.wrong_language) / max(1, self.speech)

    @property
    def wrong_rate(self) -> float:
        """Wrong-language time / reference speech."""
        return self.wrong_language / max(1, self.speech)

    def __add__(self, other: DiarizationError) -> DiarizationError:
        return DiarizationError(
            self.speech + other.speech,
            self.missed + other.missed,
            self.false_alarm + other.false_alarm,
            self.wrong_language + other.wrong_language,
        )


def diarization_error(truth: Sequence[Stretch], hypothesis: Sequence[Stretch]) -> DiarizationError:
    """Compare two language timelines exactly (sweep over all borders, no collar)."""
    borders = sorted({p for s in (*truth, *hypothesis) for p in (s.start, s.end)})
    total = DiarizationError()
    for start, end in itertools.pairwise(borders):
        expected, got = _language_at(truth, start), _language_at(hypothesis, start)
        length = end - start
        total += DiarizationError(
            speech=length if expected else 0,
            missed=length if expected and not got else 0,
            false_alarm=length if got and not expected else 0,
            wrong_language=length if expected and got and expected != got else 0,
        )
    return total


def _language_at(stretches: Sequence[Stretch], at: int) -> str | None:
    return next((s.language for s in stretches if s.start <= at < s.end), None)
