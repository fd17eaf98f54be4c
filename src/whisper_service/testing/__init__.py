"""Fakes to test with: an engine that hears tones, a clock that stands still, tones to say.

They ship with the package so that programs built on it can be tested without a model::

    engine = ScriptedEngine()
    samples = utterance([("hello", 0.4), ("world", 0.4), (None, 1.0), ("hola", 0.4)])
"""

from whisper_service.testing.audio import EnergyVad, SpokenWord, utterance, word_times
from whisper_service.testing.clock import ManualClock
from whisper_service.testing.posteriors import PosteriorSimulator, Turn
from whisper_service.testing.scripted_engine import ScriptedEngine
from whisper_service.testing.tones import VOCABULARY, silence, tone

__all__ = [
    "VOCABULARY",
    "EnergyVad",
    "ManualClock",
    "PosteriorSimulator",
    "ScriptedEngine",
    "SpokenWord",
    "Turn",
    "silence",
    "tone",
    "utterance",
    "word_times",
]
