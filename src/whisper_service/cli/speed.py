"""How fast this machine is, and which model size that is enough for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from whisper_service.cli.console import Console
from whisper_service.cli.demo import demo_job
from whisper_service.cli.runner import load_model
from whisper_service.cli.settings import ModelChoice
from whisper_service.types import Mode, to_seconds

if TYPE_CHECKING:
    from whisper_service.engine.base import Engine

_FRAMES = 1500  # encoder frames in 30 s, which stock checkpoints always compute
_UPDATE = 0.5  # s between two live updates
_LIVE_SHARE = 0.6  # of an update that the encoder may take; the rest is for decoding
_OFFLINE_SPEED = 2.0  # times real time that make waiting for a recording bearable


@dataclass(frozen=True, slots=True)
class _Size:
    """Dimensions of a published checkpoint's encoder (openai/whisper ``model-card.md``)."""

    name: str
    width: int
    layers: int

    @property
    def gigaflops(self) -> float:
        """Of one pass over 30 s: projections and MLP (24 d² a frame and layer), attention."""
        per_frame = 24 * self.width**2 + 4 * _FRAMES * self.width
        return _FRAMES * self.layers * per_frame / 1e9


_SIZES = (
    _Size("tiny", 384, 4),
    _Size("base", 512, 6),
    _Size("small", 768, 12),
    _Size("medium", 1024, 24),
    _Size("large-v3-turbo", 1280, 32),
)


def measure(console: Console) -> Iterator[tuple[str, str]]:
    """Measure for about ten seconds; yields ``(subject, finding)``."""
    engine = load_model(ModelChoice(name="demo"), console=console)
    modes: tuple[Mode, ...] = ("offline", "fast")
    for mode in modes:
        yield "speed", f"demo model, {mode}: {_real_time_factor(engine, mode):.0f}x real time"
    encoder = encoder_gigaflops(engine)
    yield "speed", f"its encoder computes {encoder:.0f} GFLOP/s, larger ones rather more"
    yield "recommended", recommendation(encoder)


def _real_time_factor(engine: Engine, mode: Mode) -> float:
    """Seconds of the bundled recording done per second, the model loaded and warm."""
    from whisper_service.streaming.offline import transcribe

    with demo_job(mode) as job:
        chunks = list(job.input.chunks)
        transcribe(engine, chunks, job.options)
        started = time.perf_counter()
        transcript = transcribe(engine, chunks, job.options)
        return to_seconds(transcript.duration) / (time.perf_counter() - started)


def encoder_gigaflops(engine: Engine, *, repeat: int = 5) -> float:
    """Speed of the demo model's encoder over 30 s, best of ``repeat``.

    Its matrices are small, so this is a lower bound for what larger models reach.
    """
    from whisper_service.models.checkpoint import load_checkpoint
    from whisper_service.models.store import DEMO_FOLDER

    mel = np.zeros((engine.n_mels, 2 * _FRAMES), np.float32)
    engine.encode([mel])
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        engine.encode([mel])
        times.append(time.perf_counter() - started)
    config = load_checkpoint(DEMO_FOLDER).config
    size = _Size("demo", config.d_model, config.encoder_layers)
    return size.gigaflops / min(times)


def recommendation(gigaflops: float) -> str:
    """Say which published size this speed is enough for, live and offline."""
    live = _largest(gigaflops, _UPDATE * _LIVE_SHARE)
    offline = _largest(gigaflops, 30.0 / _OFFLINE_SPEED * _LIVE_SHARE)
    return (
        f"{live or 'tiny, with a lag,'} for live speech, {offline or 'tiny'} for recordings "
        "(estimated from the work of their encoders; try it with --stats)"
    )


def _largest(gigaflops: float, seconds: float) -> str | None:
    """The largest size whose encoder pass takes at most ``seconds``."""
    able = [size.name for size in _SIZES if size.gigaflops / gigaflops <= seconds]
    return able[-1] if able else None
