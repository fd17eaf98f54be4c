"""Whole utterances for tests, with the true times of their words; and a detector for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whisper_service.errors import StreamClosedError
from whisper_service.testing.tones import VOCABULARY, Vocabulary, frequency_of, silence, tone
from whisper_service.types import FloatArray, to_samples

GAP = 0.06  # s of silence at the end of each word, so that equal neighbours stay apart
WINDOW = 512  # samples per speech probability, as Silero's


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """What is really said, and when (samples)."""

    text: str
    language: str
    start: int
    end: int


def utterance(
    script: Sequence[tuple[str | None, float]], *, vocabulary: Vocabulary = VOCABULARY
) -> FloatArray:
    """Samples (float32) of words and pauses: ``[("hello", 0.3), (None, 1.0), ("hola", 0.4)]``.

    Each entry takes its seconds; a word is silent for its last :data:`GAP`.
    """
    parts = []
    for word, seconds in script:
        if word is None:
            parts.append(silence(seconds))
        else:
            spoken = tone(word, seconds - GAP, vocabulary=vocabulary)
            parts += [spoken, np.zeros(to_samples(seconds) - len(spoken), np.float32)]
    return np.concatenate(parts) if parts else silence(0.0)


def word_times(
    script: Sequence[tuple[str | None, float]], *, vocabulary: Vocabulary = VOCABULARY
) -> list[SpokenWord]:
    """Return the words of a script with their true samples."""
    words, at = [], 0
    for word, seconds in script:
        if word is not None:
            frequency_of(word, vocabulary)
            end = at + to_samples(seconds - GAP)
            language = vocabulary[word][0]
            words.append(SpokenWord(text=word, language=language, start=at, end=end))
        at += to_samples(seconds)
    return words


class EnergyVad:
    """Speech probabilities by loudness: one per 512 samples, however the stream is cut.

    It has the interface of :class:`whisper_service.vad.silero.SpeechProbabilities`.
    """

    def __init__(self, threshold: float = 0.01) -> None:
        self._threshold = threshold  # RMS at which the probability is 0.5
        self._left: FloatArray = np.empty(0, np.float32)
        self._finished = False

    def feed(self, samples: FloatArray) -> list[float]:
        """Take samples ``[n]``; return the probability of each window completed.

        Raises ``StreamClosedError`` after :meth:`finish`.
        """
        if self._finished:
            raise StreamClosedError("speech detection was fed after finish(); start a new one")
        signal = np.concatenate((self._left, samples))
        complete = len(signal) // WINDOW * WINDOW
        self._left = signal[complete:].copy()
        return [self._probability(window) for window in signal[:complete].reshape(-1, WINDOW)]

    def finish(self) -> list[float]:
        """Return the probability of the last, zero-padded window; none if no sample is left."""
        left = 0 if self._finished else len(self._left)
        tail = self.feed(np.zeros(WINDOW - left, np.float32)) if left else []
        self._finished = True
        return tail

    def _probability(self, window: FloatArray) -> float:
        power = float(np.dot(window, window)) / WINDOW
        return power / (power + self._threshold**2)
