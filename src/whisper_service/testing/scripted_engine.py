"""An engine for tests that really hears: its words are tones.

It keeps the mel spectrogram, finds the tones in it and writes the words of the language asked
for, with times, attention, budgets, prefixes and the AlignAtt stop as the real engine has them.
No word is scripted by call or by time, so whatever is wrong with windows, offsets or restarts
shows up as wrong text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from whisper_service.engine.base import (
    DecodeRequest,
    Encoded,
    Hypothesis,
    Mel,
    Span,
    StopReason,
    check_span,
)
from whisper_service.errors import InvalidAudioError, InvalidOptionError
from whisper_service.features import log_mel
from whisper_service.testing.tokenizer import ScriptedTokenizer
from whisper_service.testing.tones import VOCABULARY, Vocabulary, tone
from whisper_service.types import FloatArray, Task

MAX_MEL_FRAMES = 3000
POSITIONS = 448  # of Whisper's decoder
SPECIAL_TOKENS = 5  # startofprev, startoftranscript, language, task, notimestamps

_PROMINENCE = 0.4  # of a tone's bin over the median bin, in scaled log-mel (16 dB)
_SHORTEST = 4  # mel frames of a word
_EDGE = 2  # mel frames: a tone this close to the window's end has not ended yet
_LOGPROB = -0.05  # of each word's token, and of ending where nothing is left to say
_UNEXPLAINED = -3.0  # of ending although there is speech in another language


@dataclass(frozen=True, slots=True)
class ToneRun:
    """One heard word; ``[start, end)`` in frames of 20 ms."""

    word: str
    start: int
    end: int
    complete: bool  # silence or another word follows within the window


@dataclass(frozen=True, slots=True)
class ScriptedEncoded:
    """What :meth:`ScriptedEngine.encode` keeps of a window."""

    mel: Mel
    runs: tuple[ToneRun, ...]

    @property
    def frames(self) -> int:
        return (int(self.mel.shape[1]) + 1) // 2

    @property
    def nbytes(self) -> int:
        return int(self.mel.nbytes)


class ScriptedEngine:
    """Recognises the tones of ``vocabulary`` (:func:`whisper_service.testing.tone`).

    Words of another language than the one asked for are left out, as Whisper drops text under
    a wrong language token. Raises ``InvalidOptionError`` if two words cannot be told apart.
    It implements :class:`whisper_service.engine.base.Engine`; results depend on the window only.
    """

    name = "scripted"
    tasks: tuple[Task, ...] = ("transcribe",)
    longest_window = 30.0

    def __init__(
        self,
        vocabulary: Vocabulary = VOCABULARY,
        *,
        languages: Sequence[str] = (),
        dynamic_context: bool = True,
        n_mels: int = 80,
    ) -> None:
        spoken = dict.fromkeys(language for language, _ in vocabulary.values())
        self.languages = tuple(languages) or tuple(spoken)
        self.dynamic_context = dynamic_context
        self.n_mels = n_mels
        self.tokenizer = ScriptedTokenizer(vocabulary, self.languages)
        self.encoder_passes = 0  # windows encoded so far
        self._language = {word: language for word, (language, _) in vocabulary.items()}
        self._words = tuple(vocabulary)
        self._word_of_bin = self._tune(vocabulary)

    def encode(self, mels: Sequence[Mel]) -> list[Encoded]:
        """Keep each window. Raises ``InvalidAudioError`` for a wrong shape."""
        self.encoder_passes += len(mels)
        return [self._encode(mel) for mel in mels]

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        """Shares of frames ``[spans, languages]`` that sound in each language, softened."""
        counts = np.ones((len(spans), len(self.languages)), np.float32)
        for row, span in zip(counts, spans, strict=True):
            check_span(span.encoded, (span.start, span.end))
            for run in _scripted(span.encoded).runs:
                shared = min(run.end, span.end) - max(run.start, span.start)
                row[self.languages.index(self._language[run.word])] += max(0, shared)
        probabilities: FloatArray = counts / counts.sum(axis=1, keepdims=True)
        return probabilities

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Write the words heard after the prefix.

        Raises ``InvalidOptionError`` for a language or task it does not know, and for more
        tokens than a decoder has positions.
        """
        return [self._decode(request) for request in requests]

    def _encode(self, mel: Mel) -> ScriptedEncoded:
        if mel.ndim != 2 or mel.shape[0] != self.n_mels or not 0 < mel.shape[1] <= MAX_MEL_FRAMES:
            raise InvalidAudioError(
                f"mel must be [{self.n_mels}, 1 to {MAX_MEL_FRAMES}], got {list(mel.shape)}"
            )
        return ScriptedEncoded(mel, tuple(self._runs(mel)))

    def _runs(self, mel: Mel) -> list[ToneRun]:
        heard = self._heard(mel)
        edges = np.flatnonzero(np.diff(heard, prepend=-1, append=-1))
        runs = []
        for start, end in pairwise(edges):
            if heard[start] >= 0 and end - start >= _SHORTEST:
                complete = bool(end <= mel.shape[1] - _EDGE)
                word = self._words[heard[start]]
                runs.append(ToneRun(word, int(start) // 2, -(-int(end) // 2), complete))
        return runs

    def _heard(self, mel: Mel) -> NDArray[np.intp]:
        """Index of the word in each mel frame, -1 where there is none."""
        prominence = mel.max(axis=0) - np.median(mel, axis=0)
        words = self._word_of_bin[mel.argmax(axis=0)]
        return np.where(prominence > _PROMINENCE, words, -1)

    def _decode(self, request: DecodeRequest) -> Hypothesis:
        self._check(request)
        if request.span is not None:
            check_span(request.encoded, request.span)
        encoded = _scripted(request.encoded)
        spoken = [
            _clipped(run, request.span)
            for run in encoded.runs
            if _within(run, request.span) and run.complete
        ]
        own = [run for run in spoken if self._language[run.word] == request.language]
        timed = [pair for run in own for pair in self._timed_tokens(run)]
        timed = timed[_after_prefix([token for token, _, _ in timed], request.prefix) :]
        kept, stopped = _limit(timed, request)
        ending = _LOGPROB if len(own) == len(spoken) else _UNEXPLAINED
        return Hypothesis(
            tokens=tuple(token for token, _, _ in kept),
            logprobs=(_LOGPROB,) * len(kept),
            frames=tuple((start + end) // 2 for _, start, end in kept),
            attention=_attention(kept, encoded.frames),
            end_logprob=ending,
            no_speech_prob=0.05 if spoken else 0.95,
            stopped=stopped,
        )

    def _timed_tokens(self, run: ToneRun) -> list[tuple[int, int, int]]:
        """Tokens of a word as ``(token, first frame, one past the last)``."""
        tokens = self.tokenizer.word_tokens(run.word)
        edges = np.linspace(run.start, run.end, len(tokens) + 1).astype(int).tolist()
        return [
            (token, start, max(end, start + 1))
            for token, (start, end) in zip(tokens, pairwise(edges), strict=True)
        ]

    def _check(self, request: DecodeRequest) -> None:
        if request.language not in self.languages:
            raise InvalidOptionError(f"the scripted engine does not know {request.language!r}")
        if request.task not in self.tasks:
            raise InvalidOptionError(f"the scripted engine cannot {request.task}")
        used = len(request.prompt) + len(request.prefix) + request.max_new_tokens
        if used + SPECIAL_TOKENS > POSITIONS:
            raise InvalidOptionError(
                f"prompt, prefix and new tokens need {used + SPECIAL_TOKENS} positions, "
                f"there are {POSITIONS}"
            )

    def _tune(self, vocabulary: Vocabulary) -> NDArray[np.intp]:
        """Index of the word for each mel bin, -1 for none; a bin's neighbours belong to it."""
        word_of_bin = np.full(self.n_mels, -1, np.intp)
        for index, word in enumerate(self._words):
            mel = log_mel(tone(word, 0.2, vocabulary=vocabulary), self.n_mels)
            peak = int(np.median(mel.argmax(axis=0)))
            near = slice(max(0, peak - 1), peak + 2)
            if (word_of_bin[near] >= 0).any():
                raise InvalidOptionError(
                    f"the frequency of {word!r} is too close to another word's"
                )
            word_of_bin[near] = index
        return word_of_bin


def _scripted(encoded: Encoded) -> ScriptedEncoded:
    if not isinstance(encoded, ScriptedEncoded):
        raise InvalidOptionError("this window was encoded by another engine; encode it here")
    return encoded


def _within(run: ToneRun, span: tuple[int, int] | None) -> bool:
    """Whether a word's middle lies in the span and its end is heard there."""
    return span is None or (span[0] <= (run.start + run.end) // 2 and run.end <= span[1])


def _clipped(run: ToneRun, span: tuple[int, int] | None) -> ToneRun:
    """The part of a word that attention can see."""
    return run if span is None else replace(run, start=max(run.start, span[0]))


def _after_prefix(tokens: Sequence[int], prefix: Sequence[int]) -> int:
    """Index of the first token that the prefix does not cover yet."""
    at = 0
    for token in prefix:
        if token in tokens[at:]:
            at += list(tokens[at:]).index(token) + 1
    return at


def _limit(
    timed: list[tuple[int, int, int]], request: DecodeRequest
) -> tuple[list[tuple[int, int, int]], StopReason]:
    """Tokens up to the AlignAtt stop or the budget, and why decoding stopped there."""
    stop = request.stop_frame
    for count, (_, start, end) in enumerate(timed):
        if count == request.max_new_tokens:
            return timed[:count], "budget"
        if stop is not None and (start + end) // 2 >= stop:
            return timed[:count], "attention"
    if request.allow_end or not timed:
        return timed, "end"
    padding = [timed[-1]] * (request.max_new_tokens - len(timed))
    return timed + padding, "budget"


def _attention(timed: Sequence[tuple[int, int, int]], frames: int) -> FloatArray:
    """Rows ``[tokens, frames]`` that sum to 1: level over a token, highest in its middle."""
    attention = np.zeros((len(timed), frames), np.float32)
    for row, (_, start, end) in zip(attention, timed, strict=True):
        row[start:end] = 1.0
        row[(start + end) // 2] = 1.5
        row /= row.sum()
    return attention
