"""Other ways to follow the language, on the same engine, decoder and recordings.

Each differs from the product in how it decides the language, in nothing else, so a comparison
shows the design and not the speed of a straw man. Another program with the same checkpoint is in
:mod:`whisper_service.evaluation.faster_whisper`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from whisper_service.config import DecodeOptions, LanguageOptions, StreamOptions
from whisper_service.engine.base import Engine, Span
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.replay import Replay
from whisper_service.lid import LanguageChange, LanguageState, LanguageTracker, LidFrame, LidSpan
from whisper_service.streaming.encodings import Encodings
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.streaming.utterance import UtteranceDecoder
from whisper_service.types import FloatArray, to_samples

Make: TypeAlias = Callable[..., StreamTranscriber]
"""Makes a stream from an engine and ``StreamOptions``, as ``StreamTranscriber`` itself does."""

FIRST_LOOK = to_samples(1.0)  # s of speech before an utterance's language is named once for all
OLD_FRAME = to_samples(0.1)  # s of audio in a frame of the old way


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Something to score: options for a recording, and how a stream is made from them.

    ``whole`` runs a recording without a stream; options and ``make`` are not used then.
    """

    name: str
    title: str
    options: Callable[[Recording], StreamOptions]
    make: Make = StreamTranscriber
    whole: Callable[[Recording], Replay] | None = None
    most: float = math.inf  # s of recordings of a suite that it is run on, at least one


def share_of(recordings: Iterable[Recording], system: System) -> Iterator[Recording]:
    """The first recordings, up to ``system.most`` seconds, one after the other."""
    left = to_samples(min(system.most, 1e6))
    for recording in recordings:
        yield recording
        left -= len(recording.samples)
        if left <= 0:
            return


class OneLookTracker(LanguageTracker):
    """Names the language of each utterance once, from its first second; no hysteresis.

    This is what openai-whisper, faster-whisper and most streaming servers do.
    """

    looks_twice = False

    def start_utterance(self, at: int) -> None:
        super().start_utterance(at)
        self._named = False

    def feed(self, frames: Sequence[LidFrame]) -> LanguageState:
        changes: list[LanguageChange] = []
        for frame in frames:
            started = self._state.started or 0
            self._state.newest = frame
            if not self._named and frame.end - started >= FIRST_LOOK:
                changes += self._name(frame, at=started)
        return self._snapshot(tuple(changes))

    def end_utterance(self) -> LanguageState:
        newest, changes = self._state.newest, list[LanguageChange]()
        if newest is not None and not self._named:
            changes = self._name(newest, at=self._state.started or 0)
        return replace(super().end_utterance(), changes=tuple(changes))

    def _name(self, frame: LidFrame, *, at: int) -> list[LanguageChange]:
        self._named = True
        return self._take(frame, at=at)

    def _take(self, frame: LidFrame, *, at: int) -> list[LanguageChange]:
        """Take the frame's best allowed language, whatever was spoken before."""
        probabilities = self._allowed.restrict(frame.probabilities)[: len(self._allowed)]
        best = int(np.argmax(probabilities))
        old, self._state.language = self._state.language, best
        self._state.confirmed = True
        if old is None or old == best:
            return []
        codes = self._allowed.codes
        share = float(probabilities[best] / max(float(probabilities.sum()), 1e-9))
        return [
            LanguageChange(
                old=codes[old],
                new=codes[best],
                crossing=at,
                decided_at=frame.end,
                probability=share,
            )
        ]


class ImmediateTracker(OneLookTracker):
    """Follows every frame at once: the best of the target languages is the language."""

    def feed(self, frames: Sequence[LidFrame]) -> LanguageState:
        changes: list[LanguageChange] = []
        for frame in frames:
            self._state.newest = frame
            self._named = True
            changes += self._take(frame, at=frame.start)
        return self._snapshot(tuple(changes))


class OldEncodings(Encodings):
    """LID frames of 0.1 s, each padded with silence to 30 s and encoded for itself."""

    def own_frames(self, spans: Sequence[LidSpan], **_: Any) -> list[LidFrame]:
        return [self._padded_frame(span) for span in spans]

    def _padded_frame(self, span: LidSpan) -> LidFrame:
        start = max(span.start, span.end - OLD_FRAME)
        window = self.padded(start, span.end)
        frames = (span.end - start) // 320
        heard: FloatArray = self._engine.language_probabilities(
            [Span(window.encoded, 0, max(window.encoded.frames, frames))]
        )[0]
        return LidFrame(start=start, end=span.end, probabilities=heard)


def with_parts(tracker: type[LanguageTracker], encodings: type[Encodings] = Encodings) -> Make:
    """A maker of streams that follow the language with ``tracker`` on ``encodings``."""

    class Stream(StreamTranscriber):
        def __init__(
            self, engine: Engine, options: StreamOptions | None = None, **more: Any
        ) -> None:
            super().__init__(engine, options, **more)
            self.encodings = encodings(
                engine=engine,
                front=self.front,
                cache=self.cache,
                metrics=self.metrics,
                stream=id(self),
            )
            self.tracker = tracker(engine.languages, self.options.language)
            self.utterances = UtteranceDecoder(
                engine=engine,
                options=self.options,
                encodings=self.encodings,
                tracker=self.tracker,
                metrics=self.metrics,
                emit=self._emit,
            )

    return Stream


def code_switching(recording: Recording) -> StreamOptions:
    """The product as it comes, told which languages to expect."""
    language = LanguageOptions(policy="code_switch", languages=recording.languages)
    return StreamOptions(mode="fast", language=language)


def one_language(recording: Recording) -> StreamOptions:
    """The language spoken first, for the whole recording."""
    forced = LanguageOptions(policy="forced", languages=(recording.language,))
    return StreamOptions(mode="fast", language=forced)


def local_agreement(recording: Recording) -> StreamOptions:
    return replace(code_switching(recording), decode=DecodeOptions(policy="local_agreement"))


def offline(recording: Recording) -> StreamOptions:
    return replace(code_switching(recording), mode="offline")


def own_evidence(recording: Recording) -> StreamOptions:
    options = code_switching(recording)
    return replace(options, language=replace(options.language, evidence="own"))


PRODUCT = System(name="whisper-service", title="whisper-service, AlignAtt", options=code_switching)
OFFLINE = System(name="offline", title="whisper-service, offline mode", options=offline)
AGREEMENT = System(
    name="local-agreement", title="whisper-service, LocalAgreement-2", options=local_agreement
)
BASELINES = (
    System(name="one-language", title="one fixed language", options=one_language),
    System(
        name="re-detect",
        title="re-detected in each utterance, no hysteresis",
        options=own_evidence,
        make=with_parts(OneLookTracker),
    ),
    System(
        name="old-way",
        title="the old way: 0.1 s frames padded to 30 s, immediate switch (first minute)",
        options=own_evidence,
        make=with_parts(ImmediateTracker, OldEncodings),
        most=60.0,
    ),
)


def by_name(name: str) -> System:
    """The system of this module that is called ``name``."""
    return next(s for s in (PRODUCT, OFFLINE, AGREEMENT, *BASELINES) if s.name == name)
