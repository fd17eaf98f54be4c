"""What goes into the language tracker and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.types import FloatArray

EVERYTHING = 2**62
"""A frontier beyond all audio: nothing holds text back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LidFrame:
    """Language probabilities ``[languages]`` (float32, all of the engine's) of one span."""

    start: int  # samples
    end: int  # samples
    probabilities: FloatArray
    newest: FloatArray | None = None  # of the newest part of the span alone, where that was heard

    @property
    def centre(self) -> int:
        return (self.start + self.end) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChange:
    """A sustained change; ``crossing`` is where it happened, before localisation (samples)."""

    old: str
    new: str
    crossing: int  # samples; the utterance's start when the whole utterance is in `new`
    decided_at: int  # samples, end of the frame that decided
    probability: float  # P(new) at that frame


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageState:
    """What is known after a feed; times in samples."""

    language: str | None  # the decided language; None: not yet
    probability: float  # P(language), 0-1; of the best guess while nothing is decided
    margin: float  # P(best) - P(second) among the allowed languages
    settled: bool  # decided, holds in this utterance, no candidate
    frontier: int  # nothing after this may be committed
    candidate: str | None
    candidate_since: int | None
    changes: tuple[LanguageChange, ...] = ()  # decided by this feed, oldest first
    other: float = 0.0  # mass outside the allowed languages

    @property
    def change(self) -> LanguageChange | None:
        """The newest change of this feed (feeds shorter than the dwell hold one at most)."""
        return self.changes[-1] if self.changes else None
