"""The whole pipeline on a code-switched clip: stages, updates, LID, encoder passes, finals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.engine.openvino_encoder import ENCODER_SECONDS, context_grid, fit
from whisper_service.evaluation.bench.measuring import Section, Table, spread
from whisper_service.evaluation.bench.models import ModelName, Subject
from whisper_service.evaluation.bench.sizes import SIZES
from whisper_service.evaluation.bench.workload import (
    CHUNK,
    Clip,
    Counted,
    FixedWorkload,
    Spoken,
    Work,
    continuous,
    in_one_language,
    stream_options,
)
from whisper_service.evaluation.replay import Replay, replay
from whisper_service.events import Final, SpeechEnded
from whisper_service.streaming.statistics import STAGES
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import SAMPLE_RATE, to_samples

FRAMES = 1500  # encoder frames of 30 s
OLD_PASSES = 12  # a second of speech: one for each 100 ms LID frame, one for each 0.5 s chunk
LEAD, TAIL = to_samples(0.3), to_samples(1.2)  # silence around a phrase
CLIENT_CHUNK = 0.02  # s, what clients send


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One clip through the pipeline."""

    replayed: Replay
    work: Work
    speech: float  # s decoded

    @property
    def statistics(self) -> dict[str, Any]:
        return dict(self.replayed.transcript.statistics)


def subject_engine(engine: Engine, clip: Clip, *, fixed: bool) -> Counted:
    """Count what ``engine`` does; ``fixed`` for random weights."""
    return FixedWorkload(engine, clip) if fixed else Counted(engine)


def run(
    engine: Engine, clip: Clip, *, fixed: bool, chunk: float = CHUNK, options: Any = None
) -> Run:
    """Replay ``clip`` once, as fast as it goes."""
    counted = subject_engine(engine, clip, fixed=fixed)

    def make(engine: Engine, options: StreamOptions) -> StreamTranscriber:
        stream = StreamTranscriber(engine, options)
        if isinstance(counted, FixedWorkload):
            counted.heard = lambda: stream.front.received
        return stream

    replayed = replay(
        counted,
        clip.samples,
        options or stream_options(),
        chunk=chunk,
        make=make,
        count=lambda: counted.work.finals,
    )
    speech = replayed.transcript.audio.decoded / SAMPLE_RATE
    return Run(replayed=replayed, work=counted.work, speech=speech)


def pipeline(subject: Subject, engine: Engine, clip: Clip, *, repeat: int) -> Section:
    """Measure every stage over ``clip``: as it is, without its pauses, and in one language.

    The last keeps its windows growing to their limit, as no change cuts them; a fixed workload can
    say so of any speech, a trained model cannot.
    Everything runs once before, so that each shape is prepared; windows of 30 s have one shape.
    """
    fixed, stock = subject.random, subject.context == "stock"
    clips = {"with pauses": clip, "without pauses": continuous(clip)}
    if fixed:
        clips["one language"] = in_one_language(continuous(clip))
    for each in clips.values():
        run(engine, each.cut(3.0) if stock else each, fixed=fixed)
    tables, data = [], {}
    for name, each in clips.items():
        runs = [run(engine, each, fixed=fixed) for _ in range(repeat)]
        data[name] = _figures(subject, runs)
        tables.append(_stages(f"{each.seconds:.0f} s {name}, 0.5 s chunks, ms", runs[-1]))
    data["finals"] = finals(engine, phrases(clip)[:: 2 if stock else 1], fixed=fixed)
    summary = Table(
        header=(
            "clip",
            "updates p50/p95/p99 ms",
            "without a final",
            "LID ms a frame",
            "encoded windows a second of speech",
            "in calls",
            "hit rate",
            "speed",
        ),
        rows=tuple(_summary(name, data[name]) for name in clips),
    )
    return Section(
        name=f"pipeline: {subject}",
        title=f"Pipeline: {subject}",
        tables=(summary, *tables),
        data=data,
        notes=(_final_note(data["finals"]),),
    )


def added_lid(engine: Engine, clip: Clip, *, fixed: bool) -> float:
    """Milliseconds that LID adds per 10 Hz frame when it reads the encoding of the decode."""
    base = stream_options()
    options = replace(base, language=replace(base.language, evidence="shared"))
    run(engine, clip, fixed=fixed, options=options)
    found = run(engine, clip, fixed=fixed, options=options)
    stages = found.statistics["performance"]
    spent = {name: stages[name]["mean"] * stages[name]["count"] for name in stages}
    extra = spent["lid.total"] - spent["lid.encoder"]
    return float(extra / max(1, found.work.spans))


def finals(engine: Engine, spoken: Iterable[Clip], *, fixed: bool) -> dict[str, Any]:
    """Milliseconds from the end of phrases of 1-10 s, alone in silence, to their final text.

    ``ms`` counts from the true end of speech less the VAD's silence wait; ``computed_ms`` from
    the end that the VAD found.
    """
    wait = to_samples(stream_options().vad.min_silence)
    late: list[float] = []
    computed: list[float] = []
    lengths: list[float] = []
    for phrase in spoken:
        end = phrase.spoken[-1].end
        replayed = run(engine, phrase, fixed=fixed, chunk=CLIENT_CHUNK).replayed
        done = [t.available for t in replayed.events if isinstance(t.event, Final)]
        heard = [t.event.at for t in replayed.events if isinstance(t.event, SpeechEnded)]
        if done and heard:
            lengths.append((end - phrase.spoken[0].start) / SAMPLE_RATE)
            late.append((done[-1] - end - wait) / SAMPLE_RATE * 1e3)
            computed.append((done[-1] - heard[-1] - wait) / SAMPLE_RATE * 1e3)
    return {
        "phrases": len(late),
        "seconds": {"min": min(lengths, default=0.0), "max": max(lengths, default=0.0)},
        "ms": spread(late),
        "computed_ms": spread(computed),
    }


def phrases(clip: Clip) -> list[Clip]:
    """Single sentences, pairs and fours of neighbours without pauses, in silence."""
    groups: list[tuple[Spoken, ...]] = [(part,) for part in clip.spoken]
    groups += list(pairwise(clip.spoken))[::2]
    groups += [clip.spoken[i : i + 4] for i in range(0, len(clip.spoken) - 3, 4)]
    return [_phrase(clip, group) for group in groups]


def _phrase(clip: Clip, group: Iterable[Spoken]) -> Clip:
    parts, spoken, at = [np.zeros(LEAD, np.float32)], [], LEAD
    for part in group:
        parts.append(clip.samples[part.start : part.end])
        spoken.append(Spoken(part.language, at, at + part.end - part.start))
        at += part.end - part.start
    return Clip(np.concatenate([*parts, np.zeros(TAIL, np.float32)]), tuple(spoken))


def encoder_gflops(model: ModelName, frames: int) -> float:
    """Work of one encoder pass over ``frames`` frames of 20 ms, in 10^9 operations.

    Convolutions, projections and MLP (24 d² a frame and layer), attention (4 d a pair of frames).
    """
    width, layers, bins = (192, 4, 80) if model == "demo" else (*SIZES[_size(model)][:2], 80)
    convolutions = 2 * (3 * bins * width * 2 * frames + 3 * width**2 * frames)
    return (convolutions + layers * (24 * width**2 * frames + 4 * frames**2 * width)) / 1e9


def _size(model: ModelName) -> Any:
    return model.removesuffix("-size")


def _figures(subject: Subject, runs: list[Run]) -> dict[str, Any]:
    updates = [u * 1e3 for found in runs for u in found.replayed.updates]
    marks = [m for found in runs for m in found.replayed.marks]
    ordinary = [u for u, finals in zip(updates, marks, strict=True) if not finals]
    last, grid = runs[-1], context_grid(ENCODER_SECONDS, FRAMES)
    seconds = max(1e-9, last.speech)
    dynamic = subject.context == "dynamic"
    windows = [fit((mel + 1) // 2, grid) if dynamic else FRAMES for _, mel in last.work.encoded]
    flops = sum(encoder_gflops(subject.model, frames) for frames in windows)
    old_flops = OLD_PASSES * seconds * encoder_gflops(subject.model, FRAMES)
    stages = last.statistics["performance"]
    return {
        "update_ms": spread(updates),
        "ordinary_ms": spread(ordinary),
        "updates": len(updates),
        "finals": sum(map(bool, marks)),
        "lid_ms": stages["lid.total"]["mean"]
        * stages["lid.total"]["count"]
        / max(1, last.work.spans),
        "windows_per_second": len(windows) / seconds,
        "calls_per_second": last.statistics["encoder_passes"] / seconds,
        "fewer_passes": 1 - len(windows) / (OLD_PASSES * seconds),
        "fewer_flops": 1 - flops / old_flops,
        "longest_window_s": max(mel for _, mel in last.work.encoded) / 100,
        "hit_rate": last.statistics["encoder_cache"]["hit_rate"],
        "speed": last.replayed.transcript.duration / SAMPLE_RATE / last.replayed.computed,
        "speech_s": seconds,
        "tokens": sorted(set(last.work.decodes)) if subject.random else [],
        "stages": {name: dict(row) for name, row in stages.items()},
    }


def _summary(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(
            f"{ms['p50']:.0f} / {ms['p95']:.0f} / {ms['p99']:.0f}"
            for ms in (row["update_ms"], row["ordinary_ms"])
        ),
        f"{row['lid_ms']:.2f}",
        f"{row['windows_per_second']:.1f}",
        f"{row['calls_per_second']:.1f}",
        f"{row['hit_rate']:.0%}",
        f"{row['speed']:.0f}x",
    )


def _stages(caption: str, found: Run) -> Table:
    measured = found.statistics["performance"]
    names = [*STAGES, *sorted(set(measured) - set(STAGES))]
    columns = ("p50", "p95", "p99", "max")
    rows = tuple(
        (name, str(measured[name]["count"]), *(f"{measured[name][c]:.2f}" for c in columns))
        for name in names
    )
    return Table(header=("stage", "runs", *columns), rows=rows, caption=caption)


def _final_note(found: dict[str, Any]) -> str:
    late, computed = found["ms"], found["computed_ms"]
    return (
        f"End of speech to final text, {found['phrases']} phrases of "
        f"{found['seconds']['min']:.1f}-{found['seconds']['max']:.1f} s in 20 ms chunks, less the "
        f"VAD's silence wait: p50 {late['p50']:.0f}, p95 {late['p95']:.0f} ms "
        f"(from the end that the VAD found: {computed['p50']:.0f} and {computed['p95']:.0f} ms)."
    )
