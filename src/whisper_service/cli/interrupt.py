"""Ctrl-C and SIGTERM end the audio, not the program: what was heard is still written out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruptible:
    """Guards the loop over incoming audio.

    A signal while the loop waits for audio ends that wait at once; a signal during decoding
    lets the running update finish, so the transcriber is never left half-updated. A source that
    can be told to stop gives out first what it has heard already. A second signal does not wait
    and raises ``KeyboardInterrupt`` wherever the program is.
    """

    def __init__(self) -> None:
        self.requested = False
        self._waiting = False
        self._stop: Callable[[], None] | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def iterate(
        self, chunks: Iterable[T], *, stop: Callable[[], None] | None = None
    ) -> Iterator[T]:
        """Pass on the chunks, ending early when a signal came: at once, or as ``stop`` ends them.

        ``stop`` is called in the signal handler.
        """
        iterator, self._stop = iter(chunks), stop
        if stop is not None and self.requested:
            stop()
        while stop is not None or not self.requested:
            try:
                self._waiting = True
                chunk = next(iterator)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waiting = False
            yield chunk

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self._stop is not None and not again:
            self._stop()
        elif again or self._waiting:
            raise KeyboardInterrupt
