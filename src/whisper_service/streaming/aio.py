"""The same stream for asyncio: ``push``, ``flush``, ``end_input``, ``aclose``, ``async for``.

The verbs are LiveKit's (``livekit/agents/stt/stt.py``). All work runs on one worker thread of
the stream, so the event loop never waits for a decode.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from whisper_service.errors import InvalidOptionError, OverloadedError, StreamClosedError
from whisper_service.events import Event
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import FloatArray, LanguagePolicy, to_samples, to_seconds

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class AsyncState:
    """What changes while a stream runs."""

    pending: int = 0  # samples pushed and not yet taken in
    put: int = 0  # chunks (and the end) given to the worker
    done: int = 0  # of these, worked through, their events ready to be read
    flushed: int = 0  # of these, those whose events wait for no room
    events: deque[Event] = field(default_factory=deque)  # not read yet
    closed: bool = False  # no more audio is taken
    ended: bool = False  # no more events come
    error: Exception | None = None  # what ended the worker


class AsyncStream:
    """An async shell around one :class:`StreamTranscriber`.

    At most ``max_pending`` seconds of audio wait to be decoded: :meth:`push` then waits (which
    tells the producer to slow down), and :meth:`push_nowait` raises ``OverloadedError``. At most
    ``max_events`` events wait to be read; beyond that decoding waits for the reader, except that
    :meth:`flush` waits for no reader: what was pushed before it is decoded, its events are kept,
    and no more audio is taken until at most ``max_events`` wait again. So never more are kept than
    ``max_events`` and the events of the audio that waited: ``max_pending`` seconds, or one longer
    chunk, and the end.

    One task may read and flush. Read in another task than the one that uses :meth:`push`, which
    waits for the reader, or use :meth:`push_nowait`.

    ::

        async with AsyncStream(StreamTranscriber(engine)) as stream:
            await stream.push(chunk)
            await stream.end_input()
            async for event in stream:
                ...
    """

    def __init__(
        self, stream: StreamTranscriber, *, max_pending: float = 10.0, max_events: int = 1000
    ) -> None:
        if max_pending <= 0 or max_events <= 0:
            raise InvalidOptionError("max_pending and max_events must be positive")
        self.stream = stream
        self._limit = to_samples(max_pending)
        self._max_events = max_events
        self._state = AsyncState()
        self._change = asyncio.Event()  # set, and replaced, when the state has changed
        self._input: asyncio.Queue[FloatArray | None] = asyncio.Queue()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="whisper-stream")
        self._worker = asyncio.create_task(self._run())

    @property
    def pending(self) -> int:
        """Samples pushed and not yet taken in by the transcriber."""
        return self._state.pending

    async def push(self, chunk: FloatArray) -> None:
        """Queue ``chunk`` (float32 mono at 16 kHz); waits while the stream is full."""
        self._require_open()
        chunk = np.array(chunk, copy=True)  # the caller may reuse its buffer
        await self._wait_until(lambda: self._fits(len(chunk)) or self._takes_no_more())
        self._enqueue(chunk)

    def push_nowait(self, chunk: FloatArray) -> None:
        """Queue ``chunk`` or raise ``OverloadedError`` when the stream is full."""
        self._require_open()
        if self._is_overfull():
            raise OverloadedError(
                f"{len(self._state.events)} events wait already; read them before sending more"
            )
        if not self._fits(len(chunk)):
            waiting = to_seconds(self._state.pending)
            raise OverloadedError(
                f"{waiting:.1f} s of audio wait already; send slower or use push()"
            )
        self._enqueue(np.array(chunk, copy=True))

    async def flush(self) -> None:
        """Wait until everything pushed so far has been taken in; events need not be read for it."""
        state = self._state
        wanted = state.flushed = state.put
        self._notify()
        await self._wait_until(lambda: state.done >= wanted or state.ended)
        self._raise_worker_error()

    async def set_language_policy(
        self, policy: LanguagePolicy, languages: Sequence[str] = ()
    ) -> None:
        """Change how the language is followed, after the chunk that is being decoded.

        Raises ``InvalidOptionError`` for a policy or language that is not known.
        """
        self._require_open()
        await self._call(partial(self.stream.set_language_policy, policy, languages))

    async def end_input(self) -> None:
        """Say that no more audio comes; the iteration ends after the last event."""
        if not self._state.closed:
            self._state.closed = True
            self._give_worker(None)
            self._notify()

    async def aclose(self) -> None:
        """Stop at once; audio not decoded yet is given up."""
        self._state.closed = True
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        self._state.ended = True  # a task that had not begun says nothing at its end
        self._notify()
        shutdown = partial(self._executor.shutdown, cancel_futures=True)
        await asyncio.to_thread(shutdown)  # waits for a decode that has begun

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events in order; an error of the worker is raised here, so that none is lost."""
        state = self._state
        while True:
            await self._wait_until(lambda: bool(state.events) or state.ended)
            if not state.events:
                break
            event = state.events.popleft()
            self._notify()
            yield event
        self._raise_worker_error()

    async def _run(self) -> None:
        state = self._state
        try:
            while (chunk := await self._input.get()) is not None:
                await self._give(await self._call(partial(self.stream.feed, chunk)))
                state.pending -= len(chunk)
                state.done += 1
                self._notify()
            await self._give(await self._call(self.stream.finish))
        except asyncio.CancelledError:
            state.events.clear()  # given up: the end matters more than what is left
            raise
        except Exception as error:  # noqa: BLE001 - raised where the stream is used
            state.error = error
        finally:
            state.ended = True
            self._notify()

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _give(self, events: list[Event]) -> None:
        for event in events:
            await self._wait_until(self._has_room)
            self._state.events.append(event)
            self._notify()

    def _has_room(self) -> bool:
        state = self._state
        return len(state.events) < self._max_events or state.done < state.flushed

    async def _wait_until(self, come: Callable[[], bool]) -> None:
        while not come():
            await self._change.wait()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def _fits(self, samples: int) -> bool:
        waiting = self._state.pending
        return not self._is_overfull() and (waiting == 0 or waiting + samples <= self._limit)

    def _is_overfull(self) -> bool:
        """Whether a flush has left more events than ``max_events`` to be read."""
        return len(self._state.events) > self._max_events

    def _takes_no_more(self) -> bool:
        return self._state.closed or self._state.ended

    def _enqueue(self, chunk: FloatArray) -> None:
        self._require_open()
        self._state.pending += len(chunk)
        self._give_worker(chunk)

    def _give_worker(self, item: FloatArray | None) -> None:
        self._state.put += 1
        self._input.put_nowait(item)

    def _require_open(self) -> None:
        self._raise_worker_error()
        if self._state.closed:
            raise StreamClosedError("this stream takes no more audio; make another one")

    def _raise_worker_error(self) -> None:
        if self._state.error is not None:
            raise self._state.error
