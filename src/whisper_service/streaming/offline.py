"""A whole recording through the same pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.events import Event
from whisper_service.streaming.front_end import SpeechDetector
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import FloatArray, Transcript


def transcribe(
    engine: Engine,
    chunks: Iterable[FloatArray],
    options: StreamOptions | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    progress: Callable[[int], None] | None = None,
    detector: SpeechDetector | None = None,
) -> Transcript:
    """Transcribe ``chunks`` (float32 mono at 16 kHz, of any lengths) to the end.

    ``options.mode`` is ``"offline"`` when no options are given: each utterance is decoded once,
    whole. ``on_event`` sees every event as it happens; ``progress`` is told the samples done.

    Raises:
        InvalidAudioError: samples that cannot be audio.
        InvalidOptionError: a language or task the model does not have.

    """
    stream = StreamTranscriber(engine, options or StreamOptions(mode="offline"), detector=detector)

    def pass_on(events: list[Event]) -> None:
        for event in events if on_event else ():
            assert on_event is not None
            on_event(event)

    for chunk in chunks:
        pass_on(stream.feed(chunk))
        if progress:
            progress(stream.account.received)
    pass_on(stream.finish())
    return stream.transcript()
