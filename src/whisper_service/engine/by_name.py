"""A model's name as people know it → a loaded engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from whisper_service.engine.load import ComputeType, load_engine
from whisper_service.engine.openvino import OpenVinoEngine
from whisper_service.models.store import resolve


def load_model(
    name: str | Path,
    *,
    models_dir: str | Path | None = None,
    download: bool = True,
    compute_type: ComputeType = "auto",
    threads: int | None = None,
    context: float | Literal["auto", "full"] = "auto",
) -> OpenVinoEngine:
    """Load ``"demo"``, ``"base"``, ``"openai/whisper-base"`` or a folder.

    A model that is not on this machine is fetched first, unless ``download`` is off.

    Raises:
        ModelNotFoundError: no such model, or not here and not to be fetched.
        ModelDownloadError: the hub could not be reached.
        ModelFormatError: the files are incomplete or not a Whisper model.
        InvalidOptionError: an option that cannot work.
    """
    folder = resolve(name, models_dir=models_dir, download=download)
    return load_engine(
        folder, name=str(name), compute_type=compute_type, threads=threads, context=context
    )
