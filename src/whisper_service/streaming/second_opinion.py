"""What the text says of a change of language that the sound has decided.

Identification hears sounds, the decoder words, and the two err apart. So what begins at a change is
decoded in both languages before the change is taken. Measured by ``benchmarks/second_opinions.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from whisper_service.lid import LanguageChange
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.types import to_samples

ENOUGH = to_samples(0.5)  # of audio at least that is decoded for an opinion
CLEARLY = 0.3  # mean log-probability, natural, by which one language fits better than another


def is_denied(change: LanguageChange, trial: LanguageSession, window: Window) -> bool:
    """Whether what is said in ``window``, which begins at ``change``, speaks against it.

    ``trial`` is a session in the new language. Denied is a change in whose language nothing can be
    read, or whose text fits clearly less well than that in the old language. Previews are decoded
    however busy the stream is: no load may decide the language.
    """
    new = trial.propose(window, final=False)
    old = trial.propose(window, final=False, language=change.old)
    return not new.words or speaks_against(old, new)


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
