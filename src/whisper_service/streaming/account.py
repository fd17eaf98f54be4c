"""Where every received sample went."""

from __future__ import annotations

from dataclasses import dataclass, field

from whisper_service.types import AudioAccount


@dataclass(slots=True)
class Account:
    """Attributes the stream from its start, in order: each sample once, whatever overlaps.

    ``cursor`` is the first sample not attributed yet. Windows overlap and audio may be decoded
    again after a change of language, so only what lies past the cursor counts.
    """

    received: int = 0
    decoded: int = 0
    skipped_silence: int = 0
    dropped: int = 0
    cursor: int = 0
    _lost: list[tuple[int, int]] = field(default_factory=list)

    def receive(self, samples: int) -> None:
        self.received += samples

    def lose(self, samples: int) -> None:
        """Count ``samples`` as received and dropped: they never reached the pipeline."""
        self._lost.append((self.received, self.received + samples))
        self.received += samples

    def decode(self, until: int) -> None:
        """Everything before ``until`` has been decoded."""
        self.decoded += self._advance(until)

    def skip(self, until: int) -> None:
        """Everything before ``until`` that is not attributed yet was judged silent."""
        self.skipped_silence += self._advance(until)

    def snapshot(self) -> AudioAccount:
        lost = sum(end - max(start, self.cursor) for start, end in self._lost)
        return AudioAccount(
            received=self.received,
            decoded=self.decoded,
            skipped_silence=self.skipped_silence,
            dropped=self.dropped + lost,
            pending=self.received - self.cursor - lost,
        )

    def _advance(self, until: int) -> int:
        until = min(until, self.received)
        if until <= self.cursor:
            return 0
        lost = sum(max(0, min(end, until) - max(start, self.cursor)) for start, end in self._lost)
        moved = until - self.cursor - lost
        self.dropped += lost
        self.cursor = until
        self._lost = [(start, end) for start, end in self._lost if end > until]
        return moved
