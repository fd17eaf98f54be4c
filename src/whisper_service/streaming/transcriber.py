"""A stream of audio in, typed events out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.errors import InvalidOptionError, StreamClosedError
from whisper_service.events import (
    AudioSkipped,
    Event,
    Final,
    Lag,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.lid import LanguageTracker
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.account import Account
from whisper_service.streaming.checks import check_languages, check_options, check_policy
from whisper_service.streaming.encodings import Encodings
from whisper_service.streaming.front_end import (
    MEL_LOOKAHEAD,
    VAD_WINDOW,
    AlwaysSpeech,
    FrontEnd,
    SpeechDetector,
)
from whisper_service.streaming.pace import Pace
from whisper_service.streaming.parallel import DecodeAhead
from whisper_service.streaming.statistics import stream_statistics
from whisper_service.streaming.utterance import UtteranceDecoder
from whisper_service.text.languages import resolve_language
from whisper_service.types import (
    FRAME,
    SAMPLE_RATE,
    AudioAccount,
    FloatArray,
    Gap,
    LanguagePolicy,
    Segment,
    Switch,
    Transcript,
    to_samples,
)
from whisper_service.vad.segmenter import SpeechSegmenter

KEPT_WINDOWS = 3
"""Encodings kept: the newest, the one of a possible end of speech, and one before them. Older
windows are never asked for again, and each holds the decoder's keys and values too."""


class StreamTranscriber:
    """Turns one stream of 16 kHz mono audio into events; how it is cut never matters.

    Args:
        engine: a loaded model; it may serve many streams.
        options: everything about this stream.
        clock: seconds, monotonic; in live mode updates get rarer when decoding falls behind it.
        detector: speech probabilities per 512 samples; Silero when not given.

    Raises:
        InvalidOptionError: a language or task the model does not have.

    """

    def __init__(
        self,
        engine: Engine,
        options: StreamOptions | None = None,
        *,
        clock: Callable[[], float] | None = None,
        detector: SpeechDetector | None = None,
    ) -> None:
        self.engine = engine
        self.options = options or StreamOptions()
        check_options(engine, self.options)
        self.metrics = PerformanceMetrics(enabled=self.options.metrics)
        self.cache = EncoderCache(max_size=KEPT_WINDOWS) if self.options.cache else None
        self.pace = Pace(clock if self.options.mode == "live" else None)
        self.segments: deque[Segment] = deque(maxlen=self.options.max_segments)
        self.gaps: deque[Gap] = deque(maxlen=self.options.max_segments)
        self.spoken: dict[str, int] = {}  # samples of segments by language
        self.front = FrontEnd(
            n_mels=engine.n_mels,
            detector=detector or default_detector(self.options),
            metrics=self.metrics,
        )
        self.encodings = Encodings(
            engine=engine,
            front=self.front,
            cache=self.cache,
            metrics=self.metrics,
            stream=id(self),
        )
        self.tracker = LanguageTracker(engine.languages, self.options.language)
        self.utterances = UtteranceDecoder(
            engine=DecodeAhead(engine) if decodes_ahead(self.options) else engine,
            options=self.options,
            encodings=self.encodings,
            tracker=self.tracker,
            metrics=self.metrics,
            emit=self._emit,
            previews=lambda: self.pace.previews,
        )
        self._account = Account()
        self._segmenter = SpeechSegmenter(self.options.vad)
        self._events: list[Event] = []
        self._now = 0  # samples whose speech probability is known
        self._last_update = 0  # when it ran, on the sample clock
        self._updated_to = 0  # where its window ended
        self._speculated: int | None = None
        self._finished = False

    # audio in, events out

    def feed(self, chunk: FloatArray) -> list[Event]:
        """Take in ``chunk`` (float32 mono at 16 kHz, any length) and return what it brought.

        Raises:
            InvalidAudioError: not one-dimensional, or not samples in [-1, 1].
            StreamClosedError: after :meth:`finish`.

        """
        self._require_open()
        self.pace.begin()
        with self.metrics.measure("total"):
            for taken, probabilities in self.front.feed(chunk):
                self._account.receive(taken)
                self._hear(probabilities)
        return self._drain()

    def drop(self, samples: int) -> list[Event]:
        """Tell the stream that ``samples`` were lost before they arrived; time goes on."""
        self._require_open()
        self.pace.begin()
        if samples < 0:
            raise InvalidOptionError(f"samples is {samples}; what was lost cannot be negative")
        start = self.front.received
        self._account.lose(samples)
        self._emit(AudioSkipped(start=start, end=start + samples, reason="overload"))
        for first in range(0, samples, FRAME * 25):
            for _, probabilities in self.front.feed(
                np.zeros(min(FRAME * 25, samples - first), np.float32)
            ):
                self._hear(probabilities)
        return self._drain()

    def finish(self) -> list[Event]:
        """Decode what is left and end the stream; returns the last events."""
        self._require_open()
        self.pace.begin()
        self._finished = True
        with self.metrics.measure("total"):
            self._hear(self.front.finish())
            for ended in self._segmenter.finish(self.front.received):
                self._end_speech(ended.at)
            self._account.skip(self.front.received)
        return self._drain()

    # what is known so far

    @property
    def account(self) -> AudioAccount:
        """Where every received sample went; adds up at every moment."""
        return self._account.snapshot()

    @property
    def language(self) -> str | None:
        """The language of the newest speech; ``None`` before the first decision."""
        return self.utterances.news.language

    @property
    def switches(self) -> tuple[Switch, ...]:
        return tuple(self.utterances.news.switches)

    @property
    def finished(self) -> bool:
        return self._finished

    def transcript(self) -> Transcript:
        """Everything completed so far."""
        spoken = self.spoken
        return Transcript(
            task=self.options.decode.task,
            duration=self._account.received,
            language=max(spoken, key=lambda code: spoken[code]) if spoken else "",
            segments=tuple(self.segments),
            switches=self.switches,
            audio=self.account,
            model=self.engine.name,
            statistics=self.get_statistics(),
            gaps=tuple(self.gaps),
        )

    def get_statistics(self) -> dict[str, Any]:
        """Counters and percentiles of this stream, JSON-serializable."""
        return stream_statistics(self)

    def get_performance_summary(self) -> str:
        """The stages' percentiles as an aligned table."""
        return self.metrics.get_summary()

    def set_language_policy(self, policy: LanguagePolicy, languages: Sequence[str] = ()) -> None:
        """Change how the language is followed, from the next update on.

        Raises:
            InvalidOptionError: an unknown policy or language.

        """
        codes = tuple(resolve_language(name) for name in languages)
        check_policy(policy)
        check_languages(self.engine, codes)
        self.tracker.set_policy(policy, codes)

    # the sample clock

    def _hear(self, probabilities: Sequence[float]) -> None:
        for probability in probabilities:
            self._now = min(self._now + VAD_WINDOW, self.front.received)
            self.pace.observe(self._now)
            for event in self._segmenter.feed([probability]):
                if isinstance(event, SpeechStarted):
                    self._start_speech(event.at)
                else:
                    self._end_speech(event.at)
            if self.utterances.is_open:
                self.utterances.hear(self._now, probability)
                self._update_when_due()
            elif self._segmenter.quiet:
                self._account.skip(self._now - to_samples(self.options.vad.pre_roll))

    def _start_speech(self, at: int) -> None:
        self._emit(SpeechStarted(at=at))
        start = max(self._account.cursor, at - to_samples(self.options.vad.pre_roll))
        self._account.skip(start)
        self.utterances.open(start, max(start, at))
        self._last_update = max(start, at)
        self._speculated = None

    def _end_speech(self, at: int) -> None:
        end, at = self._padded_end(at), min(at, self.front.received)
        self.utterances.update(end, final=True)
        self.utterances.close(at)
        self._account.decode(end)
        self._emit(SpeechEnded(at=at))
        self._emit_lag()

    def _padded_end(self, at: int) -> int:
        padded = (at + to_samples(self.options.vad.pad)) // FRAME * FRAME
        return min(
            padded, self.front.ready_end(self.front.received if self._finished else self._now)
        )

    def _update_when_due(self) -> None:
        ready = self.front.ready_end(self._now)
        if self.utterances.is_full(ready) and ready > self._updated_to:
            self._update(ready)
            return
        if self.options.mode == "offline":
            return
        quiet_since = self._segmenter.stopping_since
        if quiet_since is not None:
            self._speculate(quiet_since)
        elif (end := self._due(ready)) is not None:
            self._update(end)

    def _due(self, ready: int) -> int | None:
        """Where the update ends that is due when everything before ``ready`` can be decoded.

        While the language is not settled, updates end where LID frames do, so that none of them
        waits for the next update; the first of an utterance waits for its first decision.
        """
        options = self.options
        if self.utterances.settled:
            waited = self._now - self._last_update
            return (
                ready if waited >= self.pace.widen(to_samples(options.online_chunk_size)) else None
            )
        step = to_samples(options.unsettled_chunk_size)
        due = self._updated_to + self.pace.widen(step) - step + 1
        if self.utterances.running.language is None:
            step = to_samples(options.language.hop)
            floor = to_samples(options.language.evidence_floor)  # nothing is decided before
            due = self._last_update + self.pace.widen(floor)
        end = ready // step * step
        return end if end >= due else None

    def _update(self, end: int) -> None:
        self._last_update, self._updated_to = self._now, end
        self.pace.widened += self.pace.late
        self.utterances.update(end)
        self._account.decode(end)
        self._emit_lag()

    def _speculate(self, quiet_since: int) -> None:
        """Run the final decode as soon as its window is complete, once per possible end.

        A pause between two words is shorter than ``pad``.
        """
        pad = to_samples(self.options.vad.pad)
        end = self._padded_end(quiet_since)
        complete = end + FRAME > quiet_since + pad and self._now >= end + MEL_LOOKAHEAD
        if self._speculated == quiet_since or not complete or self._segmenter.silence < pad - FRAME:
            return
        self._speculated = quiet_since
        self._last_update, self._updated_to = self._now, end
        self.utterances.update(end, speculative=True)
        self._account.decode(end)

    # events

    def _emit(self, event: Event) -> None:
        if isinstance(event, Final):
            segment = event.segment
            self.segments.append(segment)
            length = self.spoken.get(segment.language, 0) + segment.end - segment.start
            self.spoken[segment.language] = length
        if isinstance(event, AudioSkipped):
            self.gaps.append(Gap(start=event.start, end=event.end, reason=event.reason))
        self._events.append(event)

    def _emit_lag(self) -> None:
        received = self.front.received
        decided = self.utterances.running.decided if self.utterances.is_open else self._now
        waiting = round(self.pace.behind * SAMPLE_RATE)
        self._emit(Lag(samples=received - decided + waiting, at=received))

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _require_open(self) -> None:
        if self._finished:
            raise StreamClosedError("this stream has ended; make another StreamTranscriber")


def default_detector(options: StreamOptions) -> SpeechDetector:
    """Silero, or everything-is-speech when voice activity detection is off."""
    if not options.vad.enabled:
        return AlwaysSpeech()
    from whisper_service.vad.silero import SpeechProbabilities

    return SpeechProbabilities()


def decodes_ahead(options: StreamOptions) -> bool:
    """Whether decodes start beside the language probe: both read the one cached encoding."""
    return options.parallel and options.cache
