"""A clock that only moves when a test says so."""

from __future__ import annotations

from whisper_service.errors import InvalidOptionError


class ManualClock:
    """Stands in for ``time.monotonic`` and ``time.sleep``; times in seconds.

    Calling the clock is the same as :meth:`now`, so it fits wherever a function is expected.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on. Raises ``InvalidOptionError`` for a negative step."""
        if seconds < 0:
            raise InvalidOptionError(
                f"a clock cannot go back by {-seconds} s; advance by 0 or more"
            )
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move on at once instead of waiting."""
        self.advance(max(0.0, seconds))
