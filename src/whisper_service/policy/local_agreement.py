"""LocalAgreement-2: what two updates in a row agree on becomes final.

After Liu et al. (Interspeech 2020) and Macháček et al. (2023, "Turning Whisper into Real-Time
Transcription System", arXiv 2307.14743).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from whisper_service.engine.base import Hypothesis
from whisper_service.policy.align_att import TimedWord, clear_words


def normalized(text: str) -> str:
    """Letters and digits of ``text``, case folded; other text only stripped."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum()) or folded.strip()


@dataclass(slots=True)
class _State:
    pending: tuple[str, ...] = ()  # normalised words of the last hypothesis, uncommitted


class LocalAgreementPolicy:
    """Commit the words that this hypothesis and the one before begin with.

    Both must continue the same committed prefix: call :meth:`reset` when a session restarts
    or a new utterance begins.
    """

    def __init__(self) -> None:
        self._state = _State()

    def commit(
        self,
        hypothesis: Hypothesis,
        words: Sequence[TimedWord],
        *,
        frontier_frame: int,
        final: bool,
    ) -> int:
        """Count the leading words that may be committed; the caller must commit them.

        No word that attends at or after ``frontier_frame`` (frames of the window) is among
        them. With ``final`` there is no later hypothesis to agree with: all are committed if
        the decoder has ended, all but the last otherwise.
        """
        now = tuple(normalized(word.text) for word in words)
        if final:
            agreed = len(now) if hypothesis.stopped == "end" else max(0, len(now) - 1)
        else:
            agreed = _common(now, self._state.pending)
        count = min(agreed, clear_words(hypothesis, words, frontier_frame))
        self._state.pending = now[count:]
        return count

    def reset(self) -> None:
        """Forget the last hypothesis."""
        self._state = _State()


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the common prefix."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
