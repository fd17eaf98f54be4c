"""Runs systems over recordings and keeps what the reports show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.evaluation.baselines import System
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.replay import Replay, replay
from whisper_service.evaluation.score import Tally, hypothesis, score
from whisper_service.evaluation.switching import Stretch
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import FloatArray, Word, to_samples

CHUNK = 0.02  # s fed at once: what a sound card or a telephone line delivers
CURVE = 600  # points of a posterior curve at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One run as a picture: truth, posteriors, hypothesis and words; times in samples."""

    system: str
    recording: str
    suite: str
    length: int
    truth: tuple[Stretch, ...]
    spoken: tuple[tuple[str, int, int, str], ...]  # text, start, end, language
    columns: tuple[str, ...]
    posteriors: tuple[tuple[int, tuple[float, ...]], ...]
    hypothesis: tuple[Stretch, ...]
    words: tuple[tuple[Word, int], ...]  # with the sample at which each was committed
    decisions: tuple[tuple[str, int, int], ...]  # new language, at, available


@dataclass(slots=True)
class SuiteResult:
    """What one system did on one suite."""

    system: str
    suite: str
    tally: Tally = field(default_factory=Tally)
    timelines: list[Timeline] = field(default_factory=list)
    newest: str = ""  # name of the recording just done


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a system is with a suite."""

    recordings: int  # done so far
    samples: int  # of these
    newest: str  # name of the one just done
    false_switches: int  # so far


def run_system(
    engine: Engine,
    system: System,
    recordings: Iterable[Recording],
    *,
    pictures: int = 2,
    progress: Callable[[Progress], None] = lambda _: None,
) -> SuiteResult:
    """Put every recording through ``system``; the first ``pictures`` streams become timelines.

    Recordings are taken one at a time; ``progress`` is told about each when it is done.
    """
    result = SuiteResult(system=system.name, suite="")
    tally = result.tally
    for number, recording in enumerate(recordings):
        result.suite = recording.suite
        if system.whole is not None:
            run = system.whole(recording)
        else:
            run, stream = stream_recording(engine, system, recording)
            if number < pictures:
                result.timelines.append(timeline(system, recording, run, stream))
        tally.add(score(recording, run))
        result.newest = recording.name
        progress(
            Progress(
                recordings=tally.recordings,
                samples=tally.samples,
                newest=recording.name,
                false_switches=tally.false_switches,
            )
        )
    return result


def stream_recording(
    engine: Engine, system: System, recording: Recording
) -> tuple[Replay, StreamTranscriber]:
    """One recording through a fresh stream of ``system``."""
    made: list[StreamTranscriber] = []

    def make(engine: Engine, options: StreamOptions) -> StreamTranscriber:
        made.append(system.make(engine, options))
        return made[0]

    run = replay(engine, recording.samples, system.options(recording), chunk=CHUNK, make=make)
    return run, made[0]


def timeline(
    system: System, recording: Recording, run: Replay, stream: StreamTranscriber
) -> Timeline:
    """What the report draws of one run."""
    curve = list(stream.tracker.timeline)
    step = max(1, len(curve) // CURVE)
    return Timeline(
        system=system.name,
        recording=recording.name,
        suite=recording.suite,
        length=len(recording.samples),
        truth=recording.speech,
        spoken=tuple((w.text, w.start, w.end, w.language) for w in recording.words),
        columns=stream.tracker.columns,
        posteriors=tuple((at, _rounded(row)) for at, row in curve[::step]),
        hypothesis=tuple(hypothesis(run, len(recording.samples))),
        words=tuple((word, timed.heard) for word, timed in run.committed()),
        decisions=tuple((e.new, e.at, t.available) for e, t in run.switches()),
    )


def warm_up(engine: Engine, system: System, recording: Recording) -> None:
    """Run a few seconds once, so that no shape is compiled while the clock runs."""
    short = recording.samples[: to_samples(8.0)]
    if system.whole is not None:
        system.whole(replace(recording, samples=short))
    else:
        replay(engine, short, system.options(recording), chunk=CHUNK, make=system.make)


def _rounded(row: FloatArray) -> tuple[float, ...]:
    return tuple(round(float(p), 3) for p in row)
