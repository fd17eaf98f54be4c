"""Sessions of one stream: all alike but for their language and where they begin."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.session import LanguageSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMaker:
    """Makes the sessions of one stream."""

    engine: Engine
    options: StreamOptions
    metrics: PerformanceMetrics

    def make(self, language: str, *, start: int, speech: int = 0) -> LanguageSession:
        """A session whose window begins at ``start`` and its words not before ``speech``."""
        return LanguageSession(
            engine=self.engine,
            options=self.options.decode,
            metrics=self.metrics,
            language=language,
            start=start,
            speech=max(start, speech),
            prompt=self._prompt(language),
        )

    def _prompt(self, language: str) -> str:
        """The user's prompt, for the language it is in: no prompt may carry another one."""
        named = self.options.language.languages
        return self.options.decode.prompt if language in named[:1] or len(named) < 2 else ""
