"""What the rest of the package knows about an engine: protocols and plain values.

Frames are encoder frames of 20 ms, counted from the start of the encoded window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from whisper_service.errors import InvalidOptionError
from whisper_service.types import FloatArray, Task

Mel: TypeAlias = FloatArray
"""``[n_mels, frames]`` float32, clamped and scaled as Whisper does, one column per 10 ms."""

StopReason = Literal["end", "attention", "budget", "repetition"]


class Encoded(Protocol):
    """One encoded window. Engines keep their own tensors in it."""

    @property
    def frames(self) -> int:
        """Frames (20 ms) that hold real content; padding is not counted."""

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""


@dataclass(frozen=True, slots=True)
class Span:
    """The frames ``[start, end)`` of an encoding."""

    encoded: Encoded
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRequest:
    """One window to decode.

    The decoder's input is ``[startofprev, *prompt] startoftranscript, language, task,
    (notimestamps,) *prefix``; ``prompt + prefix + max_new_tokens`` fit into 448 with the
    special tokens, otherwise ``InvalidOptionError``.
    """

    encoded: Encoded
    language: str
    task: Task = "transcribe"
    prompt: tuple[int, ...] = ()  # text tokens before this window
    prefix: tuple[int, ...] = ()  # committed text tokens of this window, forced
    span: tuple[int, int] | None = None  # frames cross-attention may see; None: all content
    stop_frame: int | None = None  # AlignAtt: stop before a token that attends at or after it
    max_new_tokens: int = 224
    beam_size: int = 1
    timestamps: bool = False
    allow_end: bool = True  # False: end-of-text is suppressed (fixed workloads in benchmarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What was decoded after the prefix: text tokens only, no special ones."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]  # natural log, one per token
    frames: tuple[int, ...]  # frame each token attends to most (alignment heads)
    attention: FloatArray  # [tokens, frames] mean of the alignment heads, rows sum to <= 1
    end_logprob: float  # log-probability of end-of-text where decoding stopped
    no_speech_prob: float
    stopped: StopReason

    @property
    def avg_logprob(self) -> float:
        """Mean log-probability of the tokens, end-of-text included if that is why it stopped."""
        total = sum(self.logprobs) + (self.end_logprob if self.stopped == "end" else 0.0)
        count = len(self.logprobs) + (self.stopped == "end")
        return total / max(1, count)


class Tokenizer(Protocol):
    """Text and special tokens of one checkpoint."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that have a token, in the order of their ids."""

    def encode(self, text: str) -> list[int]:
        """Text tokens of ``text``; special tokens are never produced."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of ``tokens``; special and timestamp tokens are left out."""

    def split_words(self, tokens: Sequence[int], language: str) -> list[tuple[str, list[int]]]:
        """Words as ``(text, their tokens)``; a word keeps its leading space.

        In scripts without spaces the unit is one character. Tokens that split a character
        stay together; punctuation joins the word before it (opening punctuation the next).
        The last entry's text may hold U+FFFD when its character is not complete yet.
        """


class Engine(Protocol):
    """A loaded model. It holds no state of any stream and may be shared by many."""

    @property
    def name(self) -> str:
        """The model as the user named it."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, the columns of :meth:`language_probabilities`; one for English-only."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the checkpoint can do."""

    @property
    def dynamic_context(self) -> bool:
        """Trained for inputs shorter than 30 s; otherwise :meth:`encode` pads to 30 s."""

    @property
    def longest_window(self) -> float:
        """Seconds of speech in one window that the model was trained on, 30 at most."""

    @property
    def n_mels(self) -> int:
        """Mel bins of the input: 80 or 128."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's own tokenizer."""

    def encode(self, mels: Sequence[Mel]) -> list[Encoded]:
        """Encode windows of any lengths up to 3000 mel frames, in one batch where it can."""

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        """Probabilities ``[spans, languages]``, float32, rows sum to 1."""

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode each request as if it were alone."""


def check_span(encoded: Encoded, span: tuple[int, int]) -> None:
    """Raise ``InvalidOptionError`` for a span that is empty or not within ``encoded``."""
    start, end = span
    if not 0 <= start < end <= encoded.frames:
        raise InvalidOptionError(
            f"a span must lie within the {encoded.frames} encoded frames, not [{start}, {end})"
        )
