"""Ctrl-C and SIGTERM end the audio; the transcript is still completed."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from whisper_service.cli.interrupt import Interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_decoding_lets_the_chunk_finish(number: signal.Signals) -> None:
    handled: list[int] = []
    with Interruptible() as interruptible:
        for chunk in interruptible.iterate(range(10)):
            if chunk == 2:
                os.kill(os.getpid(), number)
            handled.append(chunk)
    assert handled == [0, 1, 2]
    assert interruptible.requested


def test_a_signal_ends_the_wait_for_audio_at_once() -> None:
    def silent_microphone() -> Iterator[int]:
        yield 0
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        yield 1

    with Interruptible() as interruptible:
        assert list(interruptible.iterate(silent_microphone())) == [0]


def test_a_second_signal_does_not_wait() -> None:
    def impatient() -> None:
        with Interruptible() as interruptible:
            for _ in interruptible.iterate(range(10)):
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        impatient()


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruptible():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_undisturbed_source_is_passed_through_whole() -> None:
    with Interruptible() as interruptible:
        assert list(interruptible.iterate(range(5))) == [0, 1, 2, 3, 4]
    assert not interruptible.requested


class Microphone:
    """Has heard ten chunks by the time it is told to stop; says nothing more after them."""

    def __init__(self) -> None:
        self.stopped = False

    def __iter__(self) -> Iterator[int]:
        for chunk in range(1000):
            if self.stopped and chunk >= 10:
                return
            yield chunk

    def close(self) -> None:
        self.stopped = True


@pytest.mark.parametrize("when", [0, 3])
def test_what_a_source_had_heard_before_the_signal_is_passed_on(when: int) -> None:
    source, handled = Microphone(), list[int]()
    with Interruptible() as interruptible:
        for chunk in interruptible.iterate(source, stop=source.close):
            if chunk == when:
                os.kill(os.getpid(), signal.SIGINT)
            handled.append(chunk)
    assert handled == list(range(10))


def test_a_signal_before_the_first_chunk_stops_the_source_too() -> None:
    source = Microphone()
    with Interruptible() as interruptible:
        os.kill(os.getpid(), signal.SIGINT)
        assert list(interruptible.iterate(source, stop=source.close)) == list(range(10))


def test_a_second_signal_does_not_wait_for_the_source() -> None:
    source = Microphone()

    def impatient() -> None:
        with Interruptible() as interruptible:
            for _ in interruptible.iterate(source, stop=source.close):
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        impatient()
