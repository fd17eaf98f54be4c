"""Stationary noises at 16 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def colored_noise(
    seconds: float, slope: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Noise at 16 kHz of unit power whose power falls with frequency to the power of ``slope``."""
    n = int(seconds * 16000)
    spectrum = np.fft.rfft(generator.standard_normal(n))
    spectrum *= np.maximum(np.arange(len(spectrum)) / n * 16000, 40.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, n)
    return (noise / noise.std()).astype(np.float32)


def hum(seconds: float, frequency: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """A mains hum with harmonics over weak noise, of unit power."""
    t = np.arange(int(seconds * 16000)) / 16000
    parts = [
        generator.uniform(0.2, 1) / k * np.sin(2 * np.pi * frequency * k * t) for k in range(1, 9)
    ]
    wave = np.sum(parts, 0) + 0.05 * generator.standard_normal(len(t))
    return (wave / wave.std()).astype(np.float32)
