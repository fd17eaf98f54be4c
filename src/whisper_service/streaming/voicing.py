"""How likely speech was in the newest half minute: where to cut, and where words may end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from whisper_service.streaming.localise import dips_of
from whisper_service.types import FRAME

WINDOW = 512  # samples per probability
KEPT = 1000  # windows of 32 ms: a little more than the longest window


@dataclass(slots=True)
class Voicing:
    """Speech probabilities of the newest windows, stamped with the sample each ends at."""

    windows: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def hear(self, at: int, probability: float) -> None:
        """Note the speech probability of the window that ends at ``at``."""
        self.windows.append((at, probability))

    def quietest(self, start: int, end: int) -> int:
        """Where speech was least likely in the second half of ``[start, end)``, in samples."""
        half = (start + end) // 2
        voiced = [(p, at) for at, p in self.windows if half < at < end - FRAME]
        return (min(voiced)[1] if voiced else end) // FRAME * FRAME

    def spoken(self, start: int, end: int) -> int:
        """Samples of ``[start, end)`` in windows that were more likely speech than not."""
        return sum(
            min(at, end) - max(at - WINDOW, start)
            for at, p in self.windows
            if p >= 0.5 and at > start and at - WINDOW < end
        )

    def dips(self, *, below: float) -> list[int]:
        """Centres of the moments at which speech was least likely and below ``below``."""
        return dips_of(self.windows, below=below)
