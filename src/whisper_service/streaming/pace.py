"""Falling behind, and what gives way first (live mode only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whisper_service.types import SAMPLE_RATE

TOLERATED = 0.25  # s behind real time before anything gives way
WIDEST = 4.0  # updates never get rarer than this many times their normal distance


@dataclass(slots=True)
class Pace:
    """Weighs time spent against audio handled and widens updates (``clock``: s, monotonic).

    While work takes longer than the audio it is done on, audio piles up at the caller; the pile
    shrinks by whatever is handled faster than it was spoken. Time between calls counts for
    nothing: a muted microphone or a slow sound card is not the transcriber falling behind.

    When decoding falls behind, updates get rarer first, previews go next; committed text never
    gives way, because every window still reaches back to the last committed word.
    """

    clock: Callable[[], float] | None
    behind: float = 0.0  # s
    widened: int = 0  # updates that came later than they would have
    _since: float = 0.0  # clock of the work not weighed yet
    _now: int = 0  # samples weighed

    def begin(self) -> None:
        """Work on newly arrived audio begins."""
        if self.clock is not None:
            self._since = self.clock()

    def observe(self, now: int) -> None:
        """Everything before sample ``now`` has been handled."""
        if self.clock is None:
            return
        wall = self.clock()
        spent, handled = wall - self._since, (now - self._now) / SAMPLE_RATE
        self.behind = max(0.0, self.behind + spent - handled)
        self._since, self._now = wall, now

    def widen(self, interval: int) -> int:
        """The distance (samples) to the next update instead of ``interval``."""
        if not self.late:
            return interval
        factor = min(WIDEST, 1.0 + self.behind * SAMPLE_RATE / interval)
        return round(interval * factor)

    @property
    def late(self) -> bool:
        """Whether anything has to give way."""
        return self.behind > TOLERATED

    @property
    def previews(self) -> bool:
        """Whether there is time for text that may still change."""
        return self.behind <= 4 * TOLERATED
