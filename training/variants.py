"""Random espeak-ng voice variants to train on: no two speakers in the world sound alike.

A model that has heard a few dozen voices fails on one that is unlike them all. The variants that
the library brings are shuffled attribute by attribute, or drawn at random, and written into a data
folder of our own, which the library then reads. The format: docs/voices.md of espeak-ng.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

SLOTS = 16  # variants that exist at a time: the library may look at the newest again
RATIO = 0.12  # by how much each number of an attribute may change
SWAPPED = 0.4  # share of attributes that come from another variant
INVENTED = 0.4  # share of variants that are drawn at random
FORMANTS = range(9)
KEPT = {"formant", "pitch", "voicing", "consonants", "tone", "roughness", "flutter", "echo"}
KEPT |= {"breath", "breathw", "klatt", "stressAmp", "stressAdd", "intonation"}
WHOLE = {"klatt", "intonation", "stressAmp", "stressAdd"}  # numbers that mean something as they are

Attributes = dict[str, list[int]]  # "formant 3" → its numbers


class RandomVariants:
    """A data folder of its own for espeak-ng, in which one variant after the other is made.

    Sets ``ESPEAK_DATA_PATH``: it must be made before the library is loaded. Only variants of
    ``names`` are found in the folder, as the library knows 350 voices at most.
    """

    def __init__(self, names: Sequence[str]) -> None:
        data, self._home = data_folder(), TemporaryDirectory()
        own = Path(self._home.name) / "espeak-ng-data"
        self._folder, variants = own / "voices" / "!v", data / "voices" / "!v"
        _link(own, (path for path in data.iterdir() if path.name != "voices"))
        _link(own / "voices", (path for path in (data / "voices").iterdir() if path.name != "!v"))
        _link(self._folder, (variants / name for name in names))
        self._known = [read_variant(variants / name) for name in names]
        for slot in range(SLOTS):
            self._write(slot, self._known[0])
        self._made = 0
        os.environ["ESPEAK_DATA_PATH"] = str(own)

    def draw(self, rng: random.Random) -> str:
        """Make a variant; its name is good until ``SLOTS`` more have been drawn."""
        self._made += 1
        return self._write(self._made % SLOTS, draw_variant(self._known, rng))

    def _write(self, slot: int, attributes: Attributes) -> str:
        name = f"random{slot}"
        (self._folder / name).write_text(write_variant(name, attributes), encoding="utf-8")
        return name


def data_folder() -> Path:
    """Where espeak-ng keeps its voices. Raises ``FileNotFoundError`` where it is not installed."""
    for pattern in ("lib/*/espeak-ng-data", "share/espeak-ng-data", "lib/espeak-ng-data"):
        for path in Path("/usr").glob(pattern):
            return path
    raise FileNotFoundError("espeak-ng's data; install it with: apt-get install espeak-ng-data")


def read_variant(path: Path) -> Attributes:
    """The attributes of a variant file that make a sound."""
    found: Attributes = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split("//")[0].split()
        if not words or words[0] not in KEPT:
            continue
        try:
            numbers = [round(float(word)) for word in words[1:]]
        except ValueError:
            continue
        if words[0] == "formant" and numbers:
            found[f"formant {numbers[0]}"] = numbers[1:]
        else:
            found[words[0]] = numbers
    return found


def draw_variant(known: list[Attributes], rng: random.Random) -> Attributes:
    """A voice out of parts of known ones, or invented."""
    if rng.random() < INVENTED:
        return invented(rng)
    drawn = dict(rng.choice(known))
    for other in rng.sample(known, 3):
        drawn |= {name: numbers for name, numbers in other.items() if rng.random() < SWAPPED / 3}
    return {
        name: numbers if name in WHOLE else [_about(n, rng) for n in numbers]
        for name, numbers in drawn.items()
    }


def invented(rng: random.Random) -> Attributes:
    """A voice drawn at random: size of the throat, loudness and width of formants, tone, breath."""
    size = rng.uniform(0.78, 1.3)
    drawn: Attributes = {
        f"formant {i}": [
            round(100 * size * rng.uniform(0.88, 1.12)),
            rng.randint(60, 170),
            rng.randint(60, 170),
        ]
        for i in FORMANTS
    }
    low = rng.randint(55, 170)
    drawn["pitch"] = [low, round(low * rng.uniform(1.15, 2.1))]
    drawn["roughness"] = [rng.randint(0, 5)]
    drawn["flutter"] = [rng.randint(0, 6)]
    optional: Attributes = {
        "voicing": [rng.randint(40, 160)],
        "consonants": [rng.randint(50, 140), rng.randint(50, 140)],
        "echo": [rng.randint(20, 130), rng.randint(5, 30)],
        "breath": [rng.randint(0, 6) for _ in range(8)],
        "tone": [
            number
            for hertz in (rng.randint(80, 300), 800, 2000, rng.randint(3000, 5000))
            for number in (hertz, rng.randint(60, 250))
        ],
    }
    return drawn | {name: numbers for name, numbers in optional.items() if rng.random() < 0.4}


def write_variant(name: str, attributes: Attributes) -> str:
    """The text of a variant file."""
    lines = ["language variant", f"name {name}"]
    lines += [f"{key} {' '.join(map(str, numbers))}" for key, numbers in attributes.items()]
    return "\n".join(lines) + "\n"


def _about(number: int, rng: random.Random) -> int:
    return round(number * rng.uniform(1 - RATIO, 1 + RATIO))


def _link(folder: Path, sources: Iterable[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sources:
        (folder / path.name).symlink_to(path)
