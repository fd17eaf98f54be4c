"""Any folder of recordings with a ``manifest.jsonl`` that says what is in them.

One JSON object a line: ``file`` (relative to the folder), ``lang`` or ``langs``, ``text``, and for
recordings with changes ``segments``: ``start`` and ``end`` in seconds, ``lang``, ``text``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from whisper_service.audio.sources import FileSource
from whisper_service.errors import InvalidOptionError
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.switching import Stretch
from whisper_service.types import to_samples

NAME = "manifest.jsonl"


def load_manifest(folder: Path) -> Iterator[Recording]:
    """Recordings of ``folder``; those without a text are scored for their language only.

    A recording without ``segments`` counts as speech from end to end. Raises
    ``InvalidOptionError`` for a missing or malformed manifest, ``AudioDecodeError`` for a file.
    """
    path = folder / NAME
    if not path.is_file():
        raise InvalidOptionError(f"{folder} has no {NAME}; see docs/CODE_SWITCHING_BENCHMARK.md")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            yield _recording(folder, _entry(line, place=f"{path}, line {number}"))


def _entry(line: str, *, place: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidOptionError(f"{place}: not JSON ({error.msg})") from None
    if not isinstance(entry, dict) or "file" not in entry:
        raise InvalidOptionError(f"{place}: expected an object with a 'file'")
    if not (entry.get("segments") or entry.get("lang") or entry.get("langs")):
        raise InvalidOptionError(f"{place}: 'lang', 'langs' or 'segments' is missing")
    return entry


def _recording(folder: Path, entry: dict[str, Any]) -> Recording:
    samples = np.concatenate([np.zeros(0, np.float32), *FileSource(folder / entry["file"])])
    codes = tuple(entry.get("langs") or (entry["lang"],))
    parts = entry.get("segments") or [
        {
            "start": 0.0,
            "end": len(samples) / 16000,
            "lang": entry.get("lang") or codes[0],
            "text": entry.get("text") or "",
        }
    ]
    return Recording(
        name=entry["file"],
        suite="manifest",
        languages=codes,
        samples=samples,
        speech=tuple(
            Stretch(start=to_samples(p["start"]), end=to_samples(p["end"]), language=p["lang"])
            for p in parts
        ),
        texts=tuple(p.get("text") or "" for p in parts),
    )
