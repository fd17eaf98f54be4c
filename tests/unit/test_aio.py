"""The asyncio shell over a scripted synchronous stream."""

import asyncio
import threading

import numpy as np
import pytest

from whisper_service.errors import InvalidAudioError, OverloadedError, StreamClosedError
from whisper_service.events import Lag
from whisper_service.streaming.aio import AsyncStream


class Recorder:
    """Says how many samples it has got, one event per chunk."""

    def __init__(self, gate=None, fail=False):
        self.received = 0
        self.threads = set()
        self.gate = gate
        self.fail = fail

    def feed(self, chunk):
        if self.gate:
            self.gate.wait(5)
        if self.fail:
            raise InvalidAudioError("no good")
        self.threads.add(threading.current_thread().name)
        self.received += len(chunk)
        return [Lag(samples=self.received, at=self.received)]

    def finish(self):
        return [Lag(samples=-1, at=self.received)]


def chunk(n=1600):
    return np.zeros(n, np.float32)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def test_events_come_in_order_and_the_iteration_ends():
    async def main():
        recorder = Recorder()
        async with AsyncStream(recorder) as stream:
            for _ in range(3):
                await stream.push(chunk())
            await stream.end_input()
            return [e.samples async for e in stream], recorder

    events, recorder = run(main())
    assert events == [1600, 3200, 4800, -1]
    assert len(recorder.threads) == 1
    assert threading.current_thread().name not in recorder.threads


def test_push_copies_the_chunk():
    async def main():
        gate = threading.Event()
        recorder = Recorder(gate)
        seen = []
        recorder.feed = lambda c: (gate.wait(5) and seen.append(float(c[0]))) or []
        async with AsyncStream(recorder) as stream:
            mine = chunk()
            await stream.push(mine)
            mine[:] = 9.0
            gate.set()
            await stream.flush()
        return seen

    assert run(main()) == [0.0]


def test_flush_waits_for_what_was_pushed():
    async def main():
        recorder = Recorder()
        async with AsyncStream(recorder) as stream:
            await stream.push(chunk())
            await stream.flush()
            return recorder.received, stream.pending

    assert run(main()) == (1600, 0)


def test_a_full_queue_refuses_or_waits():
    async def main():
        gate = threading.Event()
        async with AsyncStream(Recorder(gate), max_pending=0.25) as stream:
            await stream.push(chunk())
            await stream.push(chunk())
            with pytest.raises(OverloadedError, match=r"0\.2 s of audio wait"):
                stream.push_nowait(chunk())
            waiting = asyncio.create_task(stream.push(chunk()))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            gate.set()
            await waiting
            await stream.flush()
            return stream.stream.received

    assert run(main()) == 4800


def test_an_error_of_the_worker_reaches_the_reader_and_the_producer():
    async def main():
        async with AsyncStream(Recorder(fail=True)) as stream:
            await stream.push(chunk())
            with pytest.raises(InvalidAudioError):
                async for _ in stream:
                    pass
            with pytest.raises(InvalidAudioError):
                await stream.push(chunk())

    run(main())


def test_no_audio_after_the_end():
    async def main():
        async with AsyncStream(Recorder()) as stream:
            await stream.end_input()
            await stream.end_input()
            with pytest.raises(StreamClosedError):
                await stream.push(chunk())

    run(main())


def test_a_slow_reader_holds_the_worker_back():
    async def main():
        async with AsyncStream(Recorder(), max_events=2, max_pending=60) as stream:
            for _ in range(10):
                await stream.push(chunk())
            await asyncio.sleep(0.05)
            behind = stream.pending
            await stream.end_input()
            events = [e.samples async for e in stream]
            return behind, events

    behind, events = run(main())
    assert behind > 0
    assert events == [1600 * i for i in range(1, 11)] + [-1]


def test_a_full_event_queue_loses_nothing_at_the_end():
    async def main():
        async with AsyncStream(Recorder(), max_events=4) as stream:
            for _ in range(3):
                await stream.push(chunk())
            await stream.end_input()
            await asyncio.sleep(0.05)
            return [e.samples async for e in stream]

    assert run(main()) == [1600, 3200, 4800, -1]


def test_a_second_iteration_ends_at_once():
    async def main():
        async with AsyncStream(Recorder()) as stream:
            await stream.end_input()
            return [e async for e in stream], [e async for e in stream]

    first, second = run(main())
    assert (len(first), second) == (1, [])


def test_close_gives_up_what_is_left():
    async def main():
        gate = threading.Event()
        stream = AsyncStream(Recorder(gate))
        await stream.push(chunk())
        gate.set()
        await stream.aclose()
        with pytest.raises(StreamClosedError):
            await stream.push(chunk())

    run(main())
