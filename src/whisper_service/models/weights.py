"""Reading ``.safetensors`` files into float32 arrays, bfloat16 included, without PyTorch.

The format is 8 bytes of header length, a JSON header with ``dtype``, ``shape`` and
``data_offsets`` of each tensor, then the data (https://github.com/huggingface/safetensors).
The ``safetensors`` package itself reads no bfloat16 into NumPy, hence this reader. Tensors are
read from the file one at a time, so that no weights stay mapped after a graph has been built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from whisper_service.errors import ModelFormatError
from whisper_service.types import FloatArray

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
_MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors library
_HASH_WHOLE = 32 << 20  # bytes up to which a file is hashed whole
_SAMPLES, _SAMPLE = 256, 4096  # pages of a larger file that are hashed, and their bytes


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies in a file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int  # bytes from the start of the file


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Tensors of a safetensors file by name.

    Raises ``ModelFormatError`` for a file that is truncated or of another format.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise _damaged(file, f"{size:,} bytes without a valid header")
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
        except ValueError:
            raise _damaged(file, "its header is not JSON") from None
    header.pop("__metadata__", None)
    try:
        end = 8 + length + max((t["data_offsets"][1] for t in header.values()), default=0)
        if size < end:
            raise _damaged(file, f"{size:,} of {end:,} bytes")
        return {name: _tensor_info(file, t, 8 + length) for name, t in header.items()}
    except (KeyError, TypeError, IndexError):
        raise _damaged(file, "its header is not that of safetensors") from None


def _tensor_info(file: Path, entry: Mapping[str, Any], start: int) -> TensorInfo:
    return TensorInfo(file, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0])


def _damaged(file: Path, what: str) -> ModelFormatError:
    return ModelFormatError(f"{file} is incomplete or damaged ({what}); fetch it again")


def read_raw(info: TensorInfo) -> NDArray[Any]:
    """Read a tensor as stored; bfloat16 as its 16 bits (uint16)."""
    if info.dtype not in _DTYPES:
        raise ModelFormatError(
            f"{info.file.name} holds {info.dtype} tensors; only float32, float16 and bfloat16 "
            "checkpoints can be read: use the original, unquantized one"
        )
    count = int(np.prod(info.shape, dtype=np.int64))
    data = np.fromfile(info.file, _DTYPES[info.dtype], count, offset=info.offset)
    if data.size != count:
        raise _damaged(info.file, "shorter than its header says")
    return data.reshape(info.shape)


def read_float32(info: TensorInfo) -> FloatArray:
    """Read a tensor as a float32 array of its own, C-contiguous and writable."""
    data = read_raw(info)
    if info.dtype == "BF16":  # the upper half of a float32
        return (data.astype(np.uint32) << 16).view(np.float32)
    return data.astype(np.float32, copy=False)


def hash_file(file: Path, state: xxhash.xxh3_128) -> None:
    """Feed a file's size and content to ``state``: whole up to 32 MiB, else 256 spread pages.

    Two checkpoints of the same shape differ in nearly every weight, so pages are enough to tell
    them apart, and a file of 3 GB takes milliseconds.
    """
    size = file.stat().st_size
    state.update(f"{file.name}:{size};".encode())
    with file.open("rb") as stream:
        if size <= _HASH_WHOLE:
            while block := stream.read(1 << 20):
                state.update(block)
            return
        for offset in np.linspace(0, size - _SAMPLE, _SAMPLES, dtype=np.int64):
            stream.seek(int(offset))
            state.update(stream.read(_SAMPLE))
