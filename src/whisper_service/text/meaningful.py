"""Whether a text says anything at all."""

from __future__ import annotations

import re

_ANY_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def is_meaningful(text: str) -> bool:
    r"""Whether ``text`` has a letter or digit of any script.

    Python's ``\w`` is ``str.isalnum()`` or the underscore, so this equals
    ``any(c.isalnum() for c in text)`` for every text: ideographs, syllables, fullwidth and
    superscript digits and number forms count; punctuation, symbols, emoji, underscores and
    combining marks on their own do not.
    """
    return _ANY_LETTER_OR_DIGIT.search(text) is not None
