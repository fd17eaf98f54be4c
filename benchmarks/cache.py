"""What a look-up in the encoder cache costs, by position and by content, against the old way.

    python benchmarks/cache.py [--json]

The old way hashes rounded samples with SHA-256. How often a live stream hits is measured by the
pipeline benchmark; here every side is asked for what it has.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable

import numpy as np
from common import interleave, provenance, ratio, report, table

from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.types import SAMPLE_RATE, FloatArray

PER_BLOCK = 10


def old_key(audio: FloatArray) -> str:
    return hashlib.sha256(np.round(audio, 6).tobytes()).hexdigest()


def repeated(look_up: Callable[[], object]) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            look_up()

    return block


def sides(seconds: int) -> dict[str, Callable[[], None]]:
    random = np.random.default_rng(0)
    audio = random.uniform(-1, 1, seconds * SAMPLE_RATE).astype(np.float32)
    output = np.zeros((seconds * 50, 384), np.float32)
    cache, old = EncoderCache(), {old_key(audio): output}
    known = cache.precompute_hash(audio)
    cache.put(output, audio=audio)
    cache.put_span(output, "stream", first=0, last=len(audio))
    return {
        "by position": repeated(lambda: cache.get_span("stream", 0, len(audio))),
        "by a hash made before": repeated(lambda: cache.get(audio_hash=known)),
        "by content": repeated(lambda: cache.get(audio=audio)),
        "old way, by content": repeated(lambda: old[old_key(audio)]),
    }


def main() -> None:
    rows, data = [], {}
    for seconds in (1, 3, 10, 30):
        times = interleave(sides(seconds), blocks=40)
        old = times["old way, by content"]
        for name, values in times.items():
            microseconds = statistics.median(values) / PER_BLOCK * 1e6
            data[f"{name}, {seconds} s"] = microseconds
            rows.append((f"{seconds} s", name, f"{microseconds:.2f}", ratio(old, values)))
    body = table(rows, ("audio", "look-up", "µs", "old way against it"))
    report("Encoder cache", provenance(), body, data)


if __name__ == "__main__":
    main()
