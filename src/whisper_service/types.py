"""Values that every part of the pipeline exchanges.

Inside the package a time is an integer: samples at 16 kHz since the stream began. Seconds
appear at the edges only, through :func:`to_seconds` and :func:`to_samples`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, the only rate inside the package
HOP = 160  # samples between two mel frames (10 ms)
FRAME = 320  # samples per encoder frame (20 ms)

FloatArray: TypeAlias = NDArray[np.float32]
Task = Literal["transcribe", "translate"]
Mode = Literal["live", "fast", "offline"]
LanguagePolicy = Literal["forced", "auto_lock", "code_switch"]


def to_seconds(samples: int) -> float:
    """Samples at 16 kHz as seconds, to the nearest millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def to_samples(seconds: float) -> int:
    """Seconds as samples at 16 kHz, rounded to the nearest sample."""
    return round(seconds * SAMPLE_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One committed word (in scripts without spaces: one character).

    ``text`` keeps its leading space where the language writes one; ``start`` and ``end`` are
    samples since the stream began; ``probability`` is the mean probability of its tokens.
    ``language`` is its segment's, unless another one was surely heard in the word's own span.
    """

    text: str
    start: int
    end: int
    probability: float
    language: str
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A completed stretch of speech in one language; times in samples since the stream began.

    Segments of one utterance leave no speech between them but what a :class:`Gap` names, so one may
    begin before its first word and end behind its last.
    """

    id: int
    start: int
    end: int
    text: str
    language: str
    language_probability: float  # of `language` against all others, 0-1
    confidence: float  # geometric mean of the words' probabilities, 0-1
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float = 0.0
    tokens: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()


GapReason: TypeAlias = Literal["no_speech", "no_words", "overload", "other_language"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch ``[start, end)`` (samples) that was not transcribed, and why.

    ``no_speech``: the detector heard some, the model none. ``no_words``: what counts as speech, but
    nothing was written for it. ``other_language``: in none of the allowed ones. ``overload``: lost
    before it was heard; told at once, also within a segment.
    """

    start: int
    end: int
    reason: GapReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A change of language at a point of the audio (samples since the stream began)."""

    old: str
    new: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioAccount:
    """Where every received sample went: ``received = decoded + skipped + dropped + pending``.

    ``decoded`` went through the model, also where it gave no text (``AudioSkipped`` says why);
    ``skipped_silence`` never did.
    """

    received: int = 0
    decoded: int = 0
    skipped_silence: int = 0
    dropped: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The result of a whole recording."""

    task: Task
    duration: int  # samples
    language: str  # the one most speech was in; "" when nothing was said
    segments: tuple[Segment, ...]
    switches: tuple[Switch, ...]
    audio: AudioAccount
    model: str
    statistics: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    @property
    def text(self) -> str:
        """All segments' texts, joined as they were spoken."""
        return "".join(s.text for s in self.segments).strip()

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages heard, most spoken first."""
        spoken: dict[str, int] = {}
        for s in self.segments:
            spoken[s.language] = spoken.get(s.language, 0) + s.end - s.start
        return tuple(sorted(spoken, key=lambda code: -spoken[code]))
