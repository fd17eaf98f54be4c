"""A recording whose words and languages are known: what every score is measured against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from whisper_service.evaluation.corpus import SpokenWord
from whisper_service.evaluation.switching import Stretch, TrueSwitch
from whisper_service.text.normalize import normalize
from whisper_service.types import FloatArray, to_samples

JOINED = to_samples(0.3)  # words of one language closer than this are one stretch of speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Mono samples at 16 kHz and what is said in them; times in samples.

    ``speech`` is the true language timeline, ``words`` the words with their times (empty where
    only the texts of ``speech`` are known: ``texts`` then holds one text per stretch), ``inserted``
    the single words of another language that must not change the language of a session.
    """

    name: str
    suite: str
    languages: tuple[str, ...]  # what a system may be told: the languages to expect
    samples: FloatArray
    speech: tuple[Stretch, ...]
    words: tuple[SpokenWord, ...] = ()
    texts: tuple[str, ...] = ()
    inserted: tuple[SpokenWord, ...] = ()

    @property
    def switches(self) -> list[TrueSwitch]:
        """Changes of the language of the conversation; inserted words make none.

        A language is spoken until the next change, or until the recording ends.
        """
        starts = {w.start for w in self.inserted}  # of stretches: a Chinese word is several of them
        spoken = [s for s in self.speech if s.start not in starts]
        changes = [b for a, b in itertools.pairwise(spoken) if a.language != b.language]
        old = [a for a, b in itertools.pairwise(spoken) if a.language != b.language]
        ends = [*(s.start for s in changes[1:]), len(self.samples)]
        return [
            TrueSwitch(old=a.language, new=b.language, at=b.start, end=end)
            for a, b, end in zip(old, changes, ends, strict=False)
        ]

    @property
    def language(self) -> str:
        """The language spoken first."""
        return self.speech[0].language if self.speech else self.languages[0]

    def language_at(self, at: int) -> str:
        """The language spoken at sample ``at``, or nearest to it."""

        def distance(stretch: Stretch) -> int:
            return max(0, stretch.start - at, at - stretch.end + 1)

        return min(self.speech, key=distance).language

    def parts(self) -> list[tuple[str, str]]:
        """``(text, language)`` in the order spoken."""
        if self.words:
            return [(w.text, w.language) for w in self.words]
        return [(t, s.language) for t, s in zip(self.texts, self.speech, strict=False)]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the truth, with the times of its word where they are known."""

    text: str
    language: str
    start: int | None
    end: int | None


def reference_tokens(recording: Recording) -> list[Token]:
    """The truth as scored: normalized words, single characters in scripts without spaces."""
    if recording.words:
        return [
            Token(token, w.language, w.start, w.end)
            for w in recording.words
            for token in normalize(w.text, w.language)
        ]
    return [
        Token(token, language, None, None)
        for text, language in recording.parts()
        for token in normalize(text, language)
    ]


def stretches(words: Sequence[SpokenWord]) -> tuple[Stretch, ...]:
    """Words of one language joined into stretches of speech over gaps below :data:`JOINED`."""
    joined: list[Stretch] = []
    for word in words:
        last = joined[-1] if joined else None
        near = last is not None and word.start - last.end < JOINED
        if last is not None and near and last.language == word.language:
            joined[-1] = Stretch(start=last.start, end=word.end, language=word.language)
        else:
            joined.append(Stretch(start=word.start, end=word.end, language=word.language))
    return tuple(joined)
