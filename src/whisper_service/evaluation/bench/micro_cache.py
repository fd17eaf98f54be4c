"""What a look-up in the encoder cache costs, by position and by content, against the old way.

The old way hashes rounded samples with SHA-256. How often a live stream hits is measured by the
pipeline benchmark; here every side is asked for what it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from whisper_service.engine.encoder_cache import EncoderCache
from whisper_service.evaluation.bench.measuring import Section, Table, interleave, short
from whisper_service.types import SAMPLE_RATE, FloatArray

PER_BLOCK = 10
OLD = "old way, by content"


def old_key(audio: FloatArray) -> str:
    """The old cache's key: SHA-256 of the samples rounded to six decimals."""
    return hashlib.sha256(np.round(audio, 6).tobytes()).hexdigest()


def encoder_cache(*, quick: bool) -> Section:
    """Look-ups of windows of 1 to 30 s."""
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for seconds in (1, 3, 10, 30):
        times = interleave(_sides(seconds), blocks=10 if quick else 40)
        for name in times.sides:
            microseconds = times.median(name, per=PER_BLOCK) * 1e6
            gain = times.ratio(OLD, name)
            rows.append((f"{seconds} s", name, short(microseconds), str(gain)))
            data[f"{name}, {seconds} s"] = {"us": microseconds, "gain": gain.as_dict()}
    table = Table(header=("audio", "look-up", "µs", "old way against it"), rows=tuple(rows))
    return Section(name="cache", title="Encoder cache", tables=(table,), data=data)


def _sides(seconds: int) -> dict[str, Callable[[], None]]:
    random = np.random.default_rng(0)
    audio = random.uniform(-1, 1, seconds * SAMPLE_RATE).astype(np.float32)
    output = np.zeros((seconds * 50, 384), np.float32)
    cache, old = EncoderCache(), {old_key(audio): output}
    known = cache.precompute_hash(audio)
    cache.put(output, audio=audio)
    cache.put_span(output, "stream", first=0, last=len(audio))
    return {
        "by position": _repeated(lambda: cache.get_span("stream", 0, len(audio))),
        "by a hash made before": _repeated(lambda: cache.get(audio_hash=known)),
        "by content": _repeated(lambda: cache.get(audio=audio)),
        OLD: _repeated(lambda: old[old_key(audio)]),
    }


def _repeated(look_up: Callable[[], object]) -> Callable[[], None]:
    def block() -> None:
        for _ in range(PER_BLOCK):
            look_up()

    return block
