"""First measure, then choose: from which probability on is a word in another language?

    .venv/bin/python benchmarks/word_languages.py [--count 40] [--split dev] [--json]

The product transcribes sentences with one inserted word, sentences of one language, and changes at
pauses and without one. Every committed word is heard in its own span, in the encoding it was
decoded from, and in one that also holds what follows. For each threshold: how many words inserted
into a session of another language are told, how many of those lie among LID frames that had no
doubt (the product does not hear such words again), and how many other words are tagged wrongly
although their session's language is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from common import provenance, recordings_parser, report, table

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine, Span
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.baselines import PRODUCT
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.replay import replay
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Suite, build
from whisper_service.features import log_mel
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.listening import LanguageListener
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.streaming.word_languages import widened
from whisper_service.types import FRAME, FloatArray, Word, to_samples

SUITES: tuple[Suite, ...] = ("insertions", "accuracy", "switches-pause", "switches-no-pause")
THRESHOLDS = (0.8, 0.9, 0.95, 0.98, 0.99)
CONTEXT = to_samples(10.0)
EVIDENCE = ("when committed", "with what follows")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A committed word with the probabilities ``[languages]`` of its span, by evidence."""

    session: str
    truth: str
    inserted: bool
    allowed: tuple[str, ...]
    doubted: bool  # by a LID frame around the word
    probabilities: dict[str, FloatArray]


def main() -> None:
    parser = recordings_parser("From which probability on a word is in another language.", count=40)
    arguments = parser.parse_args()
    engine = load_model(arguments.model, threads=1)
    plan, store = Plan(split=arguments.split, count=arguments.count), RecordingStore()
    recordings = [r for suite in SUITES for r in build(suite, plan, store=store)]
    words = [word for recording in recordings for word in heard(engine, recording)]
    rows = [
        (evidence, threshold, *counts(words, evidence, threshold, engine.languages))
        for evidence in EVIDENCE
        for threshold in THRESHOLDS
    ]
    header = (
        "evidence",
        "from",
        "inserted words told",
        "of them undoubted",
        "of",
        "others tagged wrongly",
        "of",
    )
    doubted = f"{sum(word.doubted for word in words) / max(1, len(words)):.0%} doubted"
    facts = {
        **provenance(),
        "model": engine.name,
        "split": arguments.split,
        "words": f"{len(words)}, {doubted}",
    }
    names = ("evidence", "from", "told", "undoubted", "inserted", "wrong", "others")
    data = [dict(zip(names, row, strict=True)) for row in rows]
    report("Languages of words", facts, table(rows, header), data)


def heard(engine: Engine, recording: Recording) -> list[Heard]:
    """Every word that the product commits of a recording."""
    found: list[Heard] = []

    def make(engine: Engine, options: StreamOptions) -> StreamTranscriber:
        stream = StreamTranscriber(engine, options)
        listener = stream.utterances._listener
        note = partial(listen, engine, recording, found, listener)
        publish: Callable[..., None] = stream.utterances._publish

        def noting(words: list[Word], proposal: Any, *, language: str) -> None:
            note(words, proposal.window, language)
            publish(words, proposal, language=language)

        stream.utterances._publish = noting  # type: ignore[method-assign]
        return stream

    replay(engine, recording.samples, PRODUCT.options(recording), make=make)
    return found


def listen(
    engine: Engine,
    recording: Recording,
    found: list[Heard],
    listener: LanguageListener,
    words: Sequence[Word],
    window: Window,
    language: str,
) -> None:
    """Add ``words``, about to be committed from ``window``."""
    if not words:
        return
    end = min(window.start + CONTEXT, len(recording.samples))
    later = engine.encode([log_mel(recording.samples[window.start : end], engine.n_mels)])[0]
    for word in words:
        span = widened(word.start, word.end, window)
        first, last = window.frame(span.start), window.frame(span.end)
        first = min(first, window.encoded.frames - 1)
        last = max(first + 1, last)
        spans = [Span(window.encoded, first, last), Span(later, first, min(last, later.frames))]
        rows = engine.language_probabilities(spans)
        found.append(
            Heard(
                session=language,
                truth=recording.language_at((word.start + word.end) // 2),
                inserted=is_inserted(word, recording),
                allowed=recording.languages,
                doubted=not listener.beyond_doubt(word),
                probabilities=dict(zip(EVIDENCE, rows, strict=True)),
            )
        )


def is_inserted(word: Word, recording: Recording) -> bool:
    """Whether at least half of the shorter one, the word or an inserted one, is in the other."""
    end = max(word.end, word.start + FRAME)
    return any(
        2 * (min(end, i.end) - max(word.start, i.start)) > min(end - word.start, i.end - i.start)
        for i in recording.inserted
    )


def counts(
    words: Sequence[Heard], evidence: str, threshold: float, languages: Sequence[str]
) -> tuple[int, int, int, int, int]:
    """Inserted words told, undoubted and in all; other words tagged wrongly and in all."""
    inserted = [w for w in words if w.inserted and w.session != w.truth]
    others = [w for w in words if not w.inserted and w.session == w.truth]

    def tag(word: Heard) -> str:
        row = word.probabilities[evidence]
        sure, best = max((float(row[languages.index(code)]), code) for code in word.allowed)
        return best if sure >= threshold else word.session

    told = [w for w in inserted if tag(w) == w.truth]
    undoubted = sum(not w.doubted for w in told)
    wrong = sum(tag(w) != w.session for w in others)
    return len(told), undoubted, len(inserted), wrong, len(others)


if __name__ == "__main__":
    main()
