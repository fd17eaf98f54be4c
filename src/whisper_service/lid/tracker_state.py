"""What a language tracker remembers between two frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from whisper_service.lid.smoother import Vector
from whisper_service.lid.state import LidFrame
from whisper_service.lid.timeline import LanguageTimeline

STRONG_PROBABILITY = 0.95  # what a frame must show to count against the language before it


@dataclass(slots=True)
class Contest:
    """A language that the newest frames speak for, against the decided one."""

    language: int
    since: int  # centre of its first frame
    frozen: int  # text up to here is safe


@dataclass(slots=True)
class Strong:
    """Which language, if any, every frame so far was strong in."""

    column: int | None = None
    begun: bool = False

    def note(self, probabilities: Vector, languages: int) -> None:
        """Take one more frame; the first ``languages`` columns are languages."""
        best = int(np.argmax(probabilities))
        holds = best < languages and bool(probabilities[best] >= STRONG_PROBABILITY)
        self.column = best if holds and self.column == (best if self.begun else None) else None
        self.begun = True


@dataclass(frozen=True, slots=True)
class Undone:
    """The language before a decision, and how sure it was."""

    language: int | None
    confirmed: bool
    contest: Contest | None
    agreed: int


@dataclass(slots=True)
class TrackerState:
    """The decided language, what may overturn it, and the utterance so far."""

    language: int | None = None  # column of the decided language
    locked: bool = False  # auto_lock has decided for good
    started: int | None = None  # first sample of the utterance
    first_centre: int | None = None  # stamp of the utterance's first frame
    newest: LidFrame | None = None
    agreed: int = 0  # centre of the newest frame that itself heard the decided language
    heard: deque[int] = field(default_factory=deque)  # best column of each of the newest frames
    strong: Strong = field(default_factory=Strong)
    confirmed: bool = False  # the language holds in this utterance
    contest: Contest | None = None
    speech: int = 0  # samples of speech in the utterances before
    lock_probability: float = 1.0
    timeline: LanguageTimeline = field(default_factory=LanguageTimeline)
    undone: Undone | None = None  # what held before the newest decision

    def begin(self, at: int, *, confirmed: bool) -> None:
        """An utterance begins at sample ``at``; what was heard before is evidence no more."""
        self.started, self.first_centre, self.newest, self.agreed = at, None, None, at
        self.confirmed, self.contest, self.strong = confirmed, None, Strong()
        self.heard.clear()

    def settle(self, language: int | None) -> None:
        """``language`` holds, undisputed."""
        self.undone = Undone(self.language, self.confirmed, self.contest, self.agreed)
        self.language, self.confirmed, self.contest = language, True, None

    def undo(self) -> None:
        """Be as before the newest :meth:`settle`; the evidence stays."""
        if self.undone is not None:
            self.language, self.confirmed = self.undone.language, self.undone.confirmed
            self.contest, self.agreed = self.undone.contest, self.undone.agreed
            self.locked = False
