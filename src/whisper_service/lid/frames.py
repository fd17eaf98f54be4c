"""Which stretches of speech the language head looks at."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.types import to_samples

SHORTEST_SPAN = to_samples(0.2)
"""Spans below this are skipped. The first ones of an utterance are weak evidence, yet with them a
change that began it can be decided 0.1 s sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LidSpan:
    """The samples ``[start, end)`` of one LID frame."""

    start: int
    end: int

    @property
    def centre(self) -> int:
        """Where the evidence of the span is stamped: it trails its end by half the span."""
        return (self.start + self.end) // 2


def lid_spans(*, after: int, until: int, floor: int, hop: int, window: int) -> list[LidSpan]:
    """Spans that end at the hops ``h`` with ``after < h <= until``.

    Hops are multiples of ``hop`` on the stream's sample clock, so they do not depend on how
    the audio was cut. A span is ``[max(h - window, floor), h)``; ``floor`` is the start of the
    utterance or the last change of language, whichever is later, which keeps the evidence pure.
    Spans shorter than :data:`SHORTEST_SPAN` are left out. All values are samples.
    """
    first = max(after // hop + 1, -(-(floor + SHORTEST_SPAN) // hop))
    hops = range(first * hop, until + 1, hop)
    return [LidSpan(start=max(h - window, floor), end=h) for h in hops]
