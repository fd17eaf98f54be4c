"""How late the text is: committed-word latency, LAAL, erasure.

Definitions and sources: ``reference/performance-anchors.md`` section 1.1. Latencies are computed
from the *true* word ends (the synthesizer's), never from the model's own times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whisper_service.evaluation.wer import align


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A word of the truth and the sample at which it ends."""

    text: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmittedWord:
    """A committed word and when it was: in samples received, and with computation added."""

    text: str
    heard: int  # samples received
    available: int  # the same clock with the time spent computing added


def word_latencies(
    spoken: Sequence[SpokenWord], emitted: Sequence[EmittedWord], *, computation: bool
) -> list[int]:
    """Samples from the true end of a word to its commitment, for each word recognized correctly.

    ``computation``: whether the time spent computing counts (computation-aware).
    """
    steps = align([w.text for w in spoken], [w.text for w in emitted])
    latencies = []
    for step in steps:
        if step.operation != "equal" or step.reference is None or step.hypothesis is None:
            continue
        word = emitted[step.hypothesis]
        moment = word.available if computation else word.heard
        latencies.append(moment - spoken[step.reference].end)
    return latencies


def laal(delays: Sequence[int], *, source: int, reference: int) -> float:
    """Length-adaptive average lagging in samples.

    ``LAAL = 1/tau * sum_{i<=tau} (D_i - (i-1) * |X| / max(|Y_hyp|, |Y_ref|))`` where ``tau`` is
    the first word with ``D_i >= |X|`` (SimulEval, ``latency_scorer.py``; Papi et al. 2022).
    ``delays`` are the samples heard when each word was emitted, ``source`` is ``|X|``.
    """
    if not delays:
        return 0.0
    if delays[0] > source:
        return float(delays[0])
    step = source / max(len(delays), reference)
    total = 0.0
    count = 0
    for index, delay in enumerate(delays):
        total += delay - index * step
        count += 1
        if delay >= source:
            break
    return total / count


@dataclass(slots=True)
class Erasure:
    """Normalized erasure of partials (Arivazhagan et al. 2020): tokens taken back / final ones."""

    erased: int = 0
    final: int = 0
    _shown: tuple[str, ...] = ()

    def show(self, tokens: Sequence[str]) -> None:
        """A new partial of the running segment replaces the one before."""
        kept = 0
        for old, new in zip(self._shown, tokens, strict=False):
            if old != new:
                break
            kept += 1
        self.erased += len(self._shown) - kept
        self._shown = tuple(tokens)

    def end(self, tokens: Sequence[str]) -> None:
        """The segment is final."""
        self.show(tokens)
        self.final += len(tokens)
        self._shown = ()

    @property
    def normalized(self) -> float:
        return self.erased / max(1, self.final)
