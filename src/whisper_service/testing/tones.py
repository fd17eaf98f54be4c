"""Speech made of tones: every word of a vocabulary is a pure tone with its own frequency."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from whisper_service.errors import InvalidOptionError
from whisper_service.types import SAMPLE_RATE, FloatArray, to_samples

Vocabulary: TypeAlias = Mapping[str, tuple[str, float]]
"""Word → its language and its frequency in Hz."""

VOCABULARY: Vocabulary = MappingProxyType(
    {
        "hello": ("en", 400.0),
        "world": ("en", 550.0),
        "please": ("en", 700.0),
        "everything": ("en", 850.0),
        "yes": ("en", 1000.0),
        "hola": ("es", 1200.0),
        "mundo": ("es", 1450.0),
        "gracias": ("es", 1750.0),
        "buenos": ("es", 2100.0),
        "sí": ("es", 2500.0),
        "你好": ("zh", 3000.0),
        "世界": ("zh", 3600.0),
        "是": ("zh", 4300.0),
        "bonjour": ("fr", 5200.0),
        "merci": ("fr", 6200.0),
    }
)
"""Words in four languages, at least three mel bins apart."""

LEVEL = 0.3  # amplitude of a tone
_FADE = to_samples(0.005)  # a step at the edge of a tone would sound at every frequency


def tone(word: str | float, seconds: float, *, vocabulary: Vocabulary = VOCABULARY) -> FloatArray:
    """Samples ``[seconds * 16000]`` (float32) of a word's tone, or of a frequency in Hz."""
    frequency = frequency_of(word, vocabulary) if isinstance(word, str) else float(word)
    count = to_samples(seconds)
    time = np.arange(count) / SAMPLE_RATE
    edge = np.minimum(np.arange(count), np.arange(count)[::-1]) / _FADE
    wave = LEVEL * np.minimum(edge, 1.0) * np.sin(2 * np.pi * frequency * time)
    return wave.astype(np.float32)


def silence(seconds: float) -> FloatArray:
    """Zeros ``[seconds * 16000]`` (float32)."""
    return np.zeros(to_samples(seconds), np.float32)


def frequency_of(word: str, vocabulary: Vocabulary = VOCABULARY) -> float:
    """Look up a word's frequency in Hz. Raises ``InvalidOptionError`` for an unknown word."""
    if word not in vocabulary:
        raise InvalidOptionError(
            f"{word!r} is not in the vocabulary; it holds: {', '.join(vocabulary)}"
        )
    return vocabulary[word][1]
