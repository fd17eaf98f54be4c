"""Feeds a clip as it would arrive and notes when each event was available."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.events import Committed, Event, LanguageSwitched
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import SAMPLE_RATE, FloatArray, Transcript, Word, to_samples


@dataclass(frozen=True, slots=True)
class Timed:
    """An event, the samples received when it came, and when it was available.

    ``available`` is on the sample clock with computation added: chunks arrive on schedule whether
    or not the last one is done (open loop), and work waits for the work before it.
    """

    event: Event
    heard: int
    available: int


@dataclass(frozen=True, slots=True)
class Replay:
    """One clip's run."""

    events: tuple[Timed, ...]
    transcript: Transcript
    computed: float  # s spent in `feed` and `finish`
    updates: tuple[float, ...]  # s of each `feed` that ran an update
    marks: tuple[int, ...] = ()  # by how much each of them raised the count asked for
    streamed: bool = True  # False: heard whole, so when something was known says nothing

    def committed(self) -> list[tuple[Word, Timed]]:
        """Committed words in order, with their event."""
        return [
            (w, t) for t in self.events if isinstance(t.event, Committed) for w in t.event.words
        ]

    def switches(self) -> list[tuple[LanguageSwitched, Timed]]:
        return [(t.event, t) for t in self.events if isinstance(t.event, LanguageSwitched)]


def replay(
    engine: Engine,
    samples: FloatArray,
    options: StreamOptions,
    *,
    chunk: float = 0.1,
    make: Callable[[Engine, StreamOptions], StreamTranscriber] = StreamTranscriber,
    count: Callable[[], int] = lambda: 0,
) -> Replay:
    """Feed ``samples`` (float32 mono at 16 kHz) in chunks of ``chunk`` seconds, as fast as it goes.

    Nothing waits for real time: when each chunk would have arrived is known, and so is how long
    its work took. ``count`` is a running count, asked after each update (``Replay.marks``).
    """
    stream = make(engine, options)
    size = to_samples(chunk)
    timed: list[Timed] = []
    updates: list[float] = []
    marks: list[int] = []
    done = total = 0.0
    passes = counted = 0
    for first in range(0, len(samples) + size, size):
        last = first >= len(samples)
        arrived = min(first + size, len(samples))
        start = time.perf_counter()
        events = stream.finish() if last else stream.feed(samples[first : first + size])
        spent = time.perf_counter() - start
        total += spent
        done = max(done, arrived / SAMPLE_RATE) + spent
        if stream.encodings.passes != passes:
            passes = stream.encodings.passes
            updates.append(spent)
            marks.append(count() - counted)
            counted += marks[-1]
        timed += [Timed(e, arrived, to_samples(done)) for e in events]
        if last:
            break
    return Replay(tuple(timed), stream.transcript(), total, tuple(updates), tuple(marks))
