"""Reads the files of ``scripts/make_golden.py``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkpoints import LAYOUTS, random_mel
from reference.files import Array, Checkpoint
from reference.mel import unpack

TESTS = Path(__file__).parent
DEMO = TESTS.parent / "src" / "whisper_service" / "models" / "demo"
NAMES = (*(name for name in LAYOUTS if name != "looping"), "demo")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One window of a golden file: what went in and what ``transformers`` made of it."""

    model: str
    name: str
    mel: Floats
    frames: int
    spans: list[tuple[int, int]]
    decodes: list[dict[str, Any]]
    arrays: dict[str, NDArray[Any]]  # by the names of the script, without the case's own

    def attention(self, decode: dict[str, Any]) -> Array:
        """Cross-attention of the first tokens, ``[tokens, positions seen]``."""
        return self.of(decode, "attention").astype(np.float64) / 65535

    def of(self, decode: dict[str, Any], what: str) -> NDArray[Any]:
        return self.arrays[f"{decode['key']}/{what}"]

    def __getitem__(self, what: str) -> NDArray[Any]:
        return self.arrays[f"{self.name}/{what}"]


@cache
def read_golden(model: str) -> tuple[dict[str, Any], list[Case]]:
    """What the file says about itself, and its cases."""
    with np.load(TESTS / "golden" / f"{model}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays.pop("meta").tobytes())
    cases = [_case(model, entry, arrays) for entry in meta.pop("cases")]
    return meta, cases


def _case(model: str, entry: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Case:
    return Case(
        model=model,
        name=entry["name"],
        mel=_mel(model, entry["source"]),
        frames=entry["frames"],
        spans=[(start, end) for start, end in entry["spans"]],
        decodes=entry["decodes"],
        arrays=arrays,
    )


def _mel(model: str, source: dict[str, Any]) -> Floats:
    if "clip" in source:
        return clip(source["clip"])
    return random_mel(LAYOUTS[model].n_mels, source["frames"], seed=source["seed"])


def clip(language: str) -> Floats:
    """Features ``[80, frames]`` of synthetic speech."""
    with np.load(TESTS / "data" / "clips.npz") as file:
        return unpack(file[f"mel_{language}"])


def half_word(language: str) -> Floats:
    """Samples at 16 kHz: silence and the first 0.15 s of a word."""
    with np.load(TESTS / "data" / "clips.npz") as file:
        return (file[f"half_{language}"] / 32767).astype(np.float32)


def request_options(decode: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the request a golden decode answers, without its encoding."""
    return {
        "language": decode["language"],
        "task": decode["task"],
        "prompt": tuple(decode["prompt"]),
        "prefix": tuple(decode["prefix"]),
        "span": decode["span"] and tuple(decode["span"]),
        "max_new_tokens": decode["max_new_tokens"],
    }


def projection(size: int) -> Array:
    """The direction on which the golden files project long vectors."""
    return np.random.default_rng(size).standard_normal(size) / np.sqrt(size)


def fingerprint(checkpoint: Checkpoint) -> str:
    """Identifies the weights and settings a golden file was made of."""
    names = ("model.encoder.conv1.weight", "model.decoder.layers.0.fc1.weight")
    data = b"".join(checkpoint.tensors[name].astype(np.float32).tobytes() for name in names)
    settings = ("alignment_heads", "suppress_tokens", "begin_suppress_tokens")
    values = [list(checkpoint.languages), *(checkpoint.generation.get(name) for name in settings)]
    return hashlib.sha256(data + json.dumps(values).encode()).hexdigest()


def error(actual: Any, expected: Any, *, scale: float = 1e-9) -> float:
    """Largest difference as a share of the largest expected value, taken as at least ``scale``.

    Log-probabilities need ``scale=1``: they are small differences of large logits.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    if not expected.size:
        return 0.0
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), scale))
