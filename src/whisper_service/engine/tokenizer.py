"""Tokens to text, text to tokens, and tokens to words, for one checkpoint.

Whisper's vocabulary is byte-level BPE: each token stands for bytes, and a character may be spread
over several tokens. Decoding joins the bytes here; only encoding (prompts) loads the ``tokenizers``
library, which costs 40 MB of memory and several times the start-up.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from whisper_service.errors import ModelFormatError
from whisper_service.models.checkpoint import Checkpoint
from whisper_service.models.generation import special_tokens
from whisper_service.text.languages import NO_SPACE

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BpeTokenizer

REPLACEMENT = "\ufffd"
_OPENING = frozenset("\"'¿¡-")  # with a space before them, they open; brackets go by category

Unit = tuple[str, list[int]]


def _byte_values() -> dict[int, int]:
    """Code point of each character in a vocabulary file -> the byte it stands for.

    GPT-2 writes printable Latin-1 bytes as themselves and the others from U+0100 on
    (``bytes_to_unicode`` in openai/gpt-2 ``src/encoder.py``).
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [b for b in range(256) if b not in printable]
    return {**{b: b for b in printable}, **{0x100 + i: b for i, b in enumerate(others)}}


_BYTES = _byte_values()


class WhisperTokenizer:
    """The tokenizer of a checkpoint (``engine.base.Tokenizer``); holds no state of a stream."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        data = checkpoint.tokenizer_json()
        self._vocabulary = _vocabulary(data)
        self._special = frozenset(special_tokens(data).values())
        self._timestamp_begin = checkpoint.generation.timestamp_begin
        self._bytes: dict[int, bytes] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that have a token, in the order of their ids."""
        return tuple(self._checkpoint.generation.languages)

    def encode(self, text: str) -> list[int]:
        """Text tokens of ``text``; special tokens are never produced, however it is spelled."""
        ids = self._bpe.encode(text, add_special_tokens=False).ids
        return [i for i in ids if not self._is_special(i)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of ``tokens``; special and timestamp tokens are left out.

        Bytes that are not UTF-8 are left out too, but a character that is cut off at the end
        shows as one U+FFFD.
        """
        return "".join(text for text, _ in self._characters(tokens))

    def split_words(self, tokens: Sequence[int], language: str) -> list[tuple[str, list[int]]]:
        """Words as ``(text, their tokens)``, after openai/whisper ``split_to_word_tokens``.

        Texts joined are ``decode(tokens)``; tokens joined are the text tokens. A word keeps its
        leading space; in languages without spaces each token that begins a new character is a
        word (some tokens hold several). Punctuation joins the word before it, opening punctuation
        the next. Only the last text may hold U+FFFD: its character is not complete yet.
        """
        starts_word = _starts_character if language in NO_SPACE else _starts_with_space
        words: list[Unit] = []
        for text, ids in self._characters(tokens):
            if words and not _begins(words[-1][0], text, starts_word(words[-1][0], text)):
                words[-1] = (words[-1][0] + text, words[-1][1] + ids)
            else:
                words.append((text, ids))
        return words

    def _characters(self, tokens: Sequence[int]) -> Iterator[Unit]:
        """Yield the shortest runs of text tokens that end with a complete character."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, ids = "", list[int]()
        for token in tokens:
            if self._is_special(token):
                continue
            text += decoder.decode(self._token_bytes(token)).replace(REPLACEMENT, "")
            ids.append(token)
            if text and not decoder.getstate()[0]:
                yield text, ids
                text, ids = "", []
        if ids:
            yield text + (REPLACEMENT if decoder.getstate()[0] else ""), ids

    def _token_bytes(self, token: int) -> bytes:
        if (known := self._bytes.get(token)) is None:
            written = self._vocabulary.get(token, "")
            known = written.translate(_BYTES).encode("latin-1")
            self._bytes[token] = known
        return known

    def _is_special(self, token: int) -> bool:
        return token >= self._timestamp_begin or token in self._special

    @cached_property
    def _bpe(self) -> BpeTokenizer:
        from tokenizers import Tokenizer as BpeTokenizer

        bpe = BpeTokenizer.from_buffer(self._checkpoint.tokenizer_json())
        bpe.encode_special_tokens = True  # "<|en|>" in a prompt is text like any other
        return bpe


def _vocabulary(tokenizer_json: bytes) -> dict[int, str]:
    text = tokenizer_json.decode("utf-8")
    key = re.search(r'"vocab"\s*:\s*(?=\{)', text)
    if key is None:
        raise ModelFormatError("tokenizer.json has no byte-level BPE vocabulary; fetch it again")
    entries, _ = json.JSONDecoder().raw_decode(text, key.end())
    return {token: written for written, token in entries.items()}


def _begins(before: str, text: str, starts_word: bool) -> bool:
    """Whether ``text`` begins a new word, given that its script would begin one here."""
    if not starts_word or _is_opening(before):
        return False
    return not _is_punctuation(text) or _is_opening(text)


def _starts_with_space(_before: str, text: str) -> bool:
    return text[:1].isspace()


def _starts_character(before: str, text: str) -> bool:
    """Whether a character begins that may stand alone: no combining mark, no Latin run."""
    first = text[:1]
    if first.isspace():
        return True
    if not first or unicodedata.category(first).startswith("M"):
        return False
    return not (_in_spaced_script(before[-1:]) and _in_spaced_script(first))


def _in_spaced_script(character: str) -> bool:
    """Letters and digits that form words within Chinese or Thai text: Latin, Greek, Cyrillic."""
    return character.isalnum() and character < "\u0590"


def _is_punctuation(text: str) -> bool:
    stripped = text.strip()
    return bool(stripped) and all(unicodedata.category(c).startswith("P") for c in stripped)


def _is_opening(text: str) -> bool:
    """Punctuation that belongs to what follows: a bracket, or a quote or dash after a space."""
    if not _is_punctuation(text):
        return False
    last = text.strip()[-1]
    return unicodedata.category(last) in {"Ps", "Pi"} or (text[0].isspace() and last in _OPENING)
