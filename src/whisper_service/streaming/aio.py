"""The same stream for asyncio: ``push``, ``flush``, ``end_input``, ``aclose``, ``async for``.

The verbs are LiveKit's (``livekit/agents/stt/stt.py``). All work runs on one worker thread of
the stream, so the event loop never waits for a decode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np

from whisper_service.errors import InvalidOptionError, OverloadedError, StreamClosedError
from whisper_service.events import Event
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import FloatArray, to_samples, to_seconds


class AsyncStream:
    """An async shell around one :class:`StreamTranscriber`.

    At most ``max_pending`` seconds of audio wait to be decoded: :meth:`push` then waits (which
    tells the producer to slow down), and :meth:`push_nowait` raises ``OverloadedError``. At most
    ``max_events`` events wait to be read; beyond that decoding waits for the reader. So read
    events in another task than the one that pushes or flushes.

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
        self._pending = 0
        self._room = asyncio.Condition()
        self._input: asyncio.Queue[FloatArray | asyncio.Event | None] = asyncio.Queue()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(max_events)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="whisper-stream")
        self._worker = asyncio.create_task(self._run())
        self._ended = False  # no more audio is taken
        self._read = False  # the last event has been read

    @property
    def pending(self) -> int:
        """Samples pushed and not yet taken in by the transcriber."""
        return self._pending

    async def push(self, chunk: FloatArray) -> None:
        """Queue ``chunk`` (float32 mono at 16 kHz); waits while the queue is full."""
        self._require_open()
        chunk = np.array(chunk, copy=True)  # the caller may reuse its buffer
        async with self._room:
            await self._room.wait_for(lambda: self._fits(len(chunk)) or self._worker.done())
            self._enqueue(chunk)

    def push_nowait(self, chunk: FloatArray) -> None:
        """Queue ``chunk`` or raise ``OverloadedError`` when ``max_pending`` is reached."""
        self._require_open()
        if not self._fits(len(chunk)):
            waiting = to_seconds(self._pending)
            raise OverloadedError(
                f"{waiting:.1f} s of audio wait already; send slower or use push()"
            )
        self._enqueue(np.array(chunk, copy=True))

    async def flush(self) -> None:
        """Wait until everything pushed so far has been taken in."""
        done = asyncio.Event()
        self._input.put_nowait(done)
        waiter = asyncio.create_task(done.wait())
        await asyncio.wait({waiter, self._worker}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        self._raise_worker_error()

    async def end_input(self) -> None:
        """Say that no more audio comes; the iteration ends after the last event."""
        if not self._ended:
            self._ended = True
            self._input.put_nowait(None)

    async def aclose(self) -> None:
        """Stop at once; audio not decoded yet is given up."""
        self._ended = True
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
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
        while not self._read:
            event = await self._events.get()
            if event is None:
                self._read = True
            else:
                yield event
        await asyncio.wait({self._worker})
        self._raise_worker_error()

    async def _run(self) -> None:
        try:
            while (item := await self._input.get()) is not None:
                if isinstance(item, asyncio.Event):
                    item.set()
                    continue
                await self._give(await self._call(partial(self.stream.feed, item)))
                async with self._room:
                    self._pending -= len(item)
                    self._room.notify_all()
            await self._give(await self._call(self.stream.finish))
        except asyncio.CancelledError:
            self._make_room()  # given up: the end matters more than what is left
            raise
        finally:
            async with self._room:
                self._room.notify_all()
            await self._events.put(None)

    async def _call(self, work: Callable[[], list[Event]]) -> list[Event]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _give(self, events: list[Event]) -> None:
        for event in events:
            await self._events.put(event)

    def _make_room(self) -> None:
        while not self._events.empty():
            self._events.get_nowait()

    def _fits(self, samples: int) -> bool:
        return self._pending == 0 or self._pending + samples <= self._limit

    def _enqueue(self, chunk: FloatArray) -> None:
        self._require_open()
        self._pending += len(chunk)
        self._input.put_nowait(chunk)

    def _require_open(self) -> None:
        self._raise_worker_error()
        if self._ended:
            raise StreamClosedError("this stream takes no more audio; make another one")

    def _raise_worker_error(self) -> None:
        if self._worker.done() and not self._worker.cancelled():
            error = self._worker.exception()
            if error is not None:
                raise error
