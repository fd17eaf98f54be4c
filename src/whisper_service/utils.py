"""The parts under the name they had in the service this one replaces: re-exports only."""

from whisper_service.audio.ring_buffer import RingBuffer
from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.metrics import PerformanceMetrics
from whisper_service.text.meaningful import is_meaningful

__all__ = ["EncoderCache", "PerformanceMetrics", "RingBuffer", "is_meaningful"]
