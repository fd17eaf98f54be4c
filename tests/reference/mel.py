"""Whisper's log-mel features of a whole clip, and their storage in eight bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reference.files import Array

_FFT, _HOP, _RATE = 400, 160, 16_000


def log_mel(samples: Array, n_mels: int) -> Array:
    """``[n_mels, samples // 160]``: Hann window, power, Slaney mels, log10, clamp and scale."""
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    starts = range(0, len(samples) - _HOP + 1, _HOP)
    frames = np.stack([padded[start : start + _FFT] * window for start in starts])
    power = np.abs(np.fft.rfft(frames)) ** 2
    logs = np.log10(np.maximum(power @ _filters(n_mels).T, 1e-10)).T
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def _filters(n_mels: int) -> Array:
    """Triangles of equal area on Slaney's scale: linear to 1 kHz, logarithmic above."""
    edges = _to_hz(np.linspace(0, _to_mel(_RATE / 2), n_mels + 2))
    bins = np.arange(_FFT // 2 + 1) * _RATE / _FFT
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return np.maximum(0, np.minimum(rise, fall)) * area[:, None]


def _to_mel(hz: float) -> float:
    return 15 + 27 * float(np.log(hz / 1000)) / float(np.log(6.4))


def _to_hz(mel: Array) -> Array:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def pack(mel: Array) -> NDArray[np.uint8]:
    """Scaled features as bytes: 255 is the value 1.5, one step 1/64, below -2.48 all is 0."""
    return np.clip(np.rint((mel - 1.5) * 64 + 255), 0, 255).astype(np.uint8)


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inverse of :func:`pack`, exact for what was packed."""
    return ((packed.astype(np.float32) - 255) / 64 + 1.5).astype(np.float32)
