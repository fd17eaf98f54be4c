"""A circular audio buffer whose contents are always contiguous in memory.

The memory is mapped twice, one copy right behind the other (the "magic ring buffer": one memfd,
two ``mmap`` of it at neighbouring addresses), so a stretch that wraps around reads straight on.
Where that cannot be had, every sample is written twice into a buffer of twice the size, with the
same effect. Either way reading copies nothing.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from whisper_service.errors import InvalidAudioError, InvalidOptionError

_PROT_NONE, _MAP_FIXED = 0x0, 0x10  # linux/mman.h; not in Python's mmap module
_MAP_FAILED = ctypes.c_void_p(-1).value


class RingBuffer:
    """The newest ``capacity`` samples of a stream.

    **Overflow**: the oldest samples are overwritten; those that had not been consumed are counted
    in :attr:`overwritten`. Nothing is allocated after construction.

    **Addresses**: sample ``i`` is the ``i``-th ever appended. :attr:`start` to :attr:`end` are
    held. ``consume`` and ``clear`` move :attr:`start` forward, addresses never restart.

    **Views**: everything read is a read-only view of the buffer itself. A view of ``n`` samples
    up to :attr:`end` stays right until more than ``capacity - n`` further samples have been
    appended; ``.copy()`` keeps it for longer.

    **Threads**: one thread may append while another reads and consumes. A reader that may be
    overtaken copies its view and then checks that ``start`` is not beyond it: ``start`` gives way
    before samples are overwritten.
    """

    def __init__(
        self, capacity: int, dtype: DTypeLike = np.float32, *, mirrored: bool | None = None
    ) -> None:
        """Make room for ``capacity`` samples; mapped memory is rounded up to whole pages.

        ``mirrored=False`` writes twice instead of mapping twice; None chooses what works here.
        Raises ``InvalidOptionError`` for a capacity below one, or when mirroring is demanded
        where it is impossible.
        """
        if capacity < 1:
            raise InvalidOptionError(f"capacity must be at least one sample, not {capacity}")
        self.capacity = int(capacity)
        self.dtype = np.dtype(dtype)
        memory = None if mirrored is False else _mirrored_memory(self.capacity, self.dtype)
        if memory is None and mirrored:
            raise InvalidOptionError("memory cannot be mapped twice here; leave mirrored=None")
        self.mirrored = memory is not None
        if memory is None:
            memory = np.zeros(2 * self.capacity, self.dtype)
        self._memory = memory
        self._readable = memory.view()
        self._readable.flags.writeable = False
        self._period = len(memory) // 2  # samples after which an address returns to its place
        # Written by the appending thread alone. `_oldest`, negative until the buffer is full once,
        # moves before samples are copied in, so that `start` has given way before they are
        # overwritten.
        self._oldest = -self.capacity
        self._end = 0
        # Written by the reading thread alone.
        self._consumed = 0
        self._lost = 0

    @property
    def end(self) -> int:
        """Samples ever appended; the address after the newest one."""
        return self._end

    @property
    def start(self) -> int:
        """The address of the oldest sample held."""
        consumed, oldest = self._consumed, self._oldest
        return consumed if consumed > oldest else oldest  # `max` would be a call

    @property
    def overwritten(self) -> int:
        """Samples overwritten before they were consumed or cleared."""
        return self._lost + self.start - self._consumed

    @property
    def nbytes(self) -> int:
        """Physical memory of the samples, in bytes."""
        return self._memory.nbytes // 2 if self.mirrored else self._memory.nbytes

    def __len__(self) -> int:
        return max(0, self._end - self.start)

    def is_empty(self) -> bool:
        return len(self) == 0

    def is_full(self) -> bool:
        return len(self) == self.capacity

    def remaining_capacity(self) -> int:
        """Count the samples that fit before the oldest ones are overwritten."""
        return self.capacity - len(self)

    def append(self, x: NDArray[Any]) -> None:
        """Add samples ``[n]`` behind the newest; O(n) bytes copied, nothing else moves.

        Raises ``InvalidAudioError`` for more than one dimension, more samples than
        :attr:`capacity`, or a type that cannot be converted. The buffer is then unchanged.
        """
        if type(x) is not np.ndarray or x.dtype is not self.dtype or x.ndim != 1:
            x = self._converted(x)
        count = len(x)
        if count > self.capacity:
            raise InvalidAudioError(
                f"a chunk of {count} samples does not fit a ring buffer of {self.capacity}; "
                "append it in smaller chunks or make the buffer larger"
            )
        end = self._end
        at = end % self._period
        self._oldest = end + count - self.capacity
        self._memory[at : at + count] = x
        if not self.mirrored:
            self._write_again(at, x)
        self._end = end + count

    def view(self, start: int, end: int) -> NDArray[Any]:
        """Return the samples at the addresses ``[start, end)`` as a read-only view.

        Raises ``InvalidAudioError`` for addresses that are not held.
        """
        if not self._consumed <= start <= end <= self._end or start < self._oldest:
            raise InvalidAudioError(
                f"samples {start}-{end} are not in the ring buffer, which holds "
                f"{self.start}-{self._end}; read earlier or make the buffer larger"
            )
        at = start % self._period
        return self._readable[at : at + end - start]

    def read_all(self) -> NDArray[Any]:
        """Return everything held, oldest first, as a read-only view."""
        return self.view(self.start, self._end)

    def read_last_n(self, n: int) -> NDArray[Any]:
        """Return the newest ``n`` samples, or all if fewer are held, as a read-only view.

        Raises ``InvalidOptionError`` for a negative ``n``.
        """
        if n < 0:
            raise InvalidOptionError(f"cannot read {n} samples; n must be 0 or more")
        end = self._end  # before `start`: a writer between the two lines then leaves both held
        start = self.start
        return self.view(end - n if n < end - start else start, end)

    def consume(self, n: int) -> int:
        """Let go of the oldest ``n`` samples, or of all if fewer are held; returns how many.

        Raises ``InvalidOptionError`` for a negative ``n``.
        """
        if n < 0:
            raise InvalidOptionError(f"cannot consume {n} samples; n must be 0 or more")
        start, end = self.start, self._end
        count = min(n, max(0, end - start))
        self._lost += start - self._consumed
        self._consumed = start + count
        return count

    def clear(self) -> None:
        """Let go of everything held; addresses go on."""
        self.consume(self.capacity)

    def _converted(self, x: NDArray[Any]) -> NDArray[Any]:
        x = np.asarray(x)
        if x.ndim != 1:
            raise InvalidAudioError(
                f"a ring buffer takes mono samples [n], not {list(x.shape)}; "
                "mix the channels down first, for example x.mean(axis=1)"
            )
        if not np.can_cast(x.dtype, self.dtype, "same_kind"):
            raise InvalidAudioError(f"samples of type {x.dtype} do not fit into {self.dtype}")
        return x

    def _write_again(self, at: int, x: NDArray[Any]) -> None:
        """Repeat what was written at ``at`` one period on, wrapping around."""
        behind = self._period - at  # samples of x in the first half
        self._memory[at + self._period : at + self._period + min(len(x), behind)] = x[:behind]
        self._memory[: max(0, len(x) - behind)] = x[behind:]


def _mirrored_memory(capacity: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Zeroed memory whose second half is its first half; None where that is impossible."""
    if not hasattr(os, "memfd_create") or mmap.PAGESIZE % dtype.itemsize:
        return None
    size = -(-capacity * dtype.itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
    try:
        address = _map_twice(size)
    except OSError:
        return None
    memory = (ctypes.c_char * (2 * size)).from_address(address)
    release = weakref.finalize(memory, _libc().munmap, ctypes.c_void_p(address), 2 * size)
    release.atexit = False  # arrays may still be read while the interpreter shuts down
    mapped: NDArray[Any] = np.frombuffer(memoryview(memory), dtype)
    return mapped


def _map_twice(size: int) -> int:
    """Map ``size`` bytes of one memfd twice in a row; returns the address."""
    descriptor = os.memfd_create("whisper-service-ring")
    try:
        os.ftruncate(descriptor, size)
        # Reserving the whole range first makes sure that both halves can lie in it.
        address = _mmap(None, 2 * size, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
        access, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED
        try:
            _mmap(address, size, access, flags, descriptor)
            _mmap(address + size, size, access, flags, descriptor)
        except OSError:
            _libc().munmap(address, 2 * size)
            raise
        return address
    finally:
        os.close(descriptor)


def _mmap(address: int | None, size: int, access: int, flags: int, descriptor: int) -> int:
    result: int | None = _libc().mmap(address, size, access, flags, descriptor, 0)
    if result is None or result == _MAP_FAILED:
        raise OSError(ctypes.get_errno(), "mmap failed")
    return result


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
