"""The tokenizer of :class:`~whisper_service.testing.scripted_engine.ScriptedEngine`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from whisper_service.text.normalize import is_unspaced

LONG_WORD = 8
"""Words of this many letters take two tokens."""

_BYTES = 256  # ids below are single bytes, so that any text can be encoded


class ScriptedTokenizer:
    """A small byte-level vocabulary with the traps of a real one.

    A word is one token with its leading space; long words are two; a character of a script
    without spaces is two tokens that split its bytes. It implements
    :class:`whisper_service.engine.base.Tokenizer`.
    """

    def __init__(self, words: Iterable[str], languages: Sequence[str]) -> None:
        self._languages = tuple(languages)
        pieces = dict.fromkeys(piece for word in words for piece in word_pieces(word))
        self._pieces = [bytes([i]) for i in range(_BYTES)] + list(pieces)
        self._ids = {piece: index for index, piece in enumerate(self._pieces)}
        self._longest = max(map(len, self._pieces))

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    def encode(self, text: str) -> list[int]:
        """Longest pieces first; what the vocabulary lacks becomes single bytes."""
        data, tokens, at = text.encode(), [], 0
        while at < len(data):
            size = next(n for n in range(self._longest, 0, -1) if data[at : at + n] in self._ids)
            piece = data[at : at + size]
            tokens.append(self._ids[piece])
            at += len(piece)
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(self._pieces[token] for token in tokens).decode(errors="replace")

    def split_words(self, tokens: Sequence[int], language: str) -> list[tuple[str, list[int]]]:  # noqa: ARG002
        """Words start with a space; characters of unspaced scripts stand alone.

        The language is not needed: the script of each character decides.
        """
        words: list[tuple[str, list[int]]] = []
        held: list[int] = []
        for token in tokens:
            held.append(token)
            text = self.decode(held)
            if "\ufffd" in text:
                continue
            if words and not (text.startswith(" ") or is_unspaced(text[0])):
                before, its_tokens = words[-1]
                words[-1] = (before + text, its_tokens + held)
            else:
                words.append((text, held))
            held = []
        if held:
            words.append((self.decode(held), held))
        return words

    def word_tokens(self, word: str) -> list[int]:
        """Tokens of a word as the engine writes it."""
        return [self._ids[piece] for piece in word_pieces(word)]


def word_pieces(word: str) -> list[bytes]:
    """Byte strings of a word's tokens."""
    if is_unspaced(word[0]):
        encoded = [character.encode() for character in word]
        return [part for data in encoded for part in (data[:2], data[2:]) if part]
    if len(word) >= LONG_WORD:
        middle = len(word) // 2
        return [f" {word[:middle]}".encode(), word[middle:].encode()]
    return [f" {word}".encode()]
