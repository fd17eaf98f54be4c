"""Resident memory: above the imports, in all, per further stream, and its slope.

Each figure is of a process of its own. The floor is what importing the libraries and this package
costs before any model is read; the rest is the model, its compiled graphs and one stream that has
transcribed the bundled recording once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from whisper_service.evaluation.bench.measuring import Section, Table

MIB = 2**20
STREAMS = 8
SLOPE_MINUTES = 120  # of audio; in the first half timelines, rings and shapes reach their bounds
SEGMENTS = 50  # kept: the transcript is meant to grow, and is not what is looked for here
QUICK_MINUTES = 3


def memory(*, quick: bool) -> Section:
    """Run the probes in fresh processes and tabulate MiB."""
    minutes = QUICK_MINUTES if quick else SLOPE_MINUTES
    data: dict[str, Any] = {**_probe("load"), **_probe("streams"), **_probe("slope", str(minutes))}
    rows = (
        ("imports (the floor)", f"{data['floor']:.0f}"),
        ("above it: demo model and one stream", f"{data['above']:.0f}"),
        ("in all", f"{data['total']:.0f}"),
        (f"each of {STREAMS} further streams", f"{data['stream']:.1f}"),
        (f"growth per hour, over {data['minutes']:.0f} min of audio", f"{data['slope']:.1f}"),
    )
    note = (
        f"The growth is that of the second half, the newest {SEGMENTS} segments kept "
        "(`max_segments`): a transcript is meant to grow, 2 MB an hour. For its first ten minutes "
        f"of speech (more than a run of {QUICK_MINUTES} min) so is the language timeline."
    )
    return Section(
        name="memory",
        title="Memory, demo model",
        tables=(Table(header=("resident", "MiB"), rows=rows),),
        data=data,
        notes=(note,),
    )


def rss() -> float:
    """Resident set size of this process in MiB."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def _probe(name: str, *arguments: str) -> dict[str, float]:
    call = f"probe({name!r}, *{arguments!r})"
    code = f"from whisper_service.evaluation.bench.memory import probe; {call}"
    result = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"the memory probe {name!r} failed: {result.stderr.strip()[-500:]}")
    values: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return values


def probe(name: str, *arguments: str) -> None:
    """What a fresh process runs; prints JSON."""
    probes: dict[str, Callable[..., dict[str, float]]] = {
        "load": _load,
        "streams": _streams,
        "slope": _slope,
    }
    found = probes[name](*arguments)
    sys.stdout.write(json.dumps(found) + "\n")


def _load() -> dict[str, float]:
    import whisper_service.audio.decode
    import whisper_service.engine.by_name
    import whisper_service.streaming.restart
    import whisper_service.vad.silero  # noqa: F401 - the floor is everything imported
    from whisper_service.evaluation.bench.workload import bundled_clip

    bundled_clip()  # PyAV is imported by what decodes
    floor = rss()
    _transcribe(_engine())
    total = rss()
    return {"floor": floor, "above": total - floor, "total": total}


def _streams() -> dict[str, float]:
    engine = _engine()
    kept = [_transcribe(engine), _transcribe(engine)]  # the heap has its size after the second
    before = rss()
    kept += [_transcribe(engine) for _ in range(STREAMS)]
    return {"stream": (rss() - before) / STREAMS}


def _slope(minutes: str) -> dict[str, float]:
    """Least-squares growth over the second half of ``minutes`` of looped audio, MiB an hour."""
    from whisper_service.evaluation.bench.workload import bundled_clip, stream_options
    from whisper_service.streaming.transcriber import StreamTranscriber

    clip = bundled_clip().samples
    stream = StreamTranscriber(_engine(), stream_options(max_segments=SEGMENTS))
    points: list[tuple[float, float]] = []
    seconds = 0.0
    while seconds < float(minutes) * 60:
        for first in range(0, len(clip), 8000):
            stream.feed(clip[first : first + 8000])
        seconds += len(clip) / 16_000
        points.append((seconds / 3600, rss()))
    late = points[len(points) // 2 :]
    hours, values = np.array(late).T
    return {"slope": float(np.polyfit(hours, values, 1)[0]), "minutes": float(minutes)}


def _engine() -> Any:
    from whisper_service.engine.by_name import load_model

    engine = load_model("demo")
    engine.warm_up()
    return engine


def _transcribe(engine: Any) -> Any:
    """A stream that has heard the bundled recording."""
    from whisper_service.evaluation.bench.workload import bundled_clip, stream_options
    from whisper_service.streaming.transcriber import StreamTranscriber

    stream = StreamTranscriber(engine, stream_options())
    samples = bundled_clip().samples
    for first in range(0, len(samples), 8000):
        stream.feed(samples[first : first + 8000])
    return stream
