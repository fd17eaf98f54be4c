"""The figures of the demo model, measured with this project's own engine and pipeline."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.noise import colored_noise
from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.engine.base import DecodeRequest, Engine, Span
from whisper_service.evaluation.corpus import LANGUAGES, Clip
from whisper_service.evaluation.wer import Errors, align, errors
from whisper_service.features import log_mel
from whisper_service.streaming.offline import transcribe
from whisper_service.text.normalize import normalize
from whisper_service.types import SAMPLE_RATE, FloatArray, Transcript

OFFLINE = StreamOptions(mode="offline", language=LanguageOptions(languages=LANGUAGES))


@dataclass(frozen=True)
class Result:
    """A clip and what the pipeline made of it."""

    clip: Clip
    transcript: Transcript


def run(engine: Engine, clips: Iterable[Clip]) -> list[Result]:
    """Transcribe clips in offline mode."""
    return [Result(clip, transcribe(engine, [clip.samples], OFFLINE)) for clip in clips]


def word_errors(results: Sequence[Result]) -> Errors:
    """Word errors (characters in Chinese) of all results together."""
    total = Errors()
    for r in results:
        total += errors(r.clip.text, r.transcript.text, r.clip.language)
    return total


def language_right(results: Sequence[Result]) -> float:
    """Share of clips whose main language was found."""
    return sum(r.transcript.language == r.clip.language for r in results) / max(1, len(results))


def start_errors(results: Sequence[Result]) -> list[float]:
    """|heard start - true start| [s] of every word that was recognized."""
    found = []
    for r in results:
        spoken = [(token, w.start) for w in r.clip.words for token in _tokens(w.text, r.clip)]
        heard = [
            (token, w.start)
            for segment in r.transcript.segments
            for w in segment.words
            for token in _tokens(w.text, r.clip)
        ]
        steps = align([t for t, _ in spoken], [t for t, _ in heard])
        pairs = [(s.reference, s.hypothesis) for s in steps if s.operation == "equal"]
        found += [
            abs(heard[j][1] - spoken[i][1]) / SAMPLE_RATE
            for i, j in pairs
            if i is not None and j is not None
        ]
    return found


def spans_right(engine: Engine, clips: Sequence[Clip], seconds: float, *, alone: bool) -> float:
    """Share of random spans of speech whose language is right, among the five.

    A span is read off the clip's encoding, or encoded by itself (``alone``).
    """
    rng = random.Random(7)
    columns = [engine.languages.index(code) for code in LANGUAGES]
    right = asked = 0
    for clip in clips:
        first, last = clip.words[0].start, clip.words[-1].end
        length = round(seconds * SAMPLE_RATE)
        if last - first < length:
            continue
        start = rng.randrange(first, last - length + 1) // 320 * 320
        if alone:
            encoded = engine.encode([log_mel(clip.samples[start : start + length])])[0]
            span = Span(encoded, 0, encoded.frames)
        else:
            encoded = engine.encode([log_mel(_even(clip.samples))])[0]
            span = Span(encoded, start // 320, (start + length) // 320)
        probabilities = engine.language_probabilities([span])[0, columns]
        right += LANGUAGES[int(probabilities.argmax())] == clip.language
        asked += 1
    return right / max(1, asked)


def invented_when_cut(engine: Engine, clips: Sequence[Clip], *, at_start: bool) -> float:
    """Words inserted, as a share of those heard in full, when a clip is cut at a random sample.

    The window is decoded as it is, with the right language and no prefix. The word at the cut
    itself is nobody's error: it may be written or left out.
    """
    rng, total = random.Random(11), Errors()
    for clip in clips:
        first, last = clip.words[0].start, clip.words[-1].end
        cut = rng.randrange(first + (last - first) // 4, last) // 320 * 320
        part = clip.samples[cut:] if at_start else clip.samples[:cut]
        words = [w for w in clip.words if (w.end > cut if at_start else w.start < cut)]
        heard = [w for w in clip.words if (w.start >= cut if at_start else w.end <= cut)]
        encoded = engine.encode([log_mel(_even(part))])[0]
        answer = engine.decode([DecodeRequest(encoded=encoded, language=clip.language)])[0]
        space = "" if clip.language == "zh" else " "
        said = space.join(w.text for w in words)
        found = errors(said, engine.tokenizer.decode(answer.tokens), clip.language)
        total += replace(found, reference=len(heard))
    return total.insertions / max(1, total.reference)


def words_on_noise(engine: Engine, minutes: float) -> int:
    """Words written on silence and stationary noises (white, pink, brown) of ``minutes`` in all."""
    generator = np.random.default_rng(3)
    seconds = minutes * 60 / 4
    words = 0
    for slope, level in ((0.0, 0.0), (0.0, 0.02), (1.0, 0.05), (2.0, 0.1)):
        samples = colored_noise(seconds, slope, generator) * np.float32(level)
        words += _count(transcribe(engine, _chunks(samples), OFFLINE))
    return words


def words_on_babble(
    engine: Engine, clips: Sequence[Clip], minutes: float, talkers: int = 6
) -> float:
    """Words written a minute on the sum of several talkers who never pause."""
    rng = random.Random(5)
    n = round(minutes * 60 * SAMPLE_RATE)
    total = np.zeros(n, np.float32)
    for _ in range(talkers):
        position = 0
        while position < n:
            speech = rng.choice(clips).samples[: n - position]
            total[position : position + len(speech)] += speech / talkers
            position += len(speech)
    return _count(transcribe(engine, _chunks(total), OFFLINE)) / minutes


def _count(transcript: Transcript) -> int:
    return sum(len(normalize(s.text, s.language)) for s in transcript.segments)


def _tokens(text: str, clip: Clip) -> list[str]:
    return normalize(text, clip.language)


def _even(samples: FloatArray) -> FloatArray:
    return samples[: max(640, len(samples) // 320 * 320)]


def _chunks(samples: FloatArray) -> list[FloatArray]:
    return [samples[i : i + SAMPLE_RATE] for i in range(0, len(samples), SAMPLE_RATE)]
