"""The suites of the code-switching benchmark: recordings made from fixed seeds.

Every suite exists in a *dev* split, on which thresholds are swept, and in a disjoint *test* split;
voices, sentences and seeds differ (:mod:`whisper_service.evaluation.corpus`). What has been made
once lies in the user's cache folder, so that samples are the same in every run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias, get_args, overload

import numpy as np

from whisper_service.evaluation.corpus import (
    HELD_OUT_RATES,
    HELD_OUT_VOICES,
    LANGUAGES,
    Split,
    SpokenWord,
    held_out_grammar,
)
from whisper_service.evaluation.grammar import Grammar, load_grammar
from whisper_service.evaluation.recording import Recording, stretches
from whisper_service.evaluation.sentences import written_sentences
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.synthesizer import VOICES, synthesize
from whisper_service.types import SAMPLE_RATE, FloatArray, to_samples

Suite: TypeAlias = Literal[
    "switches-pause",
    "switches-no-pause",
    "insertions",
    "mix3",
    "mix5",
    "monolingual",
    "accuracy",
]
SUITES: tuple[Suite, ...] = get_args(Suite)
SWITCHED: tuple[Suite, ...] = ("switches-pause", "switches-no-pause", "mix3", "mix5")

VERSION = 5  # of what the makers below make; part of the cache's key
LEAD, TAIL = 0.3, 1.2  # s of silence around a recording: long enough for speech to end
MEETING = 40.0  # s of a mix
CHAPTER = 120.0  # s of one monolingual recording
LEVEL = 0.3  # peak of clean speech
FLOOR = 1e-3  # of full scale: what is quieter at the ends of a sentence is cut
NOISES = ("none", "white", "brown", "white", "brown", "babble")
SNR = (10.0, 30.0)  # dB, uniform; babble of six talkers from 15 dB

Speaker: TypeAlias = Callable[[str], str]
"""Language → espeak-ng voice with its variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make: how much of it, from which sentences."""

    split: Split = "test"
    count: int = 20  # recordings of the switch and insertion suites; mixes: a quarter
    minutes: float = 6.0  # of monolingual recordings, pauses included, for each language
    languages: tuple[str, ...] = LANGUAGES
    grammar: Path | None = None  # folder of grammar files, one a language; None: held-out texts


@dataclass(frozen=True, slots=True)
class Piece:
    """Something said by one voice after a pause (s)."""

    text: str
    language: str
    voice: str
    pause: float
    inserted: bool = False


def build(suite: Suite, plan: Plan, *, store: RecordingStore | None = None) -> Iterator[Recording]:
    """The recordings of a suite, one after the other, from ``store`` where it holds them."""
    yield from Recordings(suite, plan, store=store)


class Recordings(Sequence[Recording]):
    """The recordings of a suite, each made or read when asked for: ten hours take 2.3 GB."""

    def __init__(self, suite: Suite, plan: Plan, *, store: RecordingStore | None = None) -> None:
        self._suite = suite
        self._plan = plan
        self._store = store
        self._maker, total = _MAKERS[suite]
        self._total = total(plan)

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> Recording: ...

    @overload
    def __getitem__(self, index: slice) -> list[Recording]: ...

    def __getitem__(self, index: int | slice) -> Recording | list[Recording]:
        numbers = range(self._total)[index]
        return self._get(numbers) if isinstance(numbers, int) else [self._get(n) for n in numbers]

    def _get(self, number: int) -> Recording:
        plan = self._plan
        key = f"{VERSION} {self._suite} {plan.split} {plan.languages} {plan.grammar} {number}"
        make = partial(self._maker, plan, random.Random(key), number)  # noqa: S311
        return self._store.get(key, make) if self._store else make()


def _pause_maker(plan: Plan, rng: random.Random, number: int) -> Recording:
    """Four sentences, each in another language, after pauses of 0.2-1.5 s.

    In every other recording each language has a speaker of its own.
    """
    speaker = _speaker(plan, rng, several=number % 2 == 1)
    pieces = [
        Piece(_text(plan, code, rng), code, speaker(code), rng.uniform(0.2, 1.5))
        for code in _changing(plan.languages, 4, rng)
    ]
    kind = "speakers" if number % 2 else "one voice"
    return _speak(pieces, rng, name=f"pause {number:03d}, {kind}", suite="switches-pause")


def _no_pause_maker(plan: Plan, rng: random.Random, number: int) -> Recording:
    """Three sentences in a row without a pause, each in another language."""
    speaker = _speaker(plan, rng, several=number % 2 == 1)
    pieces = [
        Piece(_text(plan, code, rng), code, speaker(code), 0.0)
        for code in _changing(plan.languages, 3, rng)
    ]
    kind = "speakers" if number % 2 else "one voice"
    return _speak(pieces, rng, name=f"no pause {number:03d}, {kind}", suite="switches-no-pause")


def _insertion_maker(plan: Plan, rng: random.Random, number: int) -> Recording:
    """Three sentences of one language; in the middle one a word of another language."""
    main, other = rng.sample(plan.languages, 2)
    speaker = _speaker(plan, rng, several=False)
    first, middle, last = (_text(plan, main, rng) for _ in range(3))
    left, right = _halves(middle, main)
    pieces = [
        Piece(first, main, speaker(main), 0.0),
        Piece(left, main, speaker(main), 0.7),
        Piece(_word(plan, other, rng), other, speaker(other), 0.05, inserted=True),
        Piece(right, main, speaker(main), 0.05),
        Piece(last, main, speaker(main), 0.7),
    ]
    return _speak(pieces, rng, name=f"insertion {number:03d}", suite="insertions")


def _mix_maker(size: int) -> Callable[[Plan, random.Random, int], Recording]:
    def make(plan: Plan, rng: random.Random, number: int) -> Recording:
        """Sentences of ``size`` languages at random, pauses of 0-1.5 s, a voice a language."""
        languages = rng.sample(plan.languages, min(size, len(plan.languages)))
        speaker = _speaker(plan, rng, several=number % 2 == 1)
        pieces: list[Piece] = []
        code = rng.choice(languages)
        for _ in range(int(MEETING / 2.7)):
            if rng.random() < 0.6:
                code = rng.choice([c for c in languages if c != code])
            pause = 0.0 if rng.random() < 0.2 else rng.uniform(0.2, 1.5)
            pieces.append(Piece(_text(plan, code, rng), code, speaker(code), pause))
        return _speak(pieces, rng, name=f"mix{size} {number:03d}", suite=f"mix{size}")

    return make


def _monolingual_maker(plan: Plan, rng: random.Random, number: int) -> Recording:
    """At least two minutes of one language with pauses of 0.1-2 s, most with noise.

    A system is told all the languages of the plan: it must find that only one is spoken.
    """
    code = plan.languages[number % len(plan.languages)]
    speaker = _speaker(plan, rng, several=False)
    pieces = (
        Piece(_text(plan, code, rng), code, speaker(code), rng.uniform(0.1, 2.0)) for _ in count()
    )
    noise = NOISES[number // len(plan.languages) % len(NOISES)]
    name = f"{code} {number:03d}, noise {noise}"
    made = _speak(pieces, rng, name=name, suite="monolingual", until=CHAPTER)
    samples = _with_noise(made.samples, noise, rng, plan)
    return _replace(made, samples=samples, languages=plan.languages)


def _accuracy_maker(plan: Plan, rng: random.Random, number: int) -> Recording:
    """One sentence."""
    code = plan.languages[number % len(plan.languages)]
    piece = Piece(_text(plan, code, rng), code, _speaker(plan, rng, several=False)(code), 0.0)
    made = _speak([piece], rng, name=f"{code} {number:03d}", suite="accuracy")
    return _replace(made, languages=plan.languages)


_Maker: TypeAlias = Callable[[Plan, random.Random, int], Recording]
_MAKERS: dict[Suite, tuple[_Maker, Callable[[Plan], int]]] = {
    "switches-pause": (_pause_maker, lambda p: p.count),
    "switches-no-pause": (_no_pause_maker, lambda p: p.count),
    "insertions": (_insertion_maker, lambda p: p.count),
    "mix3": (_mix_maker(3), lambda p: -(-p.count // 4)),
    "mix5": (_mix_maker(5), lambda p: -(-p.count // 4)),
    "monolingual": (
        _monolingual_maker,
        lambda p: max(1, round(p.minutes * 60 / CHAPTER)) * len(p.languages),
    ),
    "accuracy": (_accuracy_maker, lambda p: 2 * p.count),
}


def _speak(
    pieces: Iterable[Piece],
    rng: random.Random,
    *,
    name: str,
    suite: str,
    until: float = math.inf,
) -> Recording:
    """Say pieces one after the other; silence at the ends of each is cut, so pauses are exact.

    Nothing more is said once ``until`` seconds are full.
    """
    rate, pitch = rng.choice(HELD_OUT_RATES), rng.randint(35, 65)
    parts: list[FloatArray] = [_silence(LEAD)]
    words: list[SpokenWord] = []
    inserted: list[SpokenWord] = []
    said: list[Piece] = []
    position = len(parts[0])
    for piece in pieces:
        if said:
            parts.append(_silence(piece.pause))
            position += len(parts[-1])
        spoken = synthesize(piece.text, piece.voice, rate, pitch)
        loud = np.flatnonzero(np.abs(spoken.samples) > FLOOR)
        first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)
        placed = [
            SpokenWord(
                w.text,
                position + max(0, min(w.start, last) - first),
                position + max(0, min(w.end, last) - first),
                piece.language,
            )
            for w in spoken.words
        ]
        words += placed
        inserted += placed if piece.inserted else []
        parts.append(spoken.samples[first:last])
        position += last - first
        said.append(piece)
        if position / SAMPLE_RATE >= until:
            break
    samples = np.concatenate([*parts, _silence(TAIL)])
    samples *= LEVEL / max(float(np.abs(samples).max()), 1e-6)
    return Recording(
        name=name,
        suite=suite,
        languages=tuple(sorted({p.language for p in said})),
        samples=samples.astype(np.float32),
        speech=stretches(words),
        words=tuple(words),
        inserted=tuple(inserted),
    )


def _replace(
    recording: Recording,
    *,
    samples: FloatArray | None = None,
    languages: tuple[str, ...] | None = None,
) -> Recording:
    return Recording(
        name=recording.name,
        suite=recording.suite,
        languages=languages or recording.languages,
        samples=recording.samples if samples is None else samples,
        speech=recording.speech,
        words=recording.words,
        inserted=recording.inserted,
    )


def _speaker(plan: Plan, rng: random.Random, *, several: bool) -> Speaker:
    """One variant of voice for all languages, or one for each."""
    variants = list(HELD_OUT_VOICES[plan.split])
    rng.shuffle(variants)
    order = {code: i if several else 0 for i, code in enumerate(plan.languages)}
    return lambda code: f"{VOICES[code]}+{variants[order[code] % len(variants)]}"


def _changing(languages: Sequence[str], count: int, rng: random.Random) -> list[str]:
    codes = [rng.choice(languages)]
    while len(codes) < count:
        codes.append(rng.choice([c for c in languages if c != codes[-1]]))
    return codes


def _text(plan: Plan, language: str, rng: random.Random) -> str:
    """Draw a sentence: of the given grammar, or a held-out template or hand-written one."""
    if plan.grammar is not None:
        return _grammar(plan.grammar, language).sentence(rng)
    if rng.random() < 0.4:
        return rng.choice(written_sentences(plan.split)[language])
    return held_out_grammar(language).sentence(rng, plan.split)


@cache
def _grammar(folder: Path, language: str) -> Grammar:
    return load_grammar(folder / f"{language}.txt")


def _word(plan: Plan, language: str, rng: random.Random) -> str:
    """One word of another language: the longest of a sentence; two characters of Chinese."""
    text = _text(plan, language, rng).strip("。，？！.?!,;:¿¡ ")
    if language == "zh":
        start = rng.randrange(max(1, len(text) - 2))
        return text[start : start + 2].strip("，。") or text[:2]
    return max(text.split(), key=len).strip(".,?!;:¿¡")


def _halves(text: str, language: str) -> tuple[str, str]:
    if language == "zh":
        middle = len(text) // 2
        return text[:middle], text[middle:]
    words = text.split()
    middle = max(1, len(words) // 2)
    return " ".join(words[:middle]), " ".join(words[middle:]) or words[-1]


def _with_noise(samples: FloatArray, noise: str, rng: random.Random, plan: Plan) -> FloatArray:
    """Add noise at a level drawn from :data:`SNR`, measured over the whole recording."""
    if noise == "none":
        return samples
    generator = np.random.default_rng(rng.getrandbits(64))
    ratio = rng.uniform(*SNR) if noise != "babble" else rng.uniform(15.0, SNR[1])
    if noise == "babble":
        made = _babble(len(samples), rng, plan)
    else:
        made = generator.standard_normal(len(samples), np.float32)
    if noise == "brown":
        made = np.cumsum(made, dtype=np.float32)
        made -= np.convolve(made, np.ones(801, np.float32) / 801, mode="same")  # no slow drift
    power = _level(samples) / max(_level(made), 1e-9)
    mixed: FloatArray = np.clip(samples + made * power * 10 ** (-ratio / 20), -1.0, 1.0)
    return mixed.astype(np.float32)


def _level(samples: FloatArray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples))))


def _babble(length: int, rng: random.Random, plan: Plan) -> FloatArray:
    """Six talkers of random languages at once."""
    total = np.zeros(length, np.float32)
    for _ in range(6):
        position = rng.randrange(SAMPLE_RATE)
        code = rng.choice(plan.languages)
        voice = _speaker(plan, rng, several=False)(code)
        while position < length:
            spoken = synthesize(_text(plan, code, rng), voice, 155).samples
            end = min(length, position + len(spoken))
            total[position:end] += spoken[: end - position]
            position = end + to_samples(rng.uniform(0.1, 0.5))
    return total


def _silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
