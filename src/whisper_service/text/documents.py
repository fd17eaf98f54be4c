"""Transcripts and events as plain dictionaries, seconds instead of samples.

The document is OpenAI's ``verbose_json`` with languages and probabilities added; its shape is a
contract. What follows an event on the wire carries the same names.
"""

from __future__ import annotations

import math
from typing import Any

from whisper_service.events import (
    AudioSkipped,
    Committed,
    Event,
    Final,
    Lag,
    LanguageCandidate,
    LanguageDetected,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.text.languages import LANGUAGES
from whisper_service.types import Segment, Switch, Transcript, Word, to_seconds


def transcript_to_dict(transcript: Transcript) -> dict[str, Any]:
    """Build the ``json`` document: times in seconds, words without their leading space."""
    duration = to_seconds(transcript.duration)
    audio = transcript.audio
    return {
        "task": transcript.task,
        "duration": duration,
        "language": LANGUAGES.get(transcript.language, transcript.language),
        "languages": [{"code": code} for code in transcript.languages],
        "text": transcript.text,
        "words": [word_to_dict(w) for s in transcript.segments for w in s.words],
        "usage": {"type": "duration", "seconds": math.ceil(duration)},
        "segments": [segment_to_dict(s) for s in transcript.segments],
        "switches": [switch_to_dict(s) for s in transcript.switches],
        "gaps": [
            {"start": to_seconds(g.start), "end": to_seconds(g.end), "reason": g.reason}
            for g in transcript.gaps
        ],
        "audio": {
            name: to_seconds(getattr(audio, name))
            for name in ("received", "decoded", "skipped_silence", "dropped", "pending")
        },
        "model": transcript.model,
    }


def segment_to_dict(segment: Segment) -> dict[str, Any]:
    """Build a segment of the ``json`` document.

    ``text`` keeps its leading space, so that joined texts are the transcript. ``seek`` is there
    for clients that require it; it is 0, because windows do not lie on a grid of 30 s here.
    """
    return {
        "id": segment.id,
        "seek": 0,
        "start": to_seconds(segment.start),
        "end": to_seconds(segment.end),
        "text": segment.text,
        "language": segment.language,
        "language_probability": _number(segment.language_probability),
        "confidence": _number(segment.confidence),
        "avg_logprob": _number(segment.avg_logprob),
        "no_speech_prob": _number(segment.no_speech_prob),
        "compression_ratio": _number(segment.compression_ratio),
        "temperature": _number(segment.temperature),
        "tokens": list(segment.tokens),
        "words": [word_to_dict(w) for w in segment.words],
    }


def word_to_dict(word: Word) -> dict[str, Any]:
    """Build a word of the ``json`` document."""
    return {
        "word": word.text.strip(),
        "start": to_seconds(word.start),
        "end": to_seconds(word.end),
        "probability": _number(word.probability),
        "language": word.language,
    }


def event_to_dict(event: Event) -> dict[str, Any]:
    """Build the ``jsonl`` form of an event: its name as ``type``, times in seconds."""
    match event:
        case SpeechStarted(at=at):
            return {"type": "speech_started", "at": to_seconds(at)}
        case SpeechEnded(at=at):
            return {"type": "speech_ended", "at": to_seconds(at)}
        case Partial():
            return {
                "type": "partial",
                "committed": event.committed,
                "tentative": event.tentative,
                "language": event.language,
                "start": to_seconds(event.start),
                "end": to_seconds(event.end),
            }
        case Committed():
            return {
                "type": "committed",
                "text": event.text,
                "language": event.language,
                "words": [word_to_dict(w) for w in event.words],
            }
        case Final(segment=segment):
            return {"type": "final", **segment_to_dict(segment)}
        case AudioSkipped(start=start, end=end, reason=reason):
            times = {"start": to_seconds(start), "end": to_seconds(end)}
            return {"type": "audio_skipped", **times, "reason": reason}
        case Lag(samples=samples, at=at):
            return {"type": "lag", "seconds": to_seconds(samples), "at": to_seconds(at)}
        case _:
            return _language_event(event)


def _language_event(
    event: LanguageDetected | LanguageCandidate | LanguageSwitched,
) -> dict[str, Any]:
    probability = _number(event.probability)
    match event:
        case LanguageDetected(language=language, at=at):
            return {
                "type": "language_detected",
                "language": language,
                "probability": probability,
                "at": to_seconds(at),
            }
        case LanguageCandidate(language=candidate, since=since):
            return {
                "type": "language_candidate",
                "language": candidate,
                "probability": probability,
                "since": to_seconds(since),
            }
        case LanguageSwitched():
            return {
                "type": "language_switched",
                "from": event.old,
                "to": event.new,
                "at": to_seconds(event.at),
                "decided_at": to_seconds(event.decided_at),
                "probability": probability,
            }


def switch_to_dict(switch: Switch) -> dict[str, Any]:
    """Build a change of language of the ``json`` document."""
    return {"from": switch.old, "to": switch.new, "at": to_seconds(switch.at)}


def _number(value: float) -> float | None:
    """Round to four decimals; what JSON has no number for is null."""
    return round(value, 4) if math.isfinite(value) else None
