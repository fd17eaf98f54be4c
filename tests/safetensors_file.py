"""Writes safetensors files in any precision: ``safetensors.numpy`` has no bfloat16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes
_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def _to_bytes(values: Floats, dtype: str) -> bytes:
    if dtype != "bfloat16":
        return values.astype(dtype).tobytes()
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def write_safetensors(path: Path, weights: dict[str, Floats], dtype: str) -> None:
    """Write ``weights`` to ``path`` as ``dtype``, by the format's own description."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs, offset = [], 0
    for name, values in sorted(weights.items()):
        blob = _to_bytes(values, dtype)
        span = [offset, offset + len(blob)]
        header[name] = {"dtype": _NAMES[dtype], "shape": values.shape, "data_offsets": span}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
