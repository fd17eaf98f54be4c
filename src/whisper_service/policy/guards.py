"""Checks against what Whisper does when it goes wrong; none depends on the language.

A loop must never be committed or prompted with: the next decode would continue it.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from math import ceil
from typing import TypeVar

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import Hypothesis
from whisper_service.policy.align_att import TimedWord
from whisper_service.policy.local_agreement import normalized

LEAST_BUDGET = 8
"""Tokens allowed however short the audio is: one word may take several."""

MOST_BUDGET = 224
"""Half of Whisper's 448 positions, as openai/whisper's ``DecodingOptions.sample_len``."""

ROOM = 443
"""Whisper's positions less five special tokens, for prompt, prefix and new tokens together."""

LONGEST_PERIOD = 20
"""Tokens of the longest n-gram looked for: about one sentence."""

_Item = TypeVar("_Item", bound=Hashable)


def token_budget(seconds: float, max_tokens_per_second: float) -> int:
    """Count the new tokens that ``seconds`` of speech may give before decoding is stopped."""
    return min(MOST_BUDGET, max(LEAST_BUDGET, ceil(seconds * max_tokens_per_second)))


def fitting(prompt: Sequence[int], *, prefix: int, budget: int) -> tuple[tuple[int, ...], int]:
    """The newest part of ``prompt`` and the new tokens, at most ``budget``, that there is room for.

    The prompt gives way first: ``prefix`` tokens have been committed, and speech waits.
    """
    budget = max(1, min(budget, ROOM - prefix))
    left = max(0, ROOM - prefix - budget)
    return tuple(prompt[max(0, len(prompt) - left) :]), budget


def repetition_start(items: Sequence[_Item]) -> int | None:
    """Index where a loop begins to repeat itself: what stands before it is said once.

    A loop is an n-gram of up to :data:`LONGEST_PERIOD` items that follows itself often enough:
    six times in all for one item, four times for two or three, three times for more. People
    say "no, no, no, no", but nothing longer so often.
    """
    best: int | None = None
    for period in range(1, min(LONGEST_PERIOD, len(items) // 2) + 1):
        start = _periodic_from(items, period)
        if start is not None and (best is None or start < best):
            best = start
    return best


def _periodic_from(items: Sequence[_Item], period: int) -> int | None:
    """Index of the second copy in the first loop with this period."""
    needed = period * (_copies(period) - 1)
    run = 0
    for index in range(period, len(items)):
        run = run + 1 if items[index] == items[index - period] else 0
        if run == needed:
            return index - needed + 1
    return None


def _copies(period: int) -> int:
    return 6 if period == 1 else 4 if period <= 3 else 3


def trim_repetition(
    words: Sequence[TimedWord], *, said: Sequence[str] = ()
) -> tuple[list[TimedWord], bool]:
    """Words up to where a loop begins to repeat itself, and whether it began in what was ``said``.

    ``said`` are the texts of the words committed before: a loop that grows by a word with each
    update shows only in both together.
    """
    before = [normalized(text) for text in said]
    start = repetition_start([*before, *(normalized(word.text) for word in words)])
    if start is None:
        return list(words), False
    return list(words[: max(0, start - len(before))]), start < len(before)


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` over its bytes under zlib, as openai/whisper's ``utils.py``; 0 if empty."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def is_no_speech(hypothesis: Hypothesis, options: DecodeOptions) -> bool:
    """Whether the model hears no speech and is not sure of its words either.

    Both thresholds must be passed, as in openai/whisper's ``transcribe.py``: the no-speech
    probability alone is wrong too often.
    """
    silent = hypothesis.no_speech_prob > options.no_speech_threshold
    return silent and hypothesis.avg_logprob < options.logprob_threshold


def is_compressible(text: str, options: DecodeOptions) -> bool:
    """Whether ``text`` repeats itself more than speech does."""
    return compression_ratio(text) > options.compression_ratio_threshold


def rewind_start(frames: Sequence[int], *, committed: int, tolerance: int) -> int | None:
    """Index of the first token that attends too far back, if there is one.

    ``frames`` are the attended frames of the new tokens, ``committed`` the last frame of the
    newest committed word: a token more than ``tolerance`` frames before it is likely said twice
    (the check of SimulStreaming's AlignAtt decoder).
    """
    return next((i for i, frame in enumerate(frames) if frame < committed - tolerance), None)
