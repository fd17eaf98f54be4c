"""Decoding while the language is still being probed.

Most updates change nothing about the language, so the decode in the session's language may start
beside the language probe. When the probe finds a change (or holds text back), what was decoded is
thrown away. The text is the same either way; only the time differs, and not always for the better:
where both compete for the same cores, one after the other wins (``whisper-service bench``).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, fields

from whisper_service.engine.base import DecodeRequest, Encoded, Engine, Hypothesis, Mel, Span
from whisper_service.engine.base import Tokenizer as EngineTokenizer
from whisper_service.engine.scheduler import executor
from whisper_service.types import FloatArray, Task


@dataclass(slots=True)
class Ahead:
    """The decode that runs ahead, and how often that was of use."""

    request: DecodeRequest | None = None
    future: Future[list[Hypothesis]] | None = None
    used: int = 0
    thrown_away: int = 0


class DecodeAhead:
    """An engine that can begin one decode before it is known to be wanted.

    Everything else is passed on to ``engine``. It serves one stream and one thread.
    """

    def __init__(self, engine: Engine, threads: Executor | None = None) -> None:
        self.state = Ahead()
        self._engine = engine
        self._threads = threads or executor()

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def languages(self) -> tuple[str, ...]:
        return self._engine.languages

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self._engine.tasks

    @property
    def longest_window(self) -> float:
        return self._engine.longest_window

    @property
    def dynamic_context(self) -> bool:
        return self._engine.dynamic_context

    @property
    def n_mels(self) -> int:
        return self._engine.n_mels

    @property
    def tokenizer(self) -> EngineTokenizer:
        return self._engine.tokenizer

    def encode(self, mels: Sequence[Mel]) -> list[Encoded]:
        return self._engine.encode(mels)

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        return self._engine.language_probabilities(spans)

    def begin(self, request: DecodeRequest) -> None:
        """Start ``request`` in another thread; a decode begun before and not used is dropped."""
        self.drop()
        self.state.request = request
        self.state.future = self._threads.submit(self._engine.decode, [request])

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode as the engine does; takes the result of the decode begun if it is that one."""
        state = self.state
        if state.request is None or state.future is None:
            return self._engine.decode(requests)
        if len(requests) != 1 or not _same(requests[0], state.request):
            self.drop()
            return self._engine.decode(requests)
        hypotheses = state.future.result()
        state.request = state.future = None
        state.used += 1
        return hypotheses

    def drop(self) -> None:
        """Throw away the decode begun, if any: cancelled if it waits, else left to end alone."""
        state = self.state
        if state.future is not None:
            state.future.cancel()
            state.thrown_away += 1
        state.request = state.future = None


def _same(one: DecodeRequest, other: DecodeRequest) -> bool:
    """Whether two requests ask for the same decode of the very same encoding."""
    return all(
        getattr(one, f.name) is getattr(other, f.name)
        if f.name == "encoded"
        else getattr(one, f.name) == getattr(other, f.name)
        for f in fields(DecodeRequest)
    )
