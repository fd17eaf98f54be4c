"""What a stream says about its language: the first one, changes, candidates, each of them once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from whisper_service.events import (
    Event,
    LanguageCandidate,
    LanguageDetected,
    LanguageSwitched,
)
from whisper_service.types import Switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A session that began in ``language`` at ``at``, decided when ``decided_at`` was heard."""

    language: str
    at: int  # samples
    decided_at: int  # samples


class LanguageNews:
    """Tells the language of new sessions, once it is sure that they keep it.

    Where speech ends before its language is certain, the runner-up may take the place of a session
    unheard; of the first one nobody must have been told. The newest ``keep`` switches are kept, all
    of them if None.
    """

    def __init__(self, emit: Callable[[Event], None], *, keep: int | None = None) -> None:
        self._emit = emit
        self._untold: Started | None = None
        self._candidate: str | None = None
        self.language: str | None = None  # of the newest session told of
        self.switches: deque[Switch] = deque(maxlen=keep)
        self.switched = 0  # times, those not kept included

    def start(self, started: Started) -> None:
        """Keep a new session in mind; one that was not told yet is forgotten."""
        self._untold = started

    def tell(self, probability: float) -> None:
        """Tell the newest session's language, unless that has been done."""
        started, self._untold = self._untold, None
        if started is None or started.language == self.language:
            return
        old, self.language = self.language, started.language
        if old is None:
            self._emit(
                LanguageDetected(language=started.language, probability=probability, at=started.at)
            )
            return
        self.switched += 1
        self.switches.append(Switch(old=old, new=started.language, at=started.at))
        self._emit(
            LanguageSwitched(
                old=old,
                new=started.language,
                at=started.at,
                decided_at=started.decided_at,
                probability=probability,
            )
        )

    def candidate(self, language: str | None, *, probability: float, since: int) -> None:
        """Tell which other language seems to be spoken, when that changes."""
        if language != self._candidate:
            self._candidate = language
            self._emit(LanguageCandidate(language=language, probability=probability, since=since))
