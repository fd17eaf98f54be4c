"""When decoded text becomes final, and the guards against text that must not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import Hypothesis
from whisper_service.policy.align_att import AlignAttPolicy, TimedWord, stop_frame, timed_words
from whisper_service.policy.local_agreement import LocalAgreementPolicy

__all__ = [
    "AlignAttPolicy",
    "CommitPolicy",
    "LocalAgreementPolicy",
    "TimedWord",
    "commit_policy",
    "stop_frame",
    "timed_words",
]


class CommitPolicy(Protocol):
    """Decides how many of the newly decoded words are final."""

    def commit(
        self,
        hypothesis: Hypothesis,
        words: Sequence[TimedWord],
        *,
        frontier_frame: int,
        final: bool,
    ) -> int:
        """Count the leading words that may be committed."""

    def reset(self) -> None:
        """Forget the hypotheses so far."""


def commit_policy(options: DecodeOptions) -> CommitPolicy:
    """Make the policy that ``options.policy`` names."""
    return LocalAgreementPolicy() if options.policy == "local_agreement" else AlignAttPolicy()
