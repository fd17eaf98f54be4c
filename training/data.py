"""Clips of clean speech as log-mel shards: ``python -m training.data --clips 60000 --out FOLDER``.

A shard is two files: ``N.npy``, float16 [frames, 80] unclamped log10-mel of all its clips one
after the other (10 ms a frame), and ``N.json``, a list of :class:`Clip` fields. Clips are clean:
noise, cuts and the joining of sentences are applied when a batch is made (``augment.py``).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from tqdm import tqdm

from training.grammar import LANGUAGES, sentence
from training.voices import FLITE_VOICES, speak, speak_festival, speak_flite
from whisper_service.evaluation.synthesizer import Utterance

HOP, N_FFT, N_MELS = 160, 400, 80
FLOOR = -10.0  # log10 power of digital silence
CLIPS_A_SHARD = 2000
OTHERS = bool(shutil.which("flite") and shutil.which("text2wave"))  # else espeak-ng speaks it all


@dataclass
class Clip:
    """One spoken sentence; times in seconds from its first frame."""

    language: str
    text: str
    kind: str
    first: int  # row of the shard's array
    frames: int  # rows, always even
    words: list[tuple[int, int, float, float]]  # first character, one past the last, start, end
    phones: list[tuple[str, float]]  # phoneme, start


def mel_edges() -> NDArray[np.float64]:
    """Edges and centres [82] of Whisper's mel bands in Hz (Slaney scale, 0-8 kHz)."""

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + np.log(8000 / 1000) * 27 / np.log(6.4)
    return to_hz(np.linspace(0, top, N_MELS + 2))


@cache
def mel_filters() -> NDArray[np.float32]:
    """Whisper's filter bank [80, 201] (Slaney scale and norm, 0-8 kHz)."""
    edges = mel_edges()
    ramps = edges[:, None] - np.linspace(0, 8000, N_FFT // 2 + 1)[None]
    widths = np.diff(edges)[:, None]
    rising, falling = -ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]
    scale = (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return (np.maximum(0, np.minimum(rising, falling)) * scale).astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unclamped log10-mel [frames, 80] of samples at 16 kHz, with silence on both sides."""
    padded = np.pad(samples, (N_FFT // 2, N_FFT // 2))
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: len(samples) // HOP]
    power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    return np.log10(np.maximum(power @ mel_filters().T, 10.0**FLOOR))


def reverberated(samples: NDArray[np.float32], rng: random.Random) -> NDArray[np.float32]:
    """Add a short synthetic room (decaying noise of 50-300 ms)."""
    length = int(rng.uniform(0.05, 0.3) * 16000)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(length)
    response = noise * np.exp(-np.arange(length) / (length / 5))
    response *= rng.uniform(0.1, 0.4) / np.sqrt((response**2).sum())
    response[0] = 1.0
    return fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def make_clip(rng: random.Random) -> tuple[Clip, NDArray[np.float32]]:
    """Speak one random sentence: its description and its log-mel [frames, 80]."""
    language = rng.choice(LANGUAGES)
    text, kind = sentence(language, rng)
    draw = rng.random()
    if language == "en" and draw < 0.03 and OTHERS:
        samples = (
            speak_festival(text) if draw < 0.002 else speak_flite(text, rng.choice(FLITE_VOICES))
        )
        spoken = Utterance(samples, text, (), ())
    else:
        spoken = speak(text, language, rng)
    samples = np.pad(spoken.samples, (0, 320 - len(spoken.samples) % 320))
    if rng.random() < 0.2:
        samples = reverberated(samples, rng)
    samples = samples / (np.abs(samples).max() + 1e-6)
    mel = log_mel(samples)
    words = [(w.begin, w.finish, w.start / 16000, w.end / 16000) for w in spoken.words]
    phones = [(p.name, p.start / 16000) for p in spoken.phones]
    return Clip(language, text, kind, 0, len(mel), words, phones), mel


def make_shard(path: Path, seed: int, count: int) -> None:
    """Write ``path.npy`` and ``path.json`` with ``count`` clips of a seed."""
    rng = random.Random(seed)
    clips: list[Clip] = []
    mels: list[NDArray[np.float16]] = []
    first = 0
    while len(clips) < count:
        clip, mel = make_clip(rng)
        if not 30 <= len(mel) <= 1400:
            continue
        clip.first = first
        first += len(mel)
        clips.append(clip)
        mels.append(mel.astype(np.float16))
    np.save(path.with_suffix(".npy"), np.concatenate(mels))
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps([asdict(c) for c in clips], ensure_ascii=False))
    temporary.replace(path.with_suffix(".json"))  # others may read the folder meanwhile


def main() -> None:
    """Command line; shards that exist already are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=60_000)
    parser.add_argument("--out", type=Path, default=Path("build/training/shards"))
    parser.add_argument("--first", type=int, default=0, help="number of the first shard (its seed)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(args.first, args.first + args.clips // CLIPS_A_SHARD), unit="shard"):
        path = args.out / f"{number}"
        if not path.with_suffix(".json").exists():
            make_shard(path, 1000 + number, CLIPS_A_SHARD)


if __name__ == "__main__":
    main()
