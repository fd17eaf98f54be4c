"""Models converted for faster-whisper: where they lie, and which weights they were made from."""

from __future__ import annotations

import json
from pathlib import Path

from whisper_service.evaluation.store import default_folder

COPIED = ("tokenizer.json", "preprocessor_config.json")
"""What faster-whisper reads beside the converted weights."""

WEIGHTS = "model.bin"
_SOURCE = "source.json"


def converted_folder(model: str) -> Path:
    """Folder of a converted model in the user's cache, beside the recordings."""
    return default_folder().parent / "faster-whisper" / model.strip("/").replace("/", "--")


def write_source(folder: Path, fingerprint: str) -> None:
    """Note the fingerprint of the checkpoint that ``folder`` was converted from."""
    (folder / _SOURCE).write_text(json.dumps({"fingerprint": fingerprint}) + "\n", "utf-8")


def read_source(folder: Path) -> str | None:
    """The fingerprint of the checkpoint that ``folder`` was converted from, where it is known."""
    file = folder / _SOURCE
    return str(json.loads(file.read_text("utf-8"))["fingerprint"]) if file.exists() else None
