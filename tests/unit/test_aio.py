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


# one task that reads and flushes


class Talkative(Recorder):
    """Brings ``count`` events for each chunk, and as many at the end."""

    def __init__(self, count, **more):
        super().__init__(**more)
        self.count = count

    def feed(self, chunk):
        return super().feed(chunk) * self.count

    def finish(self):
        return super().finish() * self.count


async def rest_of(stream):
    return [e.samples async for e in stream]


def test_a_flush_waits_for_no_reader():
    async def main():
        async with AsyncStream(Talkative(5), max_events=2) as stream:
            await stream.push(chunk())
            await stream.push(chunk())
            await stream.flush()
            received = stream.stream.received
            await stream.end_input()
            return received, stream.pending, await rest_of(stream)

    received, pending, events = run(main())
    assert (received, pending) == (3200, 0)
    assert events == [1600] * 5 + [3200] * 5 + [-1] * 5


def test_a_flush_lets_a_worker_go_on_that_waits_for_the_reader_already():
    async def main():
        async with AsyncStream(Talkative(5), max_events=2) as stream:
            await stream.push(chunk())
            await asyncio.sleep(0.05)
            assert stream.pending == 1600
            await stream.flush()
            assert stream.pending == 0
            await stream.end_input()
            return await rest_of(stream)

    assert run(main()) == [1600] * 5 + [-1] * 5


def test_one_task_may_flush_after_every_event_it_reads():
    async def main():
        async with AsyncStream(Talkative(3), max_events=2) as stream:
            await stream.push(chunk())
            seen = []
            async for event in stream:
                seen.append(event.samples)
                if len(seen) in (2, 4):
                    stream.push_nowait(chunk())
                await stream.flush()
                if len(seen) == 6:
                    await stream.end_input()
            return seen

    assert run(main()) == [1600] * 3 + [3200] * 3 + [4800] * 3 + [-1] * 3


def test_a_flush_after_the_end_waits_for_the_last_event_but_for_no_reader():
    async def main():
        async with AsyncStream(Talkative(5), max_events=2) as stream:
            await stream.push(chunk())
            await stream.end_input()
            await stream.flush()
            kept = len(stream._state.events)
            return kept, await rest_of(stream)

    kept, events = run(main())
    assert kept == len(events) == 10


def test_events_beyond_the_bound_hold_the_producer_until_they_are_read():
    async def main():
        async with AsyncStream(Talkative(5), max_events=2) as stream:
            await stream.push(chunk())
            await stream.flush()
            with pytest.raises(OverloadedError, match="5 events wait already; read them"):
                stream.push_nowait(chunk())
            waiting = asyncio.create_task(stream.push(chunk()))
            reader = stream.__aiter__()
            for _ in range(2):
                await anext(reader)
            await asyncio.sleep(0)
            assert not waiting.done()
            await anext(reader)
            await waiting
            await stream.flush()
            await stream.end_input()
            return await rest_of(stream)

    assert run(main()) == [1600] * 2 + [3200] * 5 + [-1] * 5


def test_audio_pushed_after_a_flush_waits_for_the_reader_again():
    async def main():
        async with AsyncStream(Talkative(2), max_events=4, max_pending=60) as stream:
            await stream.push(chunk())
            await stream.flush()
            for _ in range(4):
                await stream.push(chunk())
            await asyncio.sleep(0.05)
            behind, kept = stream.pending, len(stream._state.events)
            await stream.end_input()
            return behind, kept, await rest_of(stream)

    behind, kept, events = run(main())
    assert (behind, kept) == (3 * 1600, 4)
    assert len(events) == 2 * 6


def test_a_flush_given_up_leaves_a_stream_that_works():
    async def main():
        gate = threading.Event()
        async with AsyncStream(Talkative(3, gate=gate), max_events=2) as stream:
            await stream.push(chunk())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.flush(), 0.02)
            gate.set()
            await stream.flush()
            await stream.end_input()
            return await rest_of(stream)

    assert run(main()) == [1600] * 3 + [-1] * 3


# ends that come while somebody waits


def test_an_error_wakes_the_producer_although_nobody_reads():
    async def main():
        recorder = Talkative(2)
        async with AsyncStream(recorder, max_events=2, max_pending=0.1) as stream:
            await stream.push(chunk())
            await stream.flush()
            recorder.fail = True
            await stream.push(chunk())
            with pytest.raises(InvalidAudioError):
                await stream.push(chunk())
            with pytest.raises(InvalidAudioError):
                await stream.flush()

    run(main())


def test_a_closed_stream_wakes_the_producer_and_the_reader():
    async def main():
        stream = AsyncStream(Talkative(5), max_events=2)
        await stream.push(chunk())
        await stream.flush()
        producer = asyncio.create_task(stream.push(chunk()))
        await asyncio.sleep(0)
        async with stream:
            await stream.end_input()
            with pytest.raises(StreamClosedError):
                await producer
            for _ in range(5):
                await anext(stream.__aiter__())
            await asyncio.sleep(0.05)
        return await rest_of(stream)

    assert run(main()) == []


def test_a_reader_that_waits_ends_when_the_stream_is_closed():
    async def main():
        stream = AsyncStream(Recorder())
        reader = asyncio.create_task(rest_of(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        return await reader

    assert run(main()) == []


def test_an_event_is_not_lost_when_its_reader_is_cancelled():
    async def main():
        async with AsyncStream(Recorder()) as stream:
            reader = asyncio.create_task(anext(stream.__aiter__()))
            await asyncio.sleep(0)
            await stream.push(chunk())
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await stream.end_input()
            return await rest_of(stream)

    assert run(main()) == [1600, -1]


def test_closing_before_the_worker_has_begun_ends_readers_and_flushes():
    async def main():
        stream = AsyncStream(Recorder())
        stream.push_nowait(chunk())
        reader = asyncio.create_task(rest_of(stream))
        await stream.aclose()
        await stream.flush()
        return await reader + await rest_of(stream)

    assert run(main()) == []
