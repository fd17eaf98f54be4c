"""The parts alone: buffer, cache, metrics, features, speech detection, meaningful text."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from whisper_service.evaluation.bench.measuring import Progress, Section

PARTS = {
    "buffer": ("micro_buffer", "ring_buffer"),
    "cache": ("micro_cache", "encoder_cache"),
    "metrics": ("micro_metrics", "metrics"),
    "features": ("micro_features", "features"),
    "vad": ("micro_vad", "speech_detection"),
    "meaningful": ("micro_text", "meaningful"),
}
"""Name of a part → the module and the function that measure it."""


def measure(part: str, *, quick: bool = False) -> Section:
    """Measure one of :data:`PARTS`."""
    module, function = PARTS[part]
    found: Callable[..., Section] = getattr(
        import_module(f"whisper_service.evaluation.bench.{module}"), function
    )
    return found(quick=quick)


def micro(*, quick: bool, progress: Progress) -> list[Section]:
    """Measure every part."""
    sections = []
    for part in PARTS:
        progress(f"{part} alone")
        sections.append(measure(part, quick=quick))
    return sections
