"""Reading the clips of ``data.py``, and a bank of noises in the log-mel domain."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import FLOOR, Clip, log_mel, mel_edges
from training.grammar import LANGUAGES
from training.noise import colored_noise, hum

Power = NDArray[np.float32]  # mel power [frames, 80]
WARPED = 0.3
WARPS = (0.86, 0.89, 0.92, 0.95, 1.05, 1.08, 1.12, 1.16)  # longer and shorter throats


class Clips:
    """All clips of a folder, by language; shards that appear later are found by :meth:`refresh`."""

    def __init__(self, folder: Path, skip: int = 0) -> None:
        self.folder, self.skip = folder, skip
        self.arrays: dict[str, NDArray[np.float16]] = {}
        self.by_language: dict[str, list[tuple[str, Clip]]] = {
            language: [] for language in LANGUAGES
        }
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were written since the last call."""
        for path in sorted(self.folder.glob("*.json")):
            if path.stem in self.arrays:
                continue
            self.arrays[path.stem] = np.load(path.with_suffix(".npy"), mmap_mode="r")
            for fields in json.loads(path.read_text()):
                clip = Clip(**fields)
                self.by_language[clip.language].append((path.stem, clip))

    def __len__(self) -> int:
        return sum(len(clips) for clips in self.by_language.values())

    def draw(self, language: str, rng: random.Random) -> tuple[Clip, Power]:
        """A random clip and its mel power [frames, 80]."""
        shard, clip = rng.choice(self.by_language[language])
        rows = self.arrays[shard][clip.first : clip.first + clip.frames]
        return clip, np.power(10.0, rows.astype(np.float32))

    def varied(self, power: Power, rng: random.Random) -> Power:
        """The same words out of another throat, now and then."""
        return power @ warp(rng.choice(WARPS)) if rng.random() < WARPED else power

    def silence(self, frames: int) -> Power:
        """Digital silence."""
        return np.full((frames, 80), 10.0**FLOOR, np.float32)


def noise_bank(clips: Clips, seed: int, seconds: float = 30.0) -> tuple[list[Power], list[Power]]:
    """Stationary noises and babble of eight talkers, as mel power of unit loudness [frames, 80]."""
    generator, rng = np.random.default_rng(seed), random.Random(seed)
    waves = [colored_noise(seconds, slope, generator) for slope in (0, 0, 0.5, 1, 1, 1.5, 2, 2)]
    waves += [hum(seconds, f, generator) for f in (50, 60, 100)]
    babble = [_babble(clips, int(seconds * 100), rng) for _ in range(6)]
    return [np.power(10.0, log_mel(w)) for w in waves], babble


def _babble(clips: Clips, frames: int, rng: random.Random, talkers: int = 8) -> Power:
    total = np.zeros((frames, 80), np.float32)
    for _ in range(talkers):
        position = -rng.randint(0, 200)
        while position < frames:
            _, power = clips.draw(rng.choice(LANGUAGES), rng)
            first, last = max(position, 0), min(position + len(power), frames)
            if last > first:
                total[first:last] += power[first - position : last - position]
            position += len(power) + rng.randint(5, 40)
    return total / total.mean() * 0.02


@cache
def warp(factor: float) -> NDArray[np.float32]:
    """Matrix [80, 80] that moves what sounds at ``factor * f`` to ``f``, for mel powers.

    Vocal tract length perturbation: Jaitly and Hinton, 2013.
    """
    hertz = mel_edges()[1:-1]
    at = np.interp(hertz * factor, hertz, np.arange(len(hertz)))
    lower = np.minimum(at.astype(int), len(hertz) - 2)
    matrix = np.zeros((len(hertz), len(hertz)), np.float32)
    columns = np.arange(len(hertz))
    matrix[lower, columns] = 1 - (at - lower)
    matrix[lower + 1, columns] += at - lower
    return matrix
