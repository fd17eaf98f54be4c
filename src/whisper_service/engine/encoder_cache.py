"""Encoder outputs that are needed more than once, least recently used out first.

A live stream knows *where* its audio lies, so it asks by position: ``(stream, first, last)``
sample. Callers who hold audio and no position ask by content: a hash of the rounded samples.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from whisper_service.errors import InvalidAudioError, InvalidOptionError


class SpanKey(NamedTuple):
    """Samples ``[first, last)`` of one stream."""

    stream: Hashable
    first: int
    last: int


@dataclass(slots=True)
class _Counts:
    hits: int = 0
    misses: int = 0
    evictions: int = 0


class EncoderCache:
    """A thread-safe LRU cache of encoder outputs, bounded by entries and by bytes.

    Hits and misses are counted per *need*: a look-up made for ``needs`` uses (say five LID frames
    and a decode) counts that many. Where it misses, the caller encodes once and all but one of its
    needs are served by that encoding: one miss, ``needs - 1`` hits.

    Outputs are held by reference and must not be written to. With ``device='cpu'`` tensors are
    moved to the host; with ``'cuda'`` those on the GPU stay as they are and others are moved there.
    A tensor is anything with ``device`` and ``to()``, so no framework is imported; other objects
    (NumPy arrays, an engine's own encodings) are kept as given.

    Raises ``InvalidOptionError`` for a size below 1, an unknown device or a precision outside 0-9.
    """

    def __init__(
        self,
        max_size: int = 50,
        device: str = "cpu",
        hash_precision: int = 6,
        *,
        max_bytes: int | None = None,
    ) -> None:
        if max_size < 1:
            raise InvalidOptionError(f"max_size is {max_size}; give at least 1")
        if device.partition(":")[0] not in ("cpu", "cuda"):
            raise InvalidOptionError(f"device {device!r} is unknown; give 'cpu' or 'cuda'")
        if not 0 <= hash_precision <= 9:
            raise InvalidOptionError(
                f"hash_precision is {hash_precision}; give 0 to 9 decimals of a sample"
            )
        if max_bytes is not None and max_bytes < 1:
            raise InvalidOptionError(f"max_bytes is {max_bytes}; give at least 1, or None")
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.device = device
        self.hash_precision = hash_precision
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._counts = _Counts()

    def __len__(self) -> int:
        return len(self._entries)

    def precompute_hash(self, audio: NDArray[Any]) -> str:
        """Hash of the samples rounded to ``hash_precision`` decimals, as 32 hex digits (XXH3-128).

        ``audio`` has shape ``[n]``; values are compared as float32, so the dtype does not matter.
        Raises ``InvalidAudioError`` for any other shape.
        """
        if np.ndim(audio) != 1:
            raise InvalidAudioError(
                f"audio has {np.ndim(audio)} dimensions; give mono samples of shape [n]"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # any values at all have a hash
            rounded = np.asarray(audio, dtype=np.float32).round(self.hash_precision)
            rounded += np.float32(0.0)  # -0.0 and 0.0 are one value with two bit patterns
        return xxhash.xxh3_128_hexdigest(rounded.tobytes())

    def get(
        self,
        audio: NDArray[Any] | None = None,
        audio_hash: Hashable | None = None,
        *,
        needs: int = 1,
    ) -> Any | None:
        """Return the output for ``audio``, or for the hash that was computed of it; None on a miss.

        Raises ``InvalidOptionError`` when neither is given.
        """
        return self.get_key(self._key(audio, audio_hash), needs=needs)

    def put(
        self, output: Any, audio: NDArray[Any] | None = None, audio_hash: Hashable | None = None
    ) -> None:
        """Keep ``output`` for ``audio`` or its hash. One larger than ``max_bytes`` is not kept."""
        self.put_key(self._key(audio, audio_hash), output)

    def contains(
        self, audio: NDArray[Any] | None = None, audio_hash: Hashable | None = None
    ) -> bool:
        """Whether it is there; neither counted nor marked as used."""
        key = self._key(audio, audio_hash)
        with self._lock:
            return key in self._entries

    def get_span(self, stream: Hashable, first: int, last: int, *, needs: int = 1) -> Any | None:
        """Return the output for samples ``[first, last)`` of ``stream``; None on a miss."""
        return self.get_key(SpanKey(stream, first, last), needs=needs)

    def put_span(self, output: Any, stream: Hashable, *, first: int, last: int) -> None:
        """Keep ``output`` for samples ``[first, last)`` of ``stream``."""
        self.put_key(SpanKey(stream, first, last), output)

    def get_key(self, key: Hashable, *, needs: int = 1) -> Any | None:
        """Return what is kept under any hashable key, a :class:`SpanKey` included."""
        if needs < 1:
            raise InvalidOptionError(f"needs is {needs}; a look-up serves at least one")
        with self._lock:
            return self._get(key, needs=needs)

    def put_key(self, key: Hashable, output: Any) -> None:
        """Keep ``output`` under any hashable key, replacing what was there."""
        placed = self._place(output)
        size = _nbytes(placed)
        with self._lock:
            self._put(key, placed, size=size)

    def get_batch(self, items: Sequence[NDArray[Any] | Hashable]) -> list[Any | None]:
        """One output or None for each item, an audio array or a key, under one lock."""
        keys = [self._item_key(item) for item in items]
        with self._lock:
            return [self._get(key, needs=1) for key in keys]

    def put_batch(self, outputs: Sequence[Any], items: Sequence[NDArray[Any] | Hashable]) -> None:
        """Keep ``outputs[i]`` for ``items[i]``, an audio array or a key, under one lock.

        Raises ``InvalidOptionError`` when there are not as many of one as of the other.
        """
        if len(outputs) != len(items):
            raise InvalidOptionError(
                f"{len(outputs)} outputs for {len(items)} items; give one output for each"
            )
        keys = [self._item_key(item) for item in items]
        placed = [self._place(output) for output in outputs]
        with self._lock:
            for key, output in zip(keys, placed, strict=True):
                self._put(key, output, size=_nbytes(output))

    def count_hits(self, needs: int) -> None:
        """Count ``needs`` further uses of an output that the caller still holds."""
        with self._lock:
            self._counts.hits += needs

    def count_misses(self, needs: int) -> None:
        """Count ``needs`` uses that no kept output could serve."""
        with self._lock:
            self._counts.misses += needs

    def drop_stream(self, stream: Hashable) -> int:
        """Forget all spans of ``stream`` and return how many there were; not an eviction."""
        with self._lock:
            keys = [key for key in self._entries if _is_span_of(stream, key)]
            for key in keys:
                self._bytes -= self._entries.pop(key)[1]
        return len(keys)

    def clear(self) -> None:
        """Forget all outputs; the statistics stay."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def get_statistics(self) -> dict[str, Any]:
        """Count since the start or the last reset, and say what is held; JSON-serializable.

        ``hit_rate`` is ``hits / (hits + misses)`` per need, ``utilization`` is
        ``size / capacity``, both from 0 to 1.
        """
        with self._lock:
            for key in self._entries:
                self._weigh(key)
            counts, size = self._counts, len(self._entries)
            needs = counts.hits + counts.misses
            return {
                "hits": counts.hits,
                "misses": counts.misses,
                "hit_rate": counts.hits / needs if needs else 0.0,
                "size": size,
                "capacity": self.max_size,
                "evictions": counts.evictions,
                "utilization": size / self.max_size,
                "bytes": self._bytes,
                "max_bytes": self.max_bytes,
            }

    def reset_statistics(self) -> None:
        """Start counting anew; the outputs stay."""
        with self._lock:
            self._counts = _Counts()

    def _key(self, audio: NDArray[Any] | None, audio_hash: Hashable | None) -> Hashable:
        if audio_hash is not None:
            return audio_hash
        if audio is None:
            raise InvalidOptionError("nothing to look up: give audio= or audio_hash=")
        return self.precompute_hash(audio)

    def _item_key(self, item: NDArray[Any] | Hashable) -> Hashable:
        return self.precompute_hash(item) if isinstance(item, np.ndarray) else item

    def _get(self, key: Hashable, *, needs: int) -> Any | None:
        entry = self._entries.get(key)
        if entry is None:
            self._counts.misses += 1
            self._counts.hits += needs - 1
            return None
        self._counts.hits += needs
        self._entries.move_to_end(key)
        self._weigh(key)
        self._shrink()
        return entry[0]

    def _weigh(self, key: Hashable) -> None:
        """Measure an output again: a decode adds keys and values to the encoding it was given."""
        output, before = self._entries[key]
        size = _nbytes(output)
        self._entries[key] = (output, size)
        self._bytes += size - before

    def _put(self, key: Hashable, output: Any, *, size: int) -> None:
        replaced = self._entries.pop(key, None)
        if replaced is not None:
            self._bytes -= replaced[1]
        if self.max_bytes is not None and size > self.max_bytes:
            return
        self._entries[key] = (output, size)
        self._bytes += size
        self._shrink()

    def _shrink(self) -> None:
        while self._is_over():
            _, (_, oldest) = self._entries.popitem(last=False)
            self._bytes -= oldest
            self._counts.evictions += 1

    def _is_over(self) -> bool:
        too_large = self.max_bytes is not None and self._bytes > self.max_bytes
        return too_large or len(self._entries) > self.max_size

    def _place(self, output: Any) -> Any:
        """Bring a tensor to the cache's device; a GPU tensor is kept by a cache for any GPU."""
        if not (hasattr(output, "device") and callable(getattr(output, "to", None))):
            return output
        here = str(output.device)
        is_there = here == self.device or here.startswith(f"{self.device}:")
        return output if is_there else output.to(self.device)


def _is_span_of(stream: Hashable, key: Hashable) -> bool:
    return isinstance(key, tuple) and len(key) == 3 and key[0] == stream


def _nbytes(output: Any) -> int:
    """Bytes an output holds: its own ``nbytes``, or those of its parts."""
    if isinstance(output, tuple | list):
        return sum(_nbytes(part) for part in output)
    nbytes = getattr(output, "nbytes", None)
    return int(nbytes) if nbytes is not None else sys.getsizeof(output)
