"""What changes while one utterance runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from whisper_service.lid import LanguageState
from whisper_service.streaming.listening import Heard
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.streaming.voicing import Voicing
from whisper_service.types import GapReason


@dataclass(slots=True)
class UtteranceState:
    """All that changes while one utterance runs; positions in samples."""

    start: int  # of the window, pre-roll included
    speech: int  # of the speech
    listened: Heard
    session: LanguageSession | None = None
    language: LanguageState | None = None
    final_proposal: Proposal | None = None  # of the speculative pass, at a possible end of speech
    unwritten: GapReason = "no_words"  # why there is no text for what is left of it at the end
    voicing: Voicing = field(default_factory=Voicing)

    @property
    def window_start(self) -> int:
        return self.session.state.window_start if self.session else self.start

    @property
    def other(self) -> float:
        """Probability of the languages that are not allowed."""
        return self.language.other if self.language is not None else 0.0

    @property
    def decided(self) -> int:
        """Up to which sample the text is committed."""
        return self.session.state.last_end if self.session else max(self.speech, self.start)

    @property
    def unsaid(self) -> int:
        """Where the audio begins of which nothing has been committed."""
        if self.session is None:
            return self.start
        return self.session.start if self.session.untouched else self.session.state.last_end
