"""Real-time multilingual speech-to-text with Whisper, through changes of language.

Three lines::

    from whisper_service import SessionRestartTranscriber
    transcriber = SessionRestartTranscriber("demo", target_languages=["en", "fr"])
    print(transcriber.process(samples)["text"])

Importing this package is cheap: each public name loads its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from whisper_service.audio.decode import load_audio as load_audio
    from whisper_service.audio.ring_buffer import RingBuffer as RingBuffer
    from whisper_service.config import DecodeOptions as DecodeOptions
    from whisper_service.config import LanguageOptions as LanguageOptions
    from whisper_service.config import StreamOptions as StreamOptions
    from whisper_service.config import VadOptions as VadOptions
    from whisper_service.engine.base import Engine as Engine
    from whisper_service.engine.by_name import load_model as load_model
    from whisper_service.engine.encoder_cache import EncoderCache as EncoderCache
    from whisper_service.engine.load import load_engine as load_engine
    from whisper_service.errors import WhisperServiceError as WhisperServiceError
    from whisper_service.metrics import PerformanceMetrics as PerformanceMetrics
    from whisper_service.streaming.aio import AsyncStream as AsyncStream
    from whisper_service.streaming.offline import transcribe as transcribe
    from whisper_service.streaming.restart import (
        SessionRestartTranscriber as SessionRestartTranscriber,
    )
    from whisper_service.streaming.transcriber import StreamTranscriber as StreamTranscriber
    from whisper_service.text.meaningful import is_meaningful as is_meaningful
    from whisper_service.types import Segment as Segment
    from whisper_service.types import Transcript as Transcript
    from whisper_service.types import Word as Word

_HOMES = {
    "AsyncStream": "streaming.aio",
    "DecodeOptions": "config",
    "EncoderCache": "engine.encoder_cache",
    "Engine": "engine.base",
    "LanguageOptions": "config",
    "PerformanceMetrics": "metrics",
    "RingBuffer": "audio.ring_buffer",
    "Segment": "types",
    "SessionRestartTranscriber": "streaming.restart",
    "StreamOptions": "config",
    "StreamTranscriber": "streaming.transcriber",
    "Transcript": "types",
    "VadOptions": "config",
    "WhisperServiceError": "errors",
    "Word": "types",
    "is_meaningful": "text.meaningful",
    "load_audio": "audio.decode",
    "load_engine": "engine.load",
    "load_model": "engine.by_name",
    "transcribe": "streaming.offline",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
