"""Text to train on: grammar sentences, word salad and dictionary words in five languages."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

from wordfreq import top_n_list

from whisper_service.evaluation.grammar import Grammar, capitalized, dictionary_words, load_grammar

LANGUAGES = ("en", "es", "fr", "de", "zh")
TEXT_FOLDER = Path(__file__).parent / "text"

_LETTERS, _HAN = re.compile(r"[^\W\d_]{2,}('[^\W\d_]+)?|[aiyoàéè]"), re.compile("[\u4e00-\u9fff]+")

# share of each kind of sentence in the training data
KINDS = {"template": 0.25, "salad": 0.24, "common": 0.33, "mixed": 0.09, "dictionary": 0.09}
COMMON_WORDS = 6000  # the most frequent words of a language


@cache
def grammar(language: str) -> Grammar:
    """The training grammar of a language (its templates are disjoint from the held-out ones)."""
    return load_grammar(TEXT_FOLDER / f"{language}.txt")


@cache
def vocabulary(language: str) -> list[str]:
    """The everyday words of a language."""
    return grammar(language).vocabulary()


@cache
def dictionary(language: str) -> list[str]:
    """The words of the system's dictionary; everyday words where there is none (Chinese)."""
    return vocabulary("zh") if language == "zh" else list(dictionary_words(language))


@cache
def common(language: str) -> tuple[list[str], list[float]]:
    """The most frequent words (wordfreq, all of them lower case) and how often each is drawn.

    Zipf's law is flattened, so that the rarer half is heard too. A word that the dictionary has
    only with a capital gets it: nouns in German, names.
    """
    known, pattern = set(dictionary(language)), _HAN if language == "zh" else _LETTERS
    found = [word for word in top_n_list(language, COMMON_WORDS) if pattern.fullmatch(word)]
    names = {word: word.capitalize() for word in found}
    words = [names[w] if names[w] in known and w not in known else w for w in found]
    return words, [(rank + 20) ** -0.5 for rank in range(len(words))]


def sentence(language: str, rng: random.Random) -> tuple[str, str]:
    """Draw (text, kind)."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "common":
        words = rng.choices(*common(language), k=rng.randint(3, 9))
        return _punctuate(language, words, rng), kind
    if kind == "template":
        return grammar(language).sentence(rng), kind
    if kind == "dictionary":
        return _join(
            language, [rng.choice(dictionary(language)) for _ in range(rng.randint(2, 6))]
        ), kind
    words = [
        _piece(language, rng, 0.0 if kind == "salad" else 0.5) for _ in range(rng.randint(2, 8))
    ]
    return _punctuate(language, words, rng), kind


def _piece(language: str, rng: random.Random, from_dictionary: float) -> str:
    """A word, or now and then two or three neighbouring words of a grammar sentence."""
    if rng.random() < 0.25:
        return _fragment(language, rng)
    return rng.choice(
        dictionary(language) if rng.random() < from_dictionary else vocabulary(language)
    )


def _fragment(language: str, rng: random.Random) -> str:
    text = re.sub(r"[.,?!¿¡，。？！、]", "", grammar(language).sentence(rng))
    if language == "zh":
        start = rng.randrange(max(1, len(text) - 3))
        return text[start : start + rng.randint(2, 5)]
    words = text.split()
    start = rng.randrange(max(1, len(words) - 2))
    chosen = words[start : start + rng.randint(2, 3)]
    return " ".join(
        [
            w.lower() if start == 0 and i == 0 and language != "de" else w
            for i, w in enumerate(chosen)
        ]
    )


def _join(language: str, words: list[str]) -> str:
    return ("" if language == "zh" else " ").join(words)


def _punctuate(language: str, words: list[str], rng: random.Random) -> str:
    comma, ends = ("，", "。。？") if language == "zh" else (",", "..?")
    if len(words) > 4 and rng.random() < 0.25:
        words[rng.randint(1, len(words) - 3)] += comma
    text = _join(language, words)
    end = rng.choice(ends)
    if language == "es" and end == "?":
        text = "¿" + text
    if language == "fr" and end == "?":
        end = " ?"
    return capitalized(text) + (end if rng.random() < 0.85 else "")
