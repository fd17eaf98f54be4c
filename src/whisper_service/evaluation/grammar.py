"""Sentences from templates: a small text format shared by the test corpora and the training data.

A grammar file has sections in brackets. ``[slots]`` holds lines ``name: choice, choice, ...``
(a choice may itself contain slots); ``[templates]`` (or ``[dev]``, ``[test]``) holds one
template a line with ``{name}`` where a choice goes; ``[words]`` holds words separated by spaces.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[^\s.,?!¿¡，。？！、]+")


@dataclass(frozen=True)
class Grammar:
    """Templates, the choices for their slots, and further words, of one language."""

    slots: dict[str, tuple[str, ...]]
    sections: dict[str, tuple[str, ...]]  # section name → its templates
    words: tuple[str, ...]

    def sentence(self, rng: random.Random, section: str = "templates") -> str:
        """Draw one sentence from the templates of a section."""
        return capitalized(self.fill(rng.choice(self.sections[section]), rng))

    def fill(self, template: str, rng: random.Random) -> str:
        """Replace every slot by a random choice until none is left."""
        while _SLOT.search(template):
            template = _SLOT.sub(lambda match: rng.choice(self.slots[match[1]]), template)
        return template

    def vocabulary(self) -> list[str]:
        """Every word that the templates, the slots and the word list hold, sorted."""
        choices = [choice for name in self.slots for choice in self.slots[name]]
        texts = [*choices, *(t for templates in self.sections.values() for t in templates)]
        found = {word for text in texts for word in _WORD.findall(_SLOT.sub(" ", text))}
        return sorted(found | set(self.words))


def capitalized(sentence: str) -> str:
    """Upper-case the first letter (after an opening ``¿`` or ``¡``)."""
    for index, character in enumerate(sentence):
        if character.isalpha():
            return sentence[:index] + character.upper() + sentence[index + 1 :]
    return sentence


def load_grammar(path: Path) -> Grammar:
    """Read a grammar file (UTF-8)."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in path.read_text(encoding="utf8").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[] "), [])
        elif line.strip():
            current.append(line.strip())
    words = " ".join(sections.pop("words", [])).split()
    slots = dict(_slot(line) for line in sections.pop("slots", []))
    return Grammar(slots, {name: tuple(lines) for name, lines in sections.items()}, tuple(words))


def dictionary_words(language: str, longest: int = 12) -> Sequence[str]:
    """Plain words of the system's word list (Debian's wamerican, wspanish, wfrench, wngerman).

    Raises :class:`FileNotFoundError` naming the package where the list is missing.
    """
    name, package = _WORD_LISTS[language]
    path = Path("/usr/share/dict") / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; install it with: apt-get install {package}")
    lines = path.read_text(encoding="utf8").splitlines()
    plain = (w for w in lines if 3 <= len(w) <= longest and w.isalpha())
    return [w for w in plain if w.islower() or (language == "de" and w[1:].islower())]


_WORD_LISTS = {
    "en": ("american-english", "wamerican"),
    "es": ("spanish", "wspanish"),
    "fr": ("french", "wfrench"),
    "de": ("ngerman", "wngerman"),
}


def _slot(line: str) -> tuple[str, tuple[str, ...]]:
    name, _, choices = line.partition(":")
    return name.strip(), tuple(choice.strip() for choice in choices.split(",") if choice.strip())
