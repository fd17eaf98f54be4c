"""What the pipeline benchmarks feed, and an engine whose work is the same on every run.

Random weights give honest times and senseless text, so what they decode is fixed: a 20-token
prefix, exactly 8 new tokens an update and 25 for a final, AlignAtt's stop off, end-of-text
suppressed. The work is really done; its result is then replaced by one that behaves like speech,
so that windows, commits, changes of language and doubts come as they do with a trained model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from whisper_service.audio.decode import load_audio
from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.engine.base import DecodeRequest, Encoded, Engine, Hypothesis, Mel, Span
from whisper_service.types import SAMPLE_RATE, FloatArray, Task, to_samples

LANGUAGES = ("en", "es", "fr", "de", "zh")
CHUNK = 0.5  # s

PREFIX, UPDATE, FINAL = 20, 8, 25  # tokens
SPACING = 6  # frames between two tokens of a fixed hypothesis: about 4 words in 0.5 s

SURE, DOUBTED = 0.98, 0.85  # P(language) of the fixed workload, away from and after a change
DOUBT = to_samples(1.0)  # how long after a change spans are doubted
HEARD = to_samples(0.5)  # the language given is the one spoken so long before the newest sample

_WORDS = """ time year people way day man thing woman life child world school state family student
 group country problem hand part place case week company system program question work government
 number night point home water room mother area money story fact month lot right study book eye
 job word business issue side kind head house service friend father power hour game line end"""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A stretch of the clip in one language, in samples."""

    language: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio (float32 mono at 16 kHz) and which language is spoken where."""

    samples: FloatArray
    spoken: tuple[Spoken, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def cut(self, seconds: float) -> Clip:
        """The first ``seconds``."""
        end = to_samples(seconds)
        return Clip(self.samples[:end], tuple(s for s in self.spoken if s.start < end))

    def language(self, at: int) -> tuple[str, int]:
        """The language spoken at sample ``at``, or last before it, and for how long by then."""
        current, since = self.spoken[0].language, 0
        for part in self.spoken:
            if part.start > at:
                break
            if part.language != current:
                current, since = part.language, part.start
        return current, at - since


@cache
def bundled_clip() -> Clip:
    """The recording that ``whisper-service demo`` captions: 29 s, five languages."""
    data = files("whisper_service") / "data"
    truth = json.loads((data / "code_switching.json").read_text(encoding="utf-8"))
    with as_file(data / "code_switching.flac") as path:
        samples = load_audio(path)
    spoken = tuple(
        Spoken(part["language"], to_samples(part["start"]), to_samples(part["end"]))
        for part in truth["segments"]
    )
    return Clip(samples, spoken)


def continuous(clip: Clip) -> Clip:
    """The same speech without its pauses: one long utterance, so windows grow to their limit."""
    parts = [clip.samples[part.start : part.end] for part in clip.spoken]
    ends = np.cumsum([len(part) for part in parts]).tolist()
    spoken = tuple(
        Spoken(old.language, end - len(part), end)
        for old, part, end in zip(clip.spoken, parts, ends, strict=True)
    )
    silence = np.zeros(SAMPLE_RATE, np.float32)
    return Clip(np.concatenate([*parts, silence]), spoken)


def in_one_language(clip: Clip) -> Clip:
    """The same speech, said to be in its first language throughout."""
    first = clip.spoken[0].language
    return Clip(clip.samples, tuple(replace(part, language=first) for part in clip.spoken))


def stream_options(**more: Any) -> StreamOptions:
    """Following changes between five languages, updates on the sample clock alone."""
    language = LanguageOptions(policy="code_switch", languages=LANGUAGES)
    return replace(StreamOptions(mode="fast", language=language), **more)


@dataclass(slots=True)
class Work:
    """What an engine was asked to do."""

    encoded: list[tuple[int, int]] = field(default_factory=list)  # (windows, mel frames of each)
    spans: int = 0
    decodes: list[int] = field(default_factory=list)  # tokens of each
    finals: int = 0  # decodes to the end of what was heard


class Counted:
    """An engine that counts what it is asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.work = Work()

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def languages(self) -> tuple[str, ...]:
        return self.engine.languages

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.engine.tasks

    @property
    def longest_window(self) -> float:
        return self.engine.longest_window

    @property
    def dynamic_context(self) -> bool:
        return self.engine.dynamic_context

    @property
    def n_mels(self) -> int:
        return self.engine.n_mels

    @property
    def tokenizer(self) -> Any:
        return self.engine.tokenizer

    def encode(self, mels: Sequence[Mel]) -> list[Encoded]:
        self.work.encoded += [(1, mel.shape[1]) for mel in mels]
        return self.engine.encode(mels)

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        self.work.spans += len(spans)
        return self.engine.language_probabilities(spans)

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return self._decode(requests, as_asked=requests)

    def _decode(
        self, requests: Sequence[DecodeRequest], *, as_asked: Sequence[DecodeRequest]
    ) -> list[Hypothesis]:
        hypotheses = self.engine.decode(requests)
        self.work.decodes += [len(h.tokens) for h in hypotheses]
        self.work.finals += sum(request.stop_frame is None for request in as_asked)
        return hypotheses


class FixedWorkload(Counted):
    """An engine that always decodes as much, and says what the clip's truth says.

    ``heard`` tells the samples received so far: by it the language of a span is known.
    """

    def __init__(self, engine: Engine, clip: Clip, heard: Callable[[], int] = lambda: 0) -> None:
        super().__init__(engine)
        self.heard = heard
        self._clip = clip
        self._words = [engine.tokenizer.encode(" " + word)[0] for word in _WORDS.split()]
        self._prefix = tuple(self._words[:PREFIX])
        self._said = 0

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        result = super().language_probabilities(spans)
        language, since = self._clip.language(max(0, self.heard() - HEARD))
        sure = DOUBTED if since < DOUBT else SURE
        result[:] = (1.0 - sure) / max(1, len(self.languages) - 1)
        result[:, self.languages.index(language)] = sure
        return result

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        work = [
            replace(
                request,
                prompt=(),
                prefix=self._prefix,
                stop_frame=None,
                max_new_tokens=FINAL if request.stop_frame is None else UPDATE,
                allow_end=False,
                beam_size=1,
            )
            for request in requests
        ]
        done = self._decode(work, as_asked=requests)
        return [self._speech(r, h) for r, h in zip(requests, done, strict=True)]

    def _speech(self, request: DecodeRequest, done: Hypothesis) -> Hypothesis:
        """As many words as were decoded, spoken one after the other up to the window's end."""
        end = request.span[1] if request.span else request.encoded.frames
        count = min(len(done.tokens), max(1, end // SPACING))
        first = max(0, end - SPACING * count)
        frames = [first + SPACING * i for i in range(count)]
        attention = np.zeros((count, request.encoded.frames), np.float32)
        for row, frame in zip(attention, frames, strict=True):
            row[frame : frame + SPACING] = 1.0 / SPACING  # word times are read off it
        start = self._said
        self._said += count
        return replace(
            done,
            tokens=tuple(self._words[(start + i) % len(self._words)] for i in range(count)),
            logprobs=(-0.1,) * count,
            frames=tuple(frames),
            attention=attention,
            end_logprob=-1.0,
            no_speech_prob=0.0,
            stopped="budget" if request.stop_frame is not None else "end",
        )
