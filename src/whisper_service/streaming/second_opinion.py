"""What the text says of a change of language that the sound has decided.

Identification hears sounds, the decoder words, and the two err apart. So what begins at a change is
decoded in both languages before the change is taken. Measured by ``benchmarks/second_opinions.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from whisper_service.lid import LanguageChange
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.types import to_samples

Verdict: TypeAlias = Literal["taken", "denied", "doubted"]

ENOUGH = to_samples(0.5)  # of audio at least that is decoded for an opinion
CLEARLY = 0.3  # mean log-probability, natural, by which one language fits better than another
POOR = -1.0  # mean log-probability below which a decode has failed (openai/whisper transcribe.py)
LAST = to_samples(0.2)  # before the end of speech a doubt finds no better text any more
DOUBTS = 5  # times that a change with poor text is looked at again, a frame later each


@dataclass(slots=True)
class SecondOpinion:
    """The opinion on the changes of one utterance; it remembers what it could not decide yet."""

    doubts: int = 0
    doubted: LanguageChange | None = None  # the change whose text was too poor to take it

    def judge(
        self, change: LanguageChange, trial: LanguageSession, window: Window
    ) -> tuple[Verdict, Proposal]:
        """Decode ``window``, which begins at the change, in both languages.

        Returns the verdict and the text in the new language. ``trial`` is a session in it. Previews
        are decoded however busy the stream is: no load may decide the language.
        """
        new = trial.propose(window, final=False)
        old = trial.propose(window, final=False, language=change.old)
        return self.verdict(change, new, old), new

    def verdict(self, change: LanguageChange, new: Proposal, old: Proposal) -> Verdict:
        """Judge ``change`` by decodes of the same audio in the ``new`` language and in the ``old``.

        Denied: nothing can be read in the new language, or the old one fits clearly better.
        Doubted, a few times: what can be read is no text that Whisper itself would believe.
        """
        if not new.words or speaks_against(old, new):
            self.forget()
            return "denied"
        if new.fit < POOR and self.doubts < DOUBTS:
            self.doubts += 1
            self.doubted = change
            return "doubted"
        self.forget()
        return "taken"

    def left_over(self, end: int) -> LanguageChange | None:
        """The change that was still in doubt when speech ended at ``end``: the sound decides it."""
        last = self.doubted
        return last if last is not None and end - last.decided_at <= LAST else None

    def forget(self) -> None:
        """Begin anew: the change was taken or denied, or its suspicion is over."""
        self.doubts, self.doubted = 0, None


def speaks_against(old: Proposal, new: Proposal) -> bool:
    """Whether the language of ``old`` fits the same audio clearly better than that of ``new``."""
    return old.fit > new.fit + CLEARLY


def better_language(
    session: LanguageSession, proposal: Proposal, *, likely: Mapping[str, float]
) -> Proposal:
    """Decode the other ``likely`` languages from the same encoding and keep the best text.

    For the end of an utterance whose language is unsure; ``likely`` has their probabilities.
    """
    others = [language for language in likely if language != proposal.language]
    proposals = [
        session.propose(proposal.window, final=True, language=language) for language in others
    ]
    return max([proposal, *proposals], key=lambda p: p.score(likely.get(p.language, 0.0)))
