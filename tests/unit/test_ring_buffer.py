"""The ring buffer: contiguous, right after any wrap-around, one writer and one reader."""

import gc
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from whisper_service.audio import ring_buffer
from whisper_service.audio.ring_buffer import RingBuffer
from whisper_service.errors import InvalidAudioError, InvalidOptionError


@pytest.fixture(params=[True, False], ids=["mirrored", "written twice"])
def mirrored(request):
    return request.param


def ramp(start, end):
    return np.arange(start, end, dtype=np.float32)


def test_the_classic_calls(mirrored):
    ring = RingBuffer(10, mirrored=mirrored)
    assert (len(ring), ring.capacity, ring.remaining_capacity()) == (0, 10, 10)
    assert ring.is_empty()
    ring.append(ramp(0, 7))
    assert (len(ring), ring.remaining_capacity()) == (7, 3)
    assert not ring.is_empty()
    assert not ring.is_full()
    assert ring.read_all().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert ring.read_last_n(3).tolist() == [4, 5, 6]
    assert ring.read_last_n(99).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert ring.read_last_n(0).size == 0
    assert ring.consume(5) == 5
    assert ring.read_all().tolist() == [5, 6]
    assert ring.consume(5) == 2, "no more than there is"
    ring.append(ramp(7, 17))
    assert ring.is_full()
    ring.clear()
    assert ring.is_empty()
    assert ring.read_all().size == 0


def test_stale_samples_after_wrap_around_and_consume(mirrored):
    """The predecessor returned old samples once it had wrapped and been consumed from."""
    ring = RingBuffer(10, mirrored=mirrored)
    ring.append(ramp(0, 8))
    ring.consume(6)
    ring.append(ramp(8, 15))  # wraps
    assert ring.read_all().tolist() == [6, 7, 8, 9, 10, 11, 12, 13, 14]
    ring.consume(7)
    assert ring.read_all().tolist() == [13, 14]
    assert ring.read_last_n(5).tolist() == [13, 14]
    ring.append(ramp(15, 23))
    assert ring.read_all().tolist() == list(range(13, 23))
    ring.clear()
    ring.append(ramp(23, 24))
    assert ring.read_all().tolist() == [23]


def test_overflow_overwrites_the_oldest_and_counts_what_was_lost(mirrored):
    ring = RingBuffer(10, mirrored=mirrored)
    ring.append(ramp(0, 10))
    ring.consume(3)
    ring.append(ramp(10, 14))
    assert ring.read_all().tolist() == list(range(4, 14))
    assert ring.overwritten == 1, "0-2 were consumed, 3 was not"
    ring.consume(2)
    ring.append(ramp(14, 22))
    assert (ring.start, ring.end, ring.overwritten) == (12, 22, 7)
    ring.clear()
    assert ring.overwritten == 7


def test_addresses_are_absolute(mirrored):
    ring = RingBuffer(1000, mirrored=mirrored)
    for first in range(0, 7000, 70):
        ring.append(ramp(first, first + 70))
    assert (ring.start, ring.end) == (6000, 7000)
    assert np.array_equal(ring.view(6123, 6789), ramp(6123, 6789))
    with pytest.raises(InvalidAudioError, match="holds 6000-7000"):
        ring.view(5999, 6500)
    ring.consume(500)
    assert ring.start == 6500
    for start, end in ((6499, 6600), (6900, 7001), (6700, 6600), (-5, 2)):
        with pytest.raises(InvalidAudioError, match="holds 6500-7000"):
            ring.view(start, end)


def test_views_are_read_only_copies_of_nothing(mirrored):
    ring = RingBuffer(16, mirrored=mirrored)
    ring.append(ramp(0, 12))
    ring.append(ramp(12, 24))
    for view in (ring.read_all(), ring.read_last_n(9), ring.view(10, 22)):
        assert np.shares_memory(view, ring._memory)
        assert view.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1


def test_a_view_stays_right_until_its_room_is_used_up(mirrored):
    ring = RingBuffer(1024, mirrored=mirrored)  # one page: no rounding up to hide behind
    ring.append(ramp(0, 1024))
    ring.append(ramp(1024, 1500))
    view = ring.read_last_n(400)
    ring.append(ramp(1500, 1500 + 1024 - 400))
    assert np.array_equal(view, ramp(1100, 1500))
    ring.append(ramp(2124, 2125))
    assert not np.array_equal(view, ramp(1100, 1500))


def test_a_view_outlives_its_buffer(mirrored):
    ring = RingBuffer(5000, mirrored=mirrored)
    ring.append(ramp(0, 5000))
    view = ring.read_all()
    del ring
    gc.collect()
    assert np.array_equal(view, ramp(0, 5000))


def test_bad_chunks_are_clear_errors_and_change_nothing(mirrored):
    ring = RingBuffer(10, mirrored=mirrored)
    ring.append(ramp(0, 4))
    with pytest.raises(InvalidAudioError, match="11 samples does not fit a ring buffer of 10"):
        ring.append(ramp(0, 11))
    with pytest.raises(InvalidAudioError, match=r"mono samples \[n\], not \[4, 2\]"):
        ring.append(np.zeros((4, 2), np.float32))
    with pytest.raises(InvalidAudioError, match="complex"):
        ring.append(np.zeros(4, np.complex64))
    with pytest.raises(InvalidOptionError):
        ring.read_last_n(-1)
    with pytest.raises(InvalidOptionError):
        ring.consume(-1)
    assert ring.read_all().tolist() == [0, 1, 2, 3]


def test_bad_capacities_are_clear_errors():
    for capacity in (0, -3):
        with pytest.raises(InvalidOptionError, match="at least one sample"):
            RingBuffer(capacity)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_other_types(dtype, mirrored):
    ring = RingBuffer(3000, dtype, mirrored=mirrored)
    for first in range(0, 9000, 900):
        ring.append(np.arange(first, first + 900).astype(dtype))
    assert ring.read_all().dtype == dtype
    assert np.array_equal(ring.read_all(), np.arange(6000, 9000))


def test_chunks_of_other_types_are_converted():
    ring = RingBuffer(10)
    ring.append(np.arange(3))
    ring.append([3.0, 4.0])
    assert ring.read_all().tolist() == [0, 1, 2, 3, 4]
    assert ring.read_all().dtype == np.float32


def test_a_dtype_that_does_not_divide_a_page_is_written_twice():
    ring = RingBuffer(10, np.dtype([("left", "f4"), ("right", "f8")]))
    assert not ring.mirrored
    with pytest.raises(InvalidOptionError, match="mirrored=None"):
        RingBuffer(10, np.dtype([("left", "f4"), ("right", "f8")]), mirrored=True)


def test_without_memfd_samples_are_written_twice(monkeypatch):
    def refuse(name):
        raise OSError(38, "not implemented")

    monkeypatch.setattr(ring_buffer.os, "memfd_create", refuse)
    ring = RingBuffer(100)
    assert not ring.mirrored
    ring.append(ramp(0, 80))
    ring.append(ramp(80, 160))
    assert np.array_equal(ring.read_all(), ramp(60, 160))


def test_capacity_is_what_was_asked_for_and_memory_whole_pages():
    ring = RingBuffer(480_000, mirrored=True)
    assert ring.capacity == 480_000
    assert 480_000 * 4 <= ring.nbytes < 480_000 * 4 + 65_536
    assert ring.nbytes % 4096 == 0


def test_steady_state_allocates_nothing(mirrored):
    ring, chunk = RingBuffer(16_000, mirrored=mirrored), ramp(0, 1600)
    for _ in range(20):
        ring.append(chunk)
    tracemalloc.start()
    try:
        for _ in range(200):
            ring.append(chunk)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2000
    assert peak < 2000, "a copy of a chunk would be 6400 bytes"


def test_memory_is_given_back():
    def mappings():
        return Path("/proc/self/maps").read_text().count("whisper-service-ring")

    gc.collect()
    before = mappings()
    rings = [RingBuffer(1000, mirrored=True) for _ in range(5)]
    assert mappings() >= before + 10
    del rings
    gc.collect()
    assert mappings() == before


def test_the_start_gives_way_before_samples_are_overwritten(mirrored):
    ring = RingBuffer(1024, mirrored=mirrored)
    ring.append(ramp(0, 1024))
    memory, starts = ring._memory, []

    class Watched:
        def __setitem__(self, place, samples):
            starts.append((ring.start, ring.end))
            memory[place] = samples

    ring._memory = Watched()
    ring.append(ramp(1024, 1124))
    assert set(starts) == {(100, 1024)}
    assert (ring.start, ring.end) == (100, 1124)


def test_one_writer_and_one_reader(mirrored):
    """A reader that copies and then checks `start` never sees anything but the stream itself."""
    total, ring = 200_000, RingBuffer(2048, mirrored=mirrored)
    interval = sys.getswitchinterval()

    def write():
        for first in range(0, total, 100):
            ring.append(ramp(first, first + 100))

    writer = threading.Thread(target=write)
    sys.setswitchinterval(1e-5)
    try:
        writer.start()
        consumed = 0
        while ring.end < total or not ring.is_empty():
            start, end = ring.start, ring.end
            try:
                copy = ring.view(start, end).copy()
            except InvalidAudioError:
                continue  # the writer passed between the two lines
            if ring.start <= start:
                assert np.array_equal(copy, ramp(start, end))
            consumed += ring.consume(64)
    finally:
        sys.setswitchinterval(interval)
        writer.join()
    assert consumed + ring.overwritten == total
