"""Texts as tokens for scoring, the same for reference and hypothesis.

Unlike openai/whisper's ``BasicTextNormalizer`` this keeps combining marks, which are vowels in
Devanagari or Thai, and it rewrites no spellings or numbers, so no language has an advantage.
"""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHE = re.compile(r"(?<=[^\W_])['’ʼ](?=[^\W_])")
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b"  # radicals and iteration marks
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]"
)
_DOTTED_I = str.maketrans({"I": "ı", "İ": "i"})


def is_unspaced(char: str) -> bool:
    """Whether ``char`` is of a script written without spaces between words."""
    return _UNSPACED.match(char) is not None


def normalize(text: str, language: str) -> list[str]:
    """Tokens of ``text`` for error rates: words, and single characters of unspaced scripts.

    Compatibility forms are unified and case folded (NFKC around ``str.casefold``), apostrophes
    within a word and invisible characters removed, other punctuation and symbols taken for spaces.
    Characters of Han, kana, Thai, Lao, Khmer, Myanmar and Tibetan are tokens of their own, with
    their combining marks, and words of other scripts stay whole, which makes the error rate of
    mixed text the *mixed error rate* (SEAME: D. Lyu et al., Interspeech 2010). ``language`` decides
    how I and İ are folded (``tr`` and ``az`` have a dotless ı).
    """
    folded = _fold(text, turkic=language in ("tr", "az"))
    spaced = "".join(_kept(c) for c in _APOSTROPHE.sub("", folded))
    return [token for word in spaced.split() for token in _split(word)]


def _fold(text: str, *, turkic: bool) -> str:
    composed = unicodedata.normalize("NFKC", text)
    if turkic:
        composed = composed.translate(_DOTTED_I)
    # decomposed first: folding a composed character can leave marks in another order (D146)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", composed).casefold())


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] in "LNM":
        return char
    return "" if category == "Cf" else " "  # Cf: joiners, soft hyphens, direction marks


def _split(word: str) -> list[str]:
    tokens: list[str] = []
    apart = True  # the next character starts a token
    for char in word:
        unspaced = is_unspaced(char)
        if tokens and unicodedata.category(char)[0] == "M":
            tokens[-1] += char
        elif apart or unspaced:
            tokens.append(char)
            apart = unspaced
        else:
            tokens[-1] += char
    return tokens
