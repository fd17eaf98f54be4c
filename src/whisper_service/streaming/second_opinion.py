"""What the text says of a change of language that the sound has decided.

Identification hears sounds, the decoder words, and the two err apart. So what begins at a change is
decoded in both languages before the change is taken. Measured by ``benchmarks/second_opinions.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto

from whisper_service.lid import LanguageChange
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.localise import ChangePoint
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.text.languages import NO_SPACE
from whisper_service.types import to_samples


class Verdict(Enum):
    """What becomes of a change that the sound has decided."""

    TAKEN = auto()
    POSTPONED = auto()  # a later frame may decide it again
    DENIED = auto()


ENOUGH = to_samples(0.5)  # of audio at least that is decoded for an opinion
SINGLE = to_samples(2.0)  # so long after a change, longer than any word, one word need not be all
CHARACTERS = 2  # of a word in Chinese, at the mean; words of other scripts without spaces have more
RETURNED = 1.0  # nats of sound for a return to the old language
CLEARLY = 0.3  # mean log-probability, natural, by which one language fits better than another


def judge(
    change: LanguageChange,
    trial: LanguageSession,
    window: Window,
    *,
    point: ChangePoint,
    whole: bool,
) -> Verdict:
    """What the text in ``window``, which begins at ``change``, says of it.

    ``trial`` is a session in the new language. Denied is a change in whose language nothing can be
    read, or whose text fits clearly less well than that in the old language. Postponed is one
    inside an utterance (not ``whole``) of which only a word has been said: single words change no
    language. So is one of two words if the old language seems to go on already behind ``point``:
    the second may be read in any language. Previews are decoded however busy the stream is: no
    load may decide the language.
    """
    new = trial.propose(window, final=False)
    if not new.words:
        return Verdict.DENIED
    early = not whole and window.end - window.start < SINGLE
    most = 2 if point.back > RETURNED else 1
    if early and is_short(new, words=most):
        return Verdict.POSTPONED
    if new.fit >= -CLEARLY:  # no text can fit clearly better
        return Verdict.TAKEN
    old = trial.propose(window, final=False, language=change.old)
    return Verdict.DENIED if speaks_against(old, new) else Verdict.TAKEN


def is_short(said: Proposal, *, words: int = 1) -> bool:
    """Whether ``said`` is that many words at most, in scripts without spaces of two characters."""
    if said.language in NO_SPACE:
        return sum(map(str.isalnum, said.text)) <= CHARACTERS * words
    return len(said.words) <= words


def speaks_against(old: Proposal, new: Proposal) -> bool:
    """Whether the language of ``old`` fits the same audio clearly better than that of ``new``."""
    return old.fit > new.fit + CLEARLY


def better_language(
    session: LanguageSession, proposal: Proposal, *, likely: Mapping[str, float]
) -> Proposal:
    """Decode the other ``likely`` languages from the same encoding and keep the best text.

    For the end of an utterance whose language is unsure; ``likely`` has their probabilities. The
    margin between the two best, as a probability, is how sure the language is then.
    """
    others = [language for language in likely if language != proposal.language]
    if not others:
        return proposal
    proposals = [session.propose(proposal.window, final=True, language=code) for code in others]
    scored = [(p.score(likely.get(p.language, 0.0)), p) for p in (proposal, *proposals)]
    scored.sort(key=lambda pair: -pair[0])
    (best, chosen), (second, _), *_ = scored
    return replace(chosen, language_probability=1.0 / (1.0 + math.exp(second - best)))
