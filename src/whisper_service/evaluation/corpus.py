"""Speech that nobody trained on, made on demand: the *dev* and the *test* split.

Both splits are fixed by their seeds and share nothing: voices, sentence templates and
hand-written sentences are disjoint, and none of them occurs in the training data, which leaves
out the speaking rates of :data:`HELD_OUT_RATES` too. Needs the system's espeak-ng library and, for
dictionary words, Debian's word lists.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from whisper_service.evaluation.grammar import Grammar, dictionary_words, load_grammar
from whisper_service.evaluation.sentences import written_sentences
from whisper_service.evaluation.synthesizer import VOICES, Utterance, synthesize
from whisper_service.types import SAMPLE_RATE, FloatArray

Split = Literal["dev", "test"]
Kind = Literal["template", "written", "dictionary"]

LANGUAGES = ("en", "es", "fr", "de", "zh")
HELD_OUT_RATES = range(150, 158)  # words a minute
HELD_OUT_VOICES: dict[Split, tuple[str, ...]] = {
    "dev": ("Alex", "Hugo", "iven4", "edward2", "steph2", "Mr serious"),
    "test": ("Henrique", "Nguyen", "kaukovalta", "announcer", "iven2", "steph3"),
}
HELD_OUT_VARIANTS = HELD_OUT_VOICES["dev"] + HELD_OUT_VOICES["test"]
CLIPS_A_LANGUAGE = 200
SHARES: dict[Kind, int] = {"template": 100, "written": 60, "dictionary": 40}

_SEEDS: dict[Split, int] = {"dev": 20_001, "test": 40_001}
_DATA = Path(__file__).parent / "data"
_LEAD, _TAIL = 0.2, 0.4  # seconds of silence around the speech of a clip


@dataclass(frozen=True)
class SpokenWord:
    """A word as it was truly spoken: text with its punctuation, samples [start, end), language."""

    text: str
    start: int
    end: int
    language: str


@dataclass(frozen=True)
class Clip:
    """One test recording: mono samples at 16 kHz, what is said in it, and when."""

    samples: FloatArray
    language: str
    text: str
    words: tuple[SpokenWord, ...]
    kind: Kind
    voice: str  # espeak-ng voice with its variant
    rate: int  # words a minute


@dataclass(frozen=True)
class SwitchedClip:
    """Sentences of several languages one after the other, and where the language changes."""

    samples: FloatArray
    sentences: tuple[tuple[str, str], ...]  # (language, text) in order
    words: tuple[SpokenWord, ...]
    switches: tuple[tuple[str, str, int], ...]  # (old, new, first speech sample of the new one)
    variant: str


@cache
def held_out_grammar(language: str) -> Grammar:
    """Templates of the dev and the test split, none of them trained on."""
    return load_grammar(_DATA / f"{language}.txt")


def make_split(
    split: Split,
    languages: Sequence[str] = LANGUAGES,
    clips: int = CLIPS_A_LANGUAGE,
    kinds: Sequence[Kind] = ("template", "written", "dictionary"),
) -> list[Clip]:
    """Make a split, or a part of it; the same arguments give the same texts, voices and rates.

    ``clips`` is per language; the kinds share it as in :data:`SHARES`. In a fresh process the
    samples are the same too (see :func:`.synthesizer.synthesize`).
    """
    total = sum(SHARES[kind] for kind in kinds)
    made = []
    for language in languages:
        for kind in kinds:
            rng = random.Random(f"{_SEEDS[split]} {language} {kind}")  # noqa: S311
            wanted = round(clips * SHARES[kind] / total)
            texts = _texts(split, language, kind, wanted, rng)
            made += [_clip(text, language, kind, split, rng) for text in texts]
    return made


def make_switched(
    languages: Sequence[str],
    pauses: Sequence[float],
    *,
    split: Split = "test",
    seed: int = 0,
    kinds: Sequence[Kind] = ("template", "written"),
    rate: int | None = None,
) -> SwitchedClip:
    """Speak one sentence per entry of ``languages`` with one variant of voice.

    ``pauses`` holds the seconds of silence before each sentence but the first (0 for none;
    0.2-1.5 s is natural). Times of words and switches are exact.
    """
    rng = random.Random(f"{_SEEDS[split]} switched {seed}")  # noqa: S311
    variant = rng.choice(HELD_OUT_VOICES[split])
    pace = rng.choice(HELD_OUT_RATES) if rate is None else rate
    sentences = []
    for language in languages:
        kind = rng.choice([k for k in kinds if k != "dictionary"])
        sentences.append((language, _texts(split, language, kind, 1, rng)[0]))
    pitch = rng.randint(35, 65)
    return speak_switched(sentences, pauses, variant, rate=pace, pitch=pitch)


def speak_switched(
    sentences: Sequence[tuple[str, str]],
    pauses: Sequence[float],
    variant: str,
    *,
    rate: int = 155,
    pitch: int = 50,
) -> SwitchedClip:
    """Speak given (language, text) sentences with one variant of voice, such as ``steph3``.

    Silence of the synthesizer at either end of a sentence is cut, so that a pause lasts exactly
    as long as asked for.
    """
    if len(pauses) != len(sentences) - 1:
        raise ValueError(f"{len(sentences)} sentences need {len(sentences) - 1} pauses")
    parts: list[FloatArray] = [_silence(_LEAD)]
    words: list[SpokenWord] = []
    switches: list[tuple[str, str, int]] = []
    position = len(parts[0])
    for number, (language, text) in enumerate(sentences):
        if number:
            parts.append(_silence(pauses[number - 1]))
            position += len(parts[-1])
        spoken = synthesize(text, f"{VOICES[language]}+{variant}", rate, pitch)
        first, last = _speech_bounds(spoken)
        if number and sentences[number - 1][0] != language:
            switches.append((sentences[number - 1][0], language, position))
        words += _words(spoken, language, position - first, position, position + last - first)
        parts.append(spoken.samples[first:last])
        position += last - first
    parts.append(_silence(_TAIL))
    samples = np.concatenate(parts)
    return SwitchedClip(samples, tuple(sentences), tuple(words), tuple(switches), variant)


def _texts(split: Split, language: str, kind: Kind, count: int, rng: random.Random) -> list[str]:
    if kind == "template":
        return [held_out_grammar(language).sentence(rng, split) for _ in range(count)]
    if kind == "written":
        pool = list(written_sentences(split)[language])
        rng.shuffle(pool)
        return [pool[i % len(pool)] for i in range(count)]
    return [_dictionary(language, rng) for _ in range(count)]


def _dictionary(language: str, rng: random.Random) -> str:
    if language != "zh":
        return " ".join(rng.choice(_dictionary_words(language)) for _ in range(rng.randint(2, 5)))
    return "".join(rng.choice(_han_words()) for _ in range(rng.randint(2, 5)))


@cache
def _dictionary_words(language: str) -> Sequence[str]:
    return dictionary_words(language)


@cache
def _han_words() -> Sequence[str]:
    """Chinese has no word list in Debian: the choices of the held-out slots, in random order."""
    slots = held_out_grammar("zh").slots
    return [choice for name in sorted(slots) for choice in slots[name]]


def _clip(text: str, language: str, kind: Kind, split: Split, rng: random.Random) -> Clip:
    voice = f"{VOICES[language]}+{rng.choice(HELD_OUT_VOICES[split])}"
    rate = rng.choice(HELD_OUT_RATES)
    spoken = synthesize(text, voice, rate, rng.randint(35, 65), rng.randint(35, 65))
    samples = np.concatenate([_silence(_LEAD), spoken.samples, _silence(_TAIL)])
    lead = round(_LEAD * SAMPLE_RATE)
    words = _words(spoken, language, lead, lead, lead + len(spoken.samples))
    return Clip(samples, language, text, tuple(words), kind, voice, rate)


def _words(
    spoken: Utterance, language: str, offset: int, first: int, last: int
) -> list[SpokenWord]:
    """Words moved by ``offset`` samples and kept within [first, last)."""
    moved = ((w.text, w.start + offset, w.end + offset) for w in spoken.words)
    return [SpokenWord(t, max(s, first), min(e, last), language) for t, s, e in moved]


def _speech_bounds(spoken: Utterance, quiet: float = 1e-3) -> tuple[int, int]:
    """First and one-past-last sample that is louder than ``quiet`` of full scale."""
    loud = np.flatnonzero(np.abs(spoken.samples) > quiet)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(spoken.samples))


def _silence(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
