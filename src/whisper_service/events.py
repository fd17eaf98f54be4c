"""What a stream says while it runs: one small frozen dataclass per event.

All times are samples at 16 kHz since the stream began (:func:`whisper_service.types.to_seconds`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from whisper_service.types import GapReason, Segment, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """Speech began at ``at`` (pre-roll not counted)."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded:
    """Speech ended at ``at`` (padding not counted)."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """The running segment as it stands: ``committed`` stays, ``tentative`` may still change."""

    committed: str
    tentative: str
    language: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Words that will never change again, in order. All of them joined are the transcript."""

    words: tuple[Word, ...]
    language: str

    @property
    def text(self) -> str:
        return "".join(w.text for w in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """A segment is complete; its words have all been committed before."""

    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageDetected:
    """The first language of the stream is known."""

    language: str
    probability: float
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageCandidate:
    """Another language seems to be spoken since ``since``; ``None``: the candidate was dropped."""

    language: str | None
    probability: float
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageSwitched:
    """The speaker changed language at ``at``; this was known at ``decided_at``."""

    old: str
    new: str
    at: int
    decided_at: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSkipped:
    """A stretch that was not transcribed, and why."""

    start: int
    end: int
    reason: GapReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far the text trails the speaker, in samples, after an update.

    Newest audio received less newest audio decided, and what waits at the caller because work is
    slower than speech, which only a stream with a clock knows.
    """

    samples: int
    at: int


Event: TypeAlias = (
    SpeechStarted
    | SpeechEnded
    | Partial
    | Committed
    | Final
    | LanguageDetected
    | LanguageCandidate
    | LanguageSwitched
    | AudioSkipped
    | Lag
)
