"""``SessionRestartTranscriber``: chunks in, one dictionary of always the same keys out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from whisper_service.audio.resampler import Resampler
from whisper_service.config import (
    CommitPolicyName,
    DecodeOptions,
    LanguageOptions,
    StreamOptions,
    VadOptions,
)
from whisper_service.engine.base import Engine
from whisper_service.engine.by_name import load_model
from whisper_service.engine.load import ComputeType
from whisper_service.errors import InvalidOptionError, StreamClosedError
from whisper_service.events import (
    Committed,
    Event,
    Final,
    LanguageCandidate,
    LanguageSwitched,
    Partial,
)
from whisper_service.streaming.exposition import exposition
from whisper_service.streaming.front_end import SpeechDetector
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.text.languages import resolve_language
from whisper_service.text.meaningful import is_meaningful
from whisper_service.types import (
    SAMPLE_RATE,
    FloatArray,
    LanguagePolicy,
    Mode,
    Segment,
    Task,
    to_seconds,
)


class SessionRestartTranscriber:
    """Streaming transcription that restarts the Whisper session when the language changes.

    VAD → LID at 10 Hz → smoothing → sustained change → a new session in the new language from
    the first sample it was spoken in. A session is a few tokens and positions: the model is
    loaded once, or shared by passing ``engine``.

    Args:
        model_path: a model name (``"demo"``, ``"base"``, ``"openai/whisper-base"``) or a folder.
        models_dir: where fetched models are kept; the Hugging Face cache when ``None``.
        target_languages: codes or names. None: detected once and kept; one: forced; two or
            more: followed through changes (``language_policy`` overrides this).
        online_chunk_size: seconds of new speech between two updates.
        vad_threshold: speech probability at which speech starts.
        sampling_rate: Hz of the chunks given to :meth:`process`; resampled to 16 kHz.
        lid_hop_ms: milliseconds between two language identification frames.
        confidence_margin: ``P(new) - P(old)`` that a change of language needs.
        min_dwell_frames: LID frames a change must hold.
        min_dwell_ms: milliseconds a change must hold.
        decoder_type: ``"greedy"`` or ``"beam"``.
        beam_size: hypotheses kept by the beam decoder.

    Raises:
        ModelNotFoundError: no such model here, and it could not be fetched.
        InvalidOptionError: an option, language or task that cannot work.

    """

    def __init__(
        self,
        model_path: str | Path = "demo",
        models_dir: str | Path | None = None,
        target_languages: Sequence[str] | None = None,
        *,
        online_chunk_size: float = 0.5,
        vad_threshold: float = 0.5,
        sampling_rate: int = SAMPLE_RATE,
        lid_hop_ms: int = 100,
        confidence_margin: float = 0.2,
        min_dwell_frames: int = 6,
        min_dwell_ms: int = 250,
        decoder_type: Literal["greedy", "beam"] = "greedy",
        beam_size: int = 5,
        language_policy: Literal["forced", "auto_lock", "code_switch"] | None = None,
        policy: CommitPolicyName = "align_att",
        task: Task = "transcribe",
        mode: Mode = "live",
        use_vad: bool = True,
        use_cache: bool = True,
        enable_metrics: bool = True,
        compute_type: ComputeType = "auto",
        threads: int | None = None,
        prompt: str = "",
        clock: Callable[[], float] | None = time.monotonic,
        engine: Engine | None = None,
        detector: SpeechDetector | None = None,
    ) -> None:
        if decoder_type not in ("greedy", "beam"):
            raise InvalidOptionError("decoder_type must be 'greedy' or 'beam'")
        languages = tuple(resolve_language(name) for name in target_languages or ())
        self.engine = engine or load_model(
            str(model_path), models_dir=models_dir, compute_type=compute_type, threads=threads
        )
        self.sampling_rate = sampling_rate
        self._clock = clock
        self._detector = detector
        self.options = StreamOptions(
            mode=mode,
            online_chunk_size=online_chunk_size,
            vad=VadOptions(
                enabled=use_vad, onset=vad_threshold, offset=max(0.01, vad_threshold - 0.15)
            ),
            language=LanguageOptions(
                policy=language_policy or default_policy(languages),
                languages=languages,
                hop=lid_hop_ms / 1000,
                confidence_margin=confidence_margin,
                min_dwell_frames=min_dwell_frames,
                min_dwell=min_dwell_ms / 1000,
            ),
            decode=DecodeOptions(
                task=task,
                beam_size=beam_size if decoder_type == "beam" else 1,
                policy=policy,
                prompt=prompt,
            ),
            metrics=enable_metrics,
            cache=use_cache,
        )
        self.reset()

    def reset(self) -> None:
        """Forget the stream and start another one; the model stays loaded.

        A detector passed in is used again and must have been reset by its owner.
        """
        self.stream = StreamTranscriber(
            self.engine, self.options, clock=self._clock, detector=self._detector
        )
        self._resampler = Resampler(self.sampling_rate)
        self._chunk_id = 0
        self._chunks_since_output = 0
        self._candidate: str | None = None

    # typed events

    def feed(self, chunk: FloatArray) -> list[Event]:
        """Take in ``chunk`` (mono, ``sampling_rate``) and return the events it brought.

        Float samples lie in [-1, 1]; int16, int32 and uint8 are scaled.

        Raises:
            InvalidAudioError: more than one channel, or values that cannot be samples.
            StreamClosedError: after :meth:`finish`.
        """
        if self.stream.finished:
            raise StreamClosedError("this stream has ended; call reset() to start another one")
        samples = self._resampler.feed(np.asarray(chunk))
        self.stream.front.invalid_samples = self._resampler.state.invalid_samples
        return self.stream.feed(samples)

    def finish(self) -> list[Event]:
        """End the stream and return its last events."""
        if self.stream.finished:
            raise StreamClosedError("this stream has ended; call reset() to start another one")
        events = self.stream.feed(self._resampler.finish())
        return events + self.stream.finish()

    # dictionaries

    def process(self, chunk: FloatArray) -> dict[str, Any]:
        """Take in ``chunk`` and say what is new.

        ``text`` is what this call committed (joined over all calls it is the transcript),
        ``segments`` the segments this call completed, ``is_final`` whether there were any.
        """
        return self._fold(self.feed(chunk))

    def finalize(self) -> dict[str, Any]:
        """End the stream; the same dictionary as :meth:`process`, for what was left."""
        return self._fold(self.finish())

    @property
    def segments(self) -> list[dict[str, Any]]:
        """All segments completed so far."""
        return [segment_to_dict(s) for s in self.stream.segments]

    def set_language_policy(self, policy: LanguagePolicy, languages: Sequence[str] = ()) -> None:
        """Change how the language is followed, from the next update on.

        Raises ``InvalidOptionError`` for a policy or language that is not known.
        """
        self.stream.set_language_policy(policy, languages)

    def get_statistics(self) -> dict[str, Any]:
        """Percentiles of every stage, cache, languages, sessions, switches and audio."""
        return self.stream.get_statistics()

    def get_performance_summary(self) -> str:
        """The stages' percentiles as a table that a person reads."""
        return self.stream.get_performance_summary()

    def export_prometheus_metrics(self) -> str:
        """All statistics in the Prometheus text format."""
        return exposition(self.stream)

    def _fold(self, events: list[Event]) -> dict[str, Any]:
        text = "".join(e.text for e in events if isinstance(e, Committed))
        finals = [segment_to_dict(e.segment) for e in events if isinstance(e, Final)]
        for event in events:
            if isinstance(event, LanguageCandidate):
                self._candidate = event.language
        said = is_meaningful(text) or any(isinstance(e, Partial) for e in events)
        chunk_id = self._chunk_id
        self._chunk_id += 1
        self._chunks_since_output = 0 if is_meaningful(text) else self._chunks_since_output + 1
        return {
            "text": text,
            "language": finals[-1]["language"] if finals else self.stream.language,
            "is_final": bool(finals),
            "segments": finals,
            "switch_detected": any(isinstance(e, LanguageSwitched) for e in events),
            "current_language": self.stream.language,
            "candidate_language": self._candidate,
            "statistics": self._counters(),
            "chunk_id": chunk_id,
            "chunks_since_output": self._chunks_since_output,
            "silence_detected": not said and not self.stream.utterances.is_open,
        }

    def _counters(self) -> dict[str, Any]:
        """What changes with every chunk and costs nothing to say; percentiles are asked for."""
        account = self.stream.account
        return {
            "received_seconds": to_seconds(account.received),
            "pending_seconds": to_seconds(account.pending),
            "segments": self.stream.utterances.segments.next_id,
            "sessions": self.stream.utterances.sessions,
            "switches": self.stream.utterances.news.switched,
        }


def default_policy(
    languages: Sequence[str],
) -> Literal["forced", "auto_lock", "code_switch"]:
    """None named: decide once; one: that one; more: follow the changes between them."""
    if not languages:
        return "auto_lock"
    return "forced" if len(languages) == 1 else "code_switch"


def segment_to_dict(segment: Segment) -> dict[str, Any]:
    """A segment as :meth:`SessionRestartTranscriber.process` returns it; times in seconds."""
    return {
        "id": segment.id,
        "start": to_seconds(segment.start),
        "end": to_seconds(segment.end),
        "text": segment.text.strip(),
        "language": segment.language,
        "language_probability": round(segment.language_probability, 4),
        "confidence": round(segment.confidence, 4),
        "words": [
            {
                "word": w.text.strip(),
                "start": to_seconds(w.start),
                "end": to_seconds(w.end),
                "probability": round(w.probability, 4),
                "language": w.language,
            }
            for w in segment.words
        ],
    }
