"""The transcriber under the name it had in the service this one replaces: re-exports only."""

from whisper_service.streaming.restart import SessionRestartTranscriber

__all__ = ["SessionRestartTranscriber"]
