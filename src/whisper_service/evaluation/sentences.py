"""Everyday sentences written by hand: in no template, in no training data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path


@cache
def written_sentences(split: str) -> dict[str, tuple[str, ...]]:
    """Language code → its sentences of a split (``test``: 34 each, ``dev``: 12 each)."""
    path = Path(__file__).parent / "data" / "written.json"
    stored: dict[str, dict[str, list[str]]] = json.loads(path.read_text(encoding="utf8"))
    return {language: tuple(splits[split]) for language, splits in stored.items()}
