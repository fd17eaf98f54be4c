"""Tokens that the model writes: standard ids, rare ones written in pieces.

Every id belongs to the standard multilingual vocabulary, so that any Whisper program decodes
the text. A token seen less than ``RARE`` times in the text corpus is replaced by the two
tokens that its merge joined, again and again: what is left is trained often enough, and
unknown words are spelled from frequent pieces.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from training.grammar import LANGUAGES, sentence

RARE = 60
WEIGHT = {"zh": 4}  # a Chinese token counts more: what is not kept is spelled in bytes
SENTENCES_A_LANGUAGE = 20_000
FIRST_SPECIAL = 50257


@dataclass
class Spelling:
    """A tokenizer limited to trained tokens."""

    tokenizer: Tokenizer
    parents: dict[int, tuple[int, int]]  # token → the two it was merged from
    used: set[int] = field(default_factory=set)
    memory: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)  # token → bytes

    def id(self, token: str) -> int:
        """Id of a special token."""
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise KeyError(token)
        return int(found)

    def standard(self, text: str) -> list[int]:
        """Standard tokens of a text."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def pieces(self, token: int) -> tuple[int, ...]:
        """The trained tokens that spell one standard token."""
        if token in self.used or token not in self.parents:
            return (token,)
        if token not in self.memory:
            left, right = self.parents[token]
            self.memory[token] = self.pieces(left) + self.pieces(right)
        return self.memory[token]

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Trained tokens of a text and the characters [first, last) that each one writes."""
        ids = [piece for token in self.standard(text) for piece in self.pieces(token)]
        character = [i for i, c in enumerate(text) for _ in c.encode()]  # byte → character
        ranges, position = [], 0
        for token in ids:
            size = self.sizes[token]
            ranges.append((character[position], character[position + size - 1] + 1))
            position += size
        return ids, ranges

    def decode(self, ids: list[int]) -> str:
        """Text of tokens, special ones left out."""
        return str(self.tokenizer.decode([i for i in ids if i < FIRST_SPECIAL]))


def load_spelling(folder: Path, used_file: Path | None = None) -> Spelling:
    """Read the tokenizer of a model folder; ``used_file`` holds the trained ids."""
    packed = folder / "tokenizer.json.gz"
    text = (
        gzip.decompress(packed.read_bytes()).decode()
        if packed.exists()
        else (folder / "tokenizer.json").read_text()
    )
    model = json.loads(text)["model"]
    vocabulary: dict[str, int] = model["vocab"]
    parents: dict[int, tuple[int, int]] = {}
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        parents.setdefault(vocabulary[left + right], (vocabulary[left], vocabulary[right]))
    spelling = Spelling(Tokenizer.from_str(text), parents)
    spelling.sizes = {i: len(t) for t, i in vocabulary.items()}  # one character stands for one byte
    if used_file is not None:
        spelling.used = set(json.loads(used_file.read_text()))
    return spelling


def find_used(spelling: Spelling, seed: int = 0) -> set[int]:
    """Count tokens over random training sentences and keep those seen at least ``RARE`` times."""
    rng = random.Random(seed)
    counts: Counter[int] = Counter()
    for language in LANGUAGES:
        space = "" if language == "zh" else " "
        for _ in range(SENTENCES_A_LANGUAGE):
            for token in spelling.standard(space + sentence(language, rng)[0]):
                counts[token] += WEIGHT.get(language, 1)
    for token in sorted(spelling.parents, reverse=True):  # a token's parents have smaller ids
        if 0 < counts[token] < RARE:
            for parent in spelling.parents[token]:
                counts[parent] += counts[token]
            counts[token] = 0
    base = {i for i in spelling.sizes if i not in spelling.parents}
    starts = {t for t, (left, right) in spelling.parents.items() if left == 220 and right in base}
    special = {
        spelling.id(f"<|{name}|>")
        for name in ("endoftext", "startoftranscript", "transcribe", *LANGUAGES)
    }
    special |= {spelling.id(f"<|{name}|>") for name in ("nospeech", "startofprev", "notimestamps")}
    times = {spelling.id("<|0.00|>") + i for i in range(1501)}
    return (
        {t for t, n in counts.items() if n > 0 and t in spelling.sizes}
        | base
        | starts
        | special
        | times
    )
