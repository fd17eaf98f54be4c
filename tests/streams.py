"""Streams over the shipped fakes, for the tests of the streaming part."""

import numpy as np

from whisper_service.config import DecodeOptions, LanguageOptions, StreamOptions
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Final,
    Lag,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine

ENGINE = ScriptedEngine()


def options(*languages, mode="fast", decode=None, **more):
    policy = ("auto_lock", "forced", "code_switch")[min(2, len(languages))]
    return StreamOptions(
        mode=mode,
        language=LanguageOptions(policy=policy, languages=languages),
        decode=decode or DecodeOptions(),
        **more,
    )


def stream(opts, **more):
    return StreamTranscriber(ENGINE, opts, detector=EnergyVad(), **more)


def run(samples, opts, *, cuts=None):
    """Feed ``samples`` cut at ``cuts``; returns ``(stream, events)``."""
    transcriber = stream(opts)
    events = []
    for piece in np.split(samples, cuts if cuts is not None else []):
        events += transcriber.feed(piece)
    events += transcriber.finish()
    return transcriber, events


def committed(events):
    return "".join(e.text for e in events if isinstance(e, Committed))


def finals(events):
    return [e.segment for e in events if isinstance(e, Final)]


def pieces(events):
    """Where speech went: segments and gaps in the order they were told of."""
    told = [e for e in events if isinstance(e, Final | AudioSkipped)]
    return [e.segment if isinstance(e, Final) else e for e in told]


def utterances(events):
    """``(start, end)`` of each stretch of speech."""
    starts = [e.at for e in events if isinstance(e, SpeechStarted)]
    return zip(starts, [e.at for e in events if isinstance(e, SpeechEnded)], strict=True)


def without_lag(events):
    """Events that must not depend on how audio was cut (how much had arrived may)."""
    return [e for e in events if not isinstance(e, Lag)]
