"""From speech probabilities to where speech starts and ends: hysteresis on the sample clock.

Two thresholds and two durations, as in pyannote.audio's ``Binarize``
(``src/pyannote/audio/utils/signal.py``), as a state machine of four states::

    QUIET ── p >= onset ──> STARTING ── min_speech above onset ──> SPEAKING
      ^                        │                                   │     ^
      ├────── p < offset ──────┘                       p < offset  │     │  p >= offset
      │                                                            v     │
      └────────── min_silence since speech was sure ──────────── STOPPING

Times are reported as detected; ``pre_roll`` and ``pad`` are the session's to add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from whisper_service.config import VadOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.events import SpeechEnded, SpeechStarted
from whisper_service.types import to_samples

WINDOW = 512  # samples per probability

SURE = 0.95
"""Speech ends where Silero was last this sure of it: its doubt grows for some windows after the
end, and how many depends on the voice. See ``benchmarks/speech_ends.py``."""

FADING = 4 * WINDOW
"""Samples that its doubt may take to fall below ``offset``; a quiet voice is never so sure."""

LINGER = WINDOW
"""Samples that Silero goes on being sure after the end of speech, taken off every end."""


class Phase(Enum):
    QUIET = auto()
    STARTING = auto()  # above onset, not yet for min_speech
    SPEAKING = auto()
    STOPPING = auto()  # below offset, min_silence has not passed yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(SpeechStarted):
    """``at``: first sample of the first window above onset."""

    known_at: int  # samples that had been judged when this was decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(SpeechEnded):
    """``at``: where speech was last sure, at most :data:`FADING` ago, less :data:`LINGER`."""

    known_at: int  # samples that had been judged when this was decided


Boundary: TypeAlias = Started | Ended


@dataclass(slots=True, kw_only=True)
class SegmenterState:
    """Everything that changes while a stream runs; times in samples since it began."""

    phase: Phase = Phase.QUIET
    now: int = 0  # samples judged
    start: int = 0  # of the first window above onset
    above: int = 0  # samples above onset since then
    sure: int = 0  # end of the last window at or above SURE
    stopping_since: int | None = None  # where speech will have ended if no more follows
    below: int = 0  # start of the first window below offset, while stopping


class SpeechSegmenter:
    """Follows one stream, one probability per 512 samples; how they are batched never matters.

    With ``options.enabled`` off everything is speech, from sample 0 to the end of the stream.
    """

    def __init__(self, options: VadOptions | None = None) -> None:
        """Raise ``InvalidOptionError`` for thresholds or durations that cannot work."""
        self.options = options or VadOptions()
        _check(self.options)
        self.state = SegmenterState()
        self._min_speech = to_samples(self.options.min_speech)
        self._min_silence = to_samples(self.options.min_silence)
        self._fading = min(FADING, to_samples(self.options.pad))  # what is lost of it, pad makes up

    @property
    def speaking(self) -> bool:
        """Whether speech has started and not ended."""
        return self.state.phase in (Phase.SPEAKING, Phase.STOPPING)

    @property
    def quiet(self) -> bool:
        """Whether nothing points to speech; neither speaking nor quiet: it may be starting."""
        return self.state.phase is Phase.QUIET

    @property
    def stopping_since(self) -> int | None:
        """Where speech will have ended if no more follows, while that is undecided."""
        return self.state.stopping_since

    @property
    def silence(self) -> int:
        """Samples for which the speech that is stopping has been below offset."""
        return self.state.now - self.state.below if self.state.phase is Phase.STOPPING else 0

    def feed(self, probabilities: Sequence[float]) -> list[Boundary]:
        """Judge windows in order; return the boundaries that became known."""
        boundaries = (self._judge(probability) for probability in probabilities)
        return [boundary for boundary in boundaries if boundary is not None]

    def finish(self, end: int | None = None) -> list[Boundary]:
        """End the stream at sample ``end`` (default: after the last window); close open speech."""
        state = self.state
        now = state.now if end is None else end
        at = now if state.stopping_since is None else min(now, state.stopping_since)
        closing: list[Boundary] = [Ended(at=at, known_at=now)] if self.speaking else []
        state.phase, state.stopping_since = Phase.QUIET, None
        return closing

    def _judge(self, probability: float) -> Boundary | None:
        state, options = self.state, self.options
        begin = state.now
        state.now += WINDOW
        if probability >= max(SURE, options.offset):
            state.sure = state.now
        if not options.enabled:
            return self._start(begin) if not self.speaking else None
        match state.phase:
            case Phase.QUIET if probability >= options.onset:
                state.phase, state.start, state.above = Phase.STARTING, begin, 0
                return self._confirm_start()
            case Phase.STARTING if probability >= options.onset:
                return self._confirm_start()
            case Phase.STARTING if probability < options.offset:
                state.phase = Phase.QUIET
            case Phase.SPEAKING if probability < options.offset:
                state.phase = Phase.STOPPING
                state.below = begin
                ended = max(state.sure, begin - self._fading) - LINGER
                state.stopping_since = max(state.start, ended)
                return self._confirm_end(state.stopping_since)
            case Phase.STOPPING if probability >= options.offset:
                state.phase, state.stopping_since = Phase.SPEAKING, None
            case Phase.STOPPING if state.stopping_since is not None:
                return self._confirm_end(state.stopping_since)
        return None

    def _confirm_start(self) -> Started | None:
        state = self.state
        state.above += WINDOW
        return self._start(state.start) if state.above >= self._min_speech else None

    def _start(self, at: int) -> Started:
        self.state.phase = Phase.SPEAKING
        return Started(at=at, known_at=self.state.now)

    def _confirm_end(self, at: int) -> Ended | None:
        state = self.state
        waited = state.now - at >= self._min_silence - WINDOW // 2  # to the nearest window
        if not waited or state.now - state.below < self._min_silence // 2:
            return None
        state.phase, state.stopping_since = Phase.QUIET, None
        return Ended(at=at, known_at=state.now)


def _check(options: VadOptions) -> None:
    if not 0.0 <= options.offset <= options.onset <= 1.0:
        raise InvalidOptionError(
            f"VAD thresholds must satisfy 0 <= offset <= onset <= 1, "
            f"not offset {options.offset} and onset {options.onset}"
        )
    for name in ("min_speech", "min_silence", "pre_roll", "pad"):
        if getattr(options, name) < 0:
            raise InvalidOptionError(f"VAD option {name} must be 0 s or more")
