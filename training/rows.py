"""Windows as numbers of rows of one table of sound that lies on the GPU.

A process that plans windows needs no sound: a window is a list of rows, and the text, the times
and the labels that go with them. What a window sounds like is made on the GPU (``sound.py``).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import LONGEST, PADDED, PROMPTED, WINDOWS, draw_window
from training.batches import IGNORE, SPANS, Batch, Example, Maker, by_length
from training.data import Clip
from training.shards import Clips

SLOT = 150_000  # rows kept for a shard of SHARD clips: 133,000 are used, give or take 3,000
SHARD = 500
POOL = 1500  # windows sorted by length at a time


class RowClips(Clips):
    """Every ``of``-th shard of a folder of descriptions; the sound of a clip is its row numbers."""

    def __init__(self, folder: Path, index: int, of: int) -> None:
        self.index, self.of = index, of
        self.bases: dict[str, int] = {}  # shard → its first row
        super().__init__(folder)

    def refresh(self) -> None:
        """Take in shards that were announced since the last call."""
        for path in sorted(self.folder.glob("*.json")):
            number = int(path.stem)
            if number % self.of != self.index or path.stem in self.bases:
                continue
            self.bases[path.stem] = 1 + number * SLOT
            for values in json.loads(path.read_text()):
                clip = Clip(**values)
                self.by_language[clip.language].append((path.stem, clip))

    def draw(self, language: str, rng: random.Random) -> tuple[Clip, NDArray[np.int64]]:
        """A random clip and its rows."""
        shard, clip = rng.choice(self.by_language[language])
        first = self.bases[shard] + clip.first
        return clip, np.arange(first, first + clip.frames)

    def varied(self, power: NDArray[np.int64], rng: random.Random) -> NDArray[np.int64]:  # noqa: ARG002 - as in the base
        """The rows as they are: throats are changed on the GPU."""
        return power

    def silence(self, frames: int) -> NDArray[np.int64]:
        """Row 0 is silent."""
        return np.zeros(frames, np.int64)


@dataclass(frozen=True)
class RowBatch:
    """Arrays of a batch of windows, before there is a sound to them."""

    rows: NDArray[np.int32]  # [B, T]
    heard: NDArray[np.int64]  # [B], frames before the padding to 30 s
    lengths: NDArray[np.int64]  # [B]
    speech: NDArray[np.bool_]  # [B]
    tokens: NDArray[np.int64]  # [B, S]
    targets: NDArray[np.int64]  # [B, S]
    guides: NDArray[np.int16]  # [B, S, 2], first and last encoder frame of each query
    phones: NDArray[np.int64]  # [B, T / 2]
    spans: NDArray[np.int16]  # [B, SPANS, 2], first and last encoder frame
    languages: NDArray[np.int64]  # [B, SPANS]

    def to(self, device: torch.device) -> dict[str, Tensor]:
        """All arrays as tensors on a device."""
        return {f.name: torch.from_numpy(getattr(self, f.name)).to(device) for f in fields(self)}


def sounded(tensors: dict[str, Tensor], mels: Tensor) -> Batch:
    """The batch that a model learns from, with its mels [B, 80, T]."""
    frame = torch.arange(mels.shape[2] // 2, device=mels.device)
    guides, spans = tensors["guides"], tensors["spans"]
    return Batch(
        mels,
        tensors["lengths"],
        tensors["tokens"],
        tensors["targets"],
        (frame >= guides[..., :1]) & (frame <= guides[..., 1:]),
        tensors["phones"],
        (frame >= spans[..., :1]) & (frame <= spans[..., 1:]),
        tensors["languages"],
    )


def row_batches(clips: RowClips, maker: Maker, seed: int, budget: int) -> Iterator[RowBatch]:
    """An endless stream of batches of windows of similar length, about ``budget`` frames each."""
    rng = random.Random(seed)
    while True:
        planned = [_plan(clips, maker, rng) for _ in range(POOL)]
        heard = {id(example): frames for example, frames in planned}
        for group in by_length([example for example, _ in planned], budget, rng, largest=1024):
            yield _collate(group, [heard[id(example)] for example in group], maker)
        clips.refresh()


def _plan(clips: RowClips, maker: Maker, rng: random.Random) -> tuple[Example, int]:
    window = draw_window(clips, rng, WINDOWS)
    rows = window.power
    heard = len(rows)
    if rng.random() < PADDED:
        rows = np.pad(rows, (0, LONGEST - heard))
    prompt = clips.draw(window.language, rng)[0].text if rng.random() < PROMPTED else ""
    return maker.example(window, rows, prompt, rng), heard


def _collate(examples: list[Example], heard: list[int], maker: Maker) -> RowBatch:
    n = len(examples)
    width = _rounded(max(len(e.tokens) for e in examples), 8)  # a GPU is slow with odd sizes
    frames = min(LONGEST, _rounded(max(len(e.mel) for e in examples), 16))
    batch = RowBatch(
        np.zeros((n, frames), np.int32),
        np.array(heard),
        np.array([len(e.mel) for e in examples]),
        np.array([maker.special["nospeech"] not in e.targets for e in examples]),
        np.full((n, width), maker.special["endoftext"]),
        np.full((n, width), IGNORE),
        np.full((n, width, 2), (1, 0), np.int16),
        np.full((n, frames // 2), IGNORE),
        np.zeros((n, SPANS, 2), np.int16),
        np.full((n, SPANS), IGNORE),
    )
    for i, e in enumerate(examples):
        batch.rows[i, : len(e.mel)] = e.mel
        batch.tokens[i, : len(e.tokens)] = e.tokens
        batch.targets[i, : len(e.targets)] = e.targets
        batch.phones[i, : len(e.phones)] = e.phones
        for query, first, last in e.guides:
            batch.guides[i, query] = first, last
        for k, (first, last, target) in enumerate(e.spans):
            batch.spans[i, k] = first, last - 1
            batch.languages[i, k] = target
    return batch


def _rounded(size: int, to: int) -> int:
    return -(-size // to) * to
