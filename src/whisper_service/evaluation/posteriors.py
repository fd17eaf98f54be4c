"""Language posteriors of recordings, recorded once so that following can be replayed.

Every hop of every utterance is heard over spans of several lengths, read off the shared encoding
and encoded alone. A replay then runs the product's own listener and tracker on what was recorded,
in microseconds a frame, so thresholds can be swept over hours of speech.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np

from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.engine.base import Encoded, Engine, Span
from whisper_service.evaluation.switching import Stretch
from whisper_service.lid import LanguageChange, LanguageTracker, LidFrame, LidSpan
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Encodings, Window
from whisper_service.streaming.front_end import AlwaysSpeech, FrontEnd
from whisper_service.streaming.listening import Heard, LanguageListener
from whisper_service.types import FRAME, HOP, FloatArray, to_samples

Evidence: TypeAlias = Literal["shared", "own", "checked"]
EVIDENCE: tuple[Evidence, ...] = get_args(Evidence)

STEP = to_samples(0.1)  # between two hops, and between two span lengths
LENGTHS = tuple(range(3 * STEP, 10 * STEP + 1, STEP))  # 0.3-1.0 s
GRID = to_samples(0.1)  # windows of the shared encoding end here, as while nothing is settled
CONTEXT = to_samples(10.0)  # the longest window that is encoded
BATCH = 32  # spans encoded in one call while recording
PAUSE = to_samples(0.5)  # a shorter one does not end an utterance (VadOptions.min_silence)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardUtterance:
    """The hops of one utterance; ``shared`` and ``own`` are ``[hops, lengths, languages]``."""

    start: int
    end: int
    truth: tuple[Stretch, ...]
    hops: tuple[int, ...]  # ends of the spans, samples
    shared: FloatArray
    own: FloatArray

    @property
    def changes(self) -> list[tuple[int, str]]:
        """Changes within the utterance: sample and new language."""
        pairs = itertools.pairwise(self.truth)
        return [(b.start, b.language) for a, b in pairs if a.language != b.language]

    def language_since(self, at: int) -> tuple[str, int]:
        """The language spoken at ``at``, and since when in this utterance."""
        since, language = self.start, self.truth[0].language
        for point, new in self.changes:
            if point <= at:
                since, language = point, new
        return language, since

    def heard(self, kind: str, end: int, length: int) -> FloatArray:
        """Probabilities ``[languages]`` of the span of about ``length`` that ends at ``end``."""
        rows = self.own if kind == "own" else self.shared
        column = min(max(0, length // STEP - LENGTHS[0] // STEP), len(LENGTHS) - 1)
        row = min(max(0, (end - self.hops[0]) // STEP), len(self.hops) - 1)
        result: FloatArray = rows[row, column]
        return result


@dataclass(slots=True)
class Cost:
    """Seconds spent encoding, by kind of evidence, and how many encodings that were."""

    seconds: dict[str, float] = field(default_factory=lambda: {"shared": 0.0, "own": 0.0})
    encodings: dict[str, int] = field(default_factory=lambda: {"shared": 0, "own": 0})

    def milliseconds(self, kind: str) -> float:
        return 1000.0 * self.seconds[kind] / max(1, self.encodings[kind])


class PosteriorRecorder:
    """Hears recordings; ``cost`` adds up what each kind of evidence took."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.cost = Cost()

    def record(self, samples: FloatArray, truth: Sequence[Stretch]) -> list[HeardUtterance]:
        """Hear a recording (float32 mono at 16 kHz) whose ``truth`` is known.

        An utterance is heard for 30 s at most.
        """
        front = FrontEnd(
            n_mels=self._engine.n_mels,
            detector=AlwaysSpeech(),
            metrics=PerformanceMetrics(enabled=False),
        )
        utterances, fed = [], 0
        for group in utterances_of(truth):
            start = group[0].start // FRAME * FRAME
            end = min(group[-1].end, start + to_samples(30.0), len(samples)) // HOP * HOP
            for _ in front.feed(samples[fed : end + STEP]):
                pass
            fed = max(fed, end + STEP)
            hops = tuple(range(-(-(start + LENGTHS[0]) // STEP) * STEP, end - HOP, STEP))
            if hops:
                utterances.append(
                    HeardUtterance(
                        start=start,
                        end=end,
                        truth=tuple(group),
                        hops=hops,
                        shared=self._shared(front, start, hops),
                        own=self._own(front, start, hops),
                    )
                )
        return utterances

    def _own(self, front: FrontEnd, start: int, hops: Sequence[int]) -> FloatArray:
        pairs = {(max(start, h - n) // HOP * HOP, h) for h in hops for n in LENGTHS}
        ordered = sorted(pairs, key=lambda pair: pair[1] - pair[0])
        heard: dict[tuple[int, int], FloatArray] = {}
        for index in range(0, len(ordered), BATCH):
            some = ordered[index : index + BATCH]
            mels = [front.mel(a, b) for a, b in some]
            encoded = self._encode("own", mels)
            rows = self._engine.language_probabilities([Span(e, 0, e.frames) for e in encoded])
            heard.update(zip(some, rows, strict=True))
        return np.array([[heard[max(start, h - n) // HOP * HOP, h] for n in LENGTHS] for h in hops])

    def _shared(self, front: FrontEnd, start: int, hops: Sequence[int]) -> FloatArray:
        rows = []
        for end, group in itertools.groupby(hops, key=lambda h: -(-h // GRID) * GRID):
            known = min(end, hops[-1])
            first = max(start, known - CONTEXT)
            encoded = self._encode("shared", [front.mel(first, known)])[0]
            for hop in group:
                last = min(max(1, (hop - first) // FRAME), encoded.frames)
                firsts = [(max(start, hop - n) - first) // FRAME for n in LENGTHS]
                spans = [Span(encoded, min(max(0, f), last - 1), last) for f in firsts]
                rows.append(self._engine.language_probabilities(spans))
        return np.array(rows)

    def _encode(self, kind: str, mels: list[FloatArray]) -> list[Encoded]:
        began = time.perf_counter()
        encoded = self._engine.encode(mels)
        self.cost.seconds[kind] += time.perf_counter() - began
        self.cost.encodings[kind] += len(mels)
        return encoded


class RecordedEncodings:
    """Stands in for a stream's encodings: looks up what was recorded."""

    def __init__(self, utterance: HeardUtterance) -> None:
        self._utterance = utterance

    def window(self, start: int, end: int, **_: Any) -> Window:
        return Window(start, end, cast(Any, None))

    def shared_frames(self, _: Window, spans: Sequence[LidSpan]) -> list[LidFrame]:
        return [self._frame("shared", span) for span in spans]

    def own_frames(self, spans: Sequence[LidSpan], **_: Any) -> list[LidFrame]:
        return [self._frame("own", span) for span in spans]

    def _frame(self, kind: str, span: LidSpan) -> LidFrame:
        heard = self._utterance.heard(kind, span.end, span.end - span.start)
        return LidFrame(start=span.start, end=span.end, probabilities=heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedChange:
    """A change and the samples that had been heard when it was known."""

    change: LanguageChange
    at: int


def replay_language(
    engine: Engine, utterances: Sequence[HeardUtterance], options: LanguageOptions
) -> list[ReplayedChange]:
    """Follow the language of one recording as a stream does, update by update.

    Changes are taken as localised right: after one, spans begin at the true change point if there
    is one, else at the crossing. Computing takes no time here.
    """
    tracker = LanguageTracker(engine.languages, options)
    return [c for u in utterances for c in _replay_utterance(engine, u, options, tracker=tracker)]


def _replay_utterance(
    engine: Engine,
    utterance: HeardUtterance,
    options: LanguageOptions,
    *,
    tracker: LanguageTracker,
) -> list[ReplayedChange]:
    listener = LanguageListener(
        engine=engine,
        options=options,
        encodings=cast(Encodings, RecordedEncodings(utterance)),
        tracker=tracker,
        metrics=PerformanceMetrics(enabled=False),
    )
    pace = StreamOptions()
    heard = Heard(until=utterance.start, floor=utterance.start)
    tracker.start_utterance(utterance.start)
    found, end, final = list[ReplayedChange](), utterance.start, False
    while not final:
        step, hop = to_samples(pace.unsettled_chunk_size), to_samples(options.hop)
        if end == utterance.start:  # nothing is decided before the floor
            end = -(-(end + to_samples(options.evidence_floor)) // hop) * hop
        elif tracker.feed(()).settled:
            end += to_samples(pace.online_chunk_size)
        else:
            end = (end // step + 1) * step
        end = min(end, utterance.end)
        final = end == utterance.end
        while True:
            state = listener.follow(heard, start=utterance.start, end=end, final=final)
            if state.change is None:
                break
            found.append(ReplayedChange(change=state.change, at=end))
            heard.settle()
            heard.floor = _change_point(utterance, state.change, before=end)
            if state.frontier > end:  # decided at the end of the utterance
                break
    return found


def _change_point(utterance: HeardUtterance, change: LanguageChange, *, before: int) -> int:
    true = [at for at, new in utterance.changes if new == change.new and at <= before]
    return true[-1] if true else max(change.crossing, utterance.start)


def utterances_of(truth: Sequence[Stretch]) -> list[list[Stretch]]:
    """Group stretches of speech that no pause of :data:`PAUSE` separates."""
    groups: list[list[Stretch]] = []
    for stretch in sorted(truth, key=lambda s: s.start):
        if groups and stretch.start - groups[-1][-1].end < PAUSE:
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    return groups


def accuracy(rows: Sequence[FloatArray], truths: Sequence[str], languages: Sequence[str]) -> float:
    """Share of rows whose most probable language is the true one."""
    if not rows:
        return float("nan")
    best = [languages[int(np.argmax(row))] for row in rows]
    return sum(b == t for b, t in zip(best, truths, strict=True)) / len(rows)
