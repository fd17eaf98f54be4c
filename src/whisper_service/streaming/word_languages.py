"""The language of each word, heard in the word's own span.

A word inserted from another language does not turn a session into that language; its text is still
decoded in the session's. But the word's own tag says what was heard there, so that readers, search
and text-to-speech can tell. The tag is set once, when the word is committed, and never changes
afterwards, like its text: the encoding that the word was decoded from is at hand then, so nothing
is encoded for it. One that also holds what follows is no better evidence
(``benchmarks/word_languages.py``), and at the end of a long segment it would have to be made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whisper_service.lid import LidFrame, LidSpan
from whisper_service.streaming.encodings import Encodings, Window
from whisper_service.types import FRAME, Word, to_samples

SURE = 0.98
"""Probability at which a word is in another language than its session.

Among all languages of the model, so that one which is not allowed speaks against it. A wrong tag is
worse than none, which leaves the session's language: on the dev split 0.9 tags one other word in
1,275 wrongly, 0.98 none, with two checkpoints (``benchmarks/word_languages.py``).
"""

SHORTEST = to_samples(0.3)  # a shorter span says too little about a single word


def word_languages(
    words: Sequence[Word],
    window: Window,
    *,
    encodings: Encodings,
    allowed: Sequence[str],
    languages: Sequence[str],
) -> list[Word]:
    """``words``, decoded from ``window``, each in the language of its own span.

    A word keeps the language it comes with, its session's, unless an ``allowed`` one reaches
    :data:`SURE`. ``languages``: the model's, the columns of a frame. Other names in ``allowed``
    are passed over. All spans are read off the window's encoding in one call.
    """
    columns = {code: languages.index(code) for code in allowed if code in languages}
    if not words or len(columns) < 2:
        return list(words)
    spans = [widened(word.start, word.end, window) for word in words]
    frames = encodings.shared_frames(window, spans)
    return [_tagged(w, f, columns) for w, f in zip(words, frames, strict=True)]


def widened(start: int, end: int, window: Window) -> LidSpan:
    """A word's samples, widened evenly to what says something about a language."""
    missing = max(0, SHORTEST - (end - start))
    start = max(window.start, start - missing // 2)
    end = min(window.end, end + missing - missing // 2)
    return LidSpan(start=start, end=max(start + FRAME, end))


def _tagged(word: Word, frame: LidFrame, columns: dict[str, int]) -> Word:
    best = max(columns, key=lambda code: float(frame.probabilities[columns[code]]))
    if best == word.language or frame.probabilities[columns[best]] < SURE:
        return word
    return replace(word, language=best)
