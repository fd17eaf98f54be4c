"""Recordings kept on disk, so that every run hears the same samples."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from whisper_service.evaluation.corpus import SpokenWord
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.switching import Stretch

SCALE = 32767


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/whisper-service/evaluation``, usually under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "whisper-service" / "evaluation"


class RecordingStore:
    """A folder of recordings: 16-bit samples and their truth, one file each."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def get(self, key: str, make: Callable[[], Recording]) -> Recording:
        """The recording of ``key``; made and kept if it is not there yet.

        What was just made goes through the file's 16 bits too: it sounds the same next time.
        """
        path = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if not path.exists():
            self._write(path, make())
        with np.load(path) as file:
            samples = file["samples"].astype(np.float32) / SCALE
            return _recording(json.loads(str(file["truth"])), samples)

    def _write(self, path: Path, recording: Recording) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        truth = {
            "name": recording.name,
            "suite": recording.suite,
            "languages": recording.languages,
            "speech": [asdict(s) for s in recording.speech],
            "words": [asdict(w) for w in recording.words],
            "texts": recording.texts,
            "inserted": [asdict(w) for w in recording.inserted],
        }
        samples = np.round(recording.samples * SCALE).astype(np.int16)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial, samples=samples, truth=json.dumps(truth, ensure_ascii=False))
        partial.replace(path)


def _recording(truth: dict[str, Any], samples: np.ndarray) -> Recording:
    return Recording(
        name=truth["name"],
        suite=truth["suite"],
        languages=tuple(truth["languages"]),
        samples=samples,
        speech=tuple(Stretch(**s) for s in truth["speech"]),
        words=tuple(SpokenWord(**w) for w in truth["words"]),
        texts=tuple(truth["texts"]),
        inserted=tuple(SpokenWord(**w) for w in truth["inserted"]),
    )
