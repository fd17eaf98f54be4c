"""AlignAtt: what has been decoded becomes final once attention has left it behind.

After Papi et al. (2023, "AlignAtt", arXiv 2305.11408): as long as the decoder attends to the
last frames of the window, a token may still change; everything before that may be committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from whisper_service.engine.base import Hypothesis, Tokenizer
from whisper_service.types import FRAME, SAMPLE_RATE, FloatArray

REPLACEMENT = "\ufffd"
"""What an incomplete character decodes to; a word that holds it is never committed."""

BACKGROUND = 0.25
"""Share of a token's strongest attention below which a frame is not part of the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWord:
    """A decoded word; ``[start, end)`` are frames of the window (20 ms)."""

    text: str
    tokens: tuple[int, ...]
    start: int
    end: int
    probability: float  # mean over its tokens, 0-1


def stop_frame(content: int, threshold: float) -> int:
    """First of the last ``threshold`` seconds of ``content`` frames: the AlignAtt frontier."""
    return max(0, content - round(threshold * SAMPLE_RATE / FRAME))


def timed_words(hypothesis: Hypothesis, tokenizer: Tokenizer, language: str) -> list[TimedWord]:
    """Split a hypothesis into words with their frames and probabilities."""
    starts, ends = token_frames(hypothesis.attention)
    words, first = [], 0
    for text, tokens in tokenizer.split_words(hypothesis.tokens, language):
        last = first + len(tokens)
        start = int(starts[first])
        words.append(
            TimedWord(
                text=text,
                tokens=tuple(tokens),
                start=start,
                end=max(start + 1, int(ends[last - 1])),
                probability=sum(map(exp, hypothesis.logprobs[first:last])) / len(tokens),
            )
        )
        first = last
    return words


def token_frames(attention: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and one-past-last frame ``[tokens]`` of each token, in order and without overlap.

    A monotone alignment in the spirit of openai/whisper's ``timing.py`` (dynamic time warping
    over the alignment heads), with two differences: frames may belong to no token, so a pause
    or undecoded speech at the end does not stretch a word; and each token's row is one
    vectorised step, because with running sums ``C`` the best score of ending token ``i`` at
    frame ``b`` is ``C[b] + max over a <= b of (best[i-1, a] - C[a])``.
    """
    tokens, frames = attention.shape
    best = np.zeros(frames + 1)
    begun = np.zeros((tokens, frames + 1), np.intp)  # where token i begins if it ends at b
    rested = np.zeros((tokens, frames + 1), np.intp)  # where token i ends if i + 1 may begin at b
    for index, row in enumerate(attention):
        peak = max(float(row.max(initial=0.0)), 1e-9)
        sums = np.concatenate(([0.0], np.cumsum(row / peak - BACKGROUND)))
        entered, begun[index] = _running_best(best - sums)
        best, rested[index] = _running_best(entered + sums)
    return _trace(begun, rested)


def _running_best(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Largest value so far and where it stands (the first of equal ones), at each position."""
    best = np.maximum.accumulate(values)
    fresh = np.concatenate(([True], values[1:] > best[:-1]))
    return best, np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))


def _trace(
    begun: NDArray[np.intp], rested: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Follow the choices back from the last frame."""
    tokens = len(begun)
    starts, ends = np.zeros(tokens, np.intp), np.zeros(tokens, np.intp)
    boundary = begun.shape[1] - 1
    for index in range(tokens - 1, -1, -1):
        ends[index] = rested[index, boundary]
        starts[index] = boundary = begun[index, ends[index]]
    return starts, ends


class AlignAttPolicy:
    """Commit complete words that attend before the frontier. It holds no state."""

    def commit(
        self,
        hypothesis: Hypothesis,
        words: Sequence[TimedWord],
        *,
        frontier_frame: int,
        final: bool,
    ) -> int:
        """Count the leading words that may be committed.

        Every token of a word must attend before ``frontier_frame`` (frames of the window: the
        AlignAtt and the language frontier, whichever comes first). The newest word waits until
        another one has begun, or the decoder has ended and ``final`` says that no audio follows.
        """
        closed = len(words) if final and hypothesis.stopped == "end" else len(words) - 1
        return min(max(0, closed), clear_words(hypothesis, words, frontier_frame))

    def reset(self) -> None:
        """Do nothing: there is no state to forget."""


def clear_words(hypothesis: Hypothesis, words: Sequence[TimedWord], frontier_frame: int) -> int:
    """Count the leading words whose tokens all attend before the frontier, characters complete."""
    first = 0
    for count, word in enumerate(words):
        last = first + len(word.tokens)
        attended = hypothesis.frames[first:last]
        if REPLACEMENT in word.text or any(frame >= frontier_frame for frame in attended):
            return count
        first = last
    return len(words)
