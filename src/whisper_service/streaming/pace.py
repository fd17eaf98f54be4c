"""Falling behind, and what gives way first (live mode only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whisper_service.types import SAMPLE_RATE

TOLERATED = 0.25  # s behind real time before anything gives way
WIDEST = 4.0  # updates never get rarer than this many times their normal distance


@dataclass(slots=True)
class Pace:
    """Compares the sample clock with ``clock`` (seconds, monotonic) and widens updates.

    When decoding falls behind, updates get rarer first, previews go next; committed text never
    gives way, because every window still reaches back to the last committed word.
    """

    clock: Callable[[], float] | None
    behind: float = 0.0  # s
    widened: int = 0  # updates that came later than they would have
    _origin: float | None = None

    def observe(self, now: int) -> None:
        """Note that sample ``now`` is being handled."""
        if self.clock is None:
            return
        wall = self.clock()
        stream = now / SAMPLE_RATE
        if self._origin is None or wall - self._origin < stream:
            self._origin = wall - stream  # audio can't arrive before it was spoken
        self.behind = wall - self._origin - stream

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
