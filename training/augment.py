"""Windows as streaming makes them, out of clean clips, in the log-mel domain.

A window is one to ten sentences with pauses, perhaps of two languages, perhaps cut at its
start or end, with noise, level, tilt and band limits. Powers of speech and noise add up in
the mel domain, so no audio is needed at training time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import FLOOR, Clip
from training.grammar import LANGUAGES
from training.shards import Clips, Power

# Share of each kind of window. Early ones hold nothing long, which costs most and teaches least.
WINDOWS = {
    "short": 0.16,
    "one": 0.32,
    "two": 0.15,
    "several": 0.08,
    "long": 0.03,
    "languages": 0.16,
    "noise": 0.05,
    "babble": 0.05,
}
EARLY = WINDOWS | {"one": 0.44, "two": 0.12, "several": 0.02, "long": 0.0}
PADDED, CUT_END, CUT_START, PROMPTED, TIMED, BAND_8K = 0.05, 0.5, 0.25, 0.12, 0.25, 0.1
SHORT = (30, 220)  # frames of a short window
LONGEST = 3000  # frames of 10 ms


@dataclass(frozen=True)
class Spoken:
    """A word heard in a window: where it stands in its sentence, and when [s]."""

    sentence: int
    begin: int
    finish: int
    start: float
    end: float


@dataclass
class Window:
    """Mel power [frames, 80] of a window (``rows.py``: rows [frames]) and what was said in it."""

    power: Power
    sentences: list[Clip]
    starts: list[float]  # of the sentences [s]
    words: list[Spoken]
    language: str  # the one to transcribe
    mixed: bool = False
    cut: bool = False
    padded: bool = False
    whole: bool = True  # false where a sentence without word times was involved


def draw_window(clips: Clips, rng: random.Random, shares: dict[str, float]) -> Window:
    """Put a random clean window together."""
    kind = rng.choices(list(shares), list(shares.values()))[0]
    if kind in ("noise", "babble"):
        frames = 2 * rng.randint(10, 400) if rng.random() < 0.9 else 2 * rng.randint(400, 1500)
        return Window(clips.silence(frames), [], [], [], rng.choice(LANGUAGES))
    window = join(clips, plan_languages(kind, rng), rng)
    if window.whole:
        frames = len(window.power)
        keep(window, *(stretch(frames, rng) if kind == "short" else cut(frames, rng)))
    return window


def plan_languages(kind: str, rng: random.Random) -> list[str]:
    """Language of each sentence of a window."""
    first = rng.choice(LANGUAGES)
    if kind == "languages":
        second = rng.choice([other for other in LANGUAGES if other != first])
        return rng.choice(
            [[first, second], [first, second], [first, first, second], [first, second, second]]
        )
    counts = {"two": 2, "several": rng.randint(3, 4), "long": rng.randint(5, 10)}
    return [first] * counts.get(kind, 1)


def join(clips: Clips, languages: list[str], rng: random.Random) -> Window:
    """Speak sentences one after the other with pauses of 0-1.5 s, 30 s at most."""
    parts = [clips.silence(2 * rng.randint(0, 25))]
    window = Window(parts[0], [], [], [], rng.choice(languages), mixed=len(set(languages)) > 1)
    frames = len(parts[0])
    for number, language in enumerate(languages):
        clip, power = clips.draw(language, rng)
        power = clips.varied(power, rng)
        pause = 2 * rng.choice([0, rng.randint(5, 30), rng.randint(10, 75)]) if number else 0
        if frames + pause + len(power) > LONGEST:
            break
        parts += [clips.silence(pause), power]
        start = (frames + pause) / 100
        window.words += [
            Spoken(len(window.sentences), b, f, start + s, start + e) for b, f, s, e in clip.words
        ]
        window.sentences.append(clip)
        window.starts.append(start)
        window.whole &= bool(clip.words)
        frames += pause + len(power)
    parts.append(clips.silence(min(2 * rng.randint(0, 40), LONGEST - frames)))
    window.power = np.concatenate(parts)
    if window.mixed and window.language not in {clip.language for clip in window.sentences}:
        window.language = window.sentences[0].language
    return window


def stretch(frames: int, rng: random.Random) -> tuple[int, int]:
    """A short stretch anywhere, as language identification and first updates see it."""
    length = min(frames, 2 * rng.randint(SHORT[0] // 2, SHORT[1] // 2))
    first = 2 * rng.randint(0, (frames - length) // 2)
    return first, first + length


def cut(frames: int, rng: random.Random) -> tuple[int, int]:
    """Cut a window at its start, its end, both or neither: first and last frame kept."""
    first = 2 * rng.randint(0, frames // 4) if rng.random() < CUT_START else 0
    if rng.random() < CUT_END and frames > first + 20:
        return first, 2 * rng.randint(first // 2 + 8, frames // 2)
    return first, frames


def keep(window: Window, first: int, last: int) -> None:
    """Keep the frames [first, last) and the words heard in full there."""
    if (first, last) == (0, len(window.power)):
        return
    window.cut = True
    window.power = window.power[first:last]
    t0, t1 = first / 100, last / 100
    kept = [w for w in window.words if w.start >= t0 - 0.02 and w.end <= t1 - 0.02]
    window.words = [replace(w, start=max(0.0, w.start - t0), end=w.end - t0) for w in kept]
    window.starts = [s - t0 for s in window.starts]


def transcript(window: Window) -> list[tuple[str, list[Spoken]]]:
    """Text and words of each sentence to transcribe; a sentence that is not heard is left out.

    A final punctuation mark needs 0.12 s of audio after its word when the window is cut.
    """
    sections = []
    for number, clip in enumerate(window.sentences):
        words = [w for w in window.words if w.sentence == number]
        if clip.language != window.language or not (words or not clip.words):
            continue
        text = clip.text[words[0].begin : words[-1].finish] if words else clip.text
        if window.cut and words and len(window.power) / 100 - words[-1].end < 0.12:
            text = text.rstrip(" .,?!。，？！、")
        sections.append((text, words))
    return sections


def degrade(
    power: Power, noises: tuple[list[Power], list[Power]], speech: bool, rng: random.Random
) -> Power:
    """Add level, tilt, noise and band limits to a clean window; returns log10 power."""
    gain = 10.0 ** rng.uniform(-2.2, 0.1)
    tilt = np.linspace(-1, 1, 80, dtype=np.float32) * rng.uniform(-0.4, 0.4)
    out = power * np.power(10.0, tilt) * gain
    loudness = max(float(out.mean()), 1e-8) if speech else 10.0 ** rng.uniform(-6, -1)
    draw = rng.random()
    if not speech or draw < 0.75:
        stationary = rng.random() < (0.8 if speech else 0.75)
        bank = rng.choice(noises[0] if stationary else noises[1])
        offset = rng.randrange(len(bank) - len(out)) if len(bank) > len(out) else 0
        extract = np.resize(bank[offset:], (len(out), 80))
        snr = rng.uniform(4, 32) if stationary else rng.uniform(8, 30)
        out = out + extract * (loudness / float(bank.mean())) * 10.0 ** (
            -snr / 10 if speech else 0.0
        )
    if rng.random() < 0.5:
        out = out + 10.0 ** rng.uniform(-9, -5.5) * np.random.default_rng(
            rng.getrandbits(32)
        ).exponential(1.0, out.shape).astype(np.float32)
    if rng.random() < BAND_8K:
        out[:, rng.randint(52, 64) :] *= 1e-7  # nothing above 3.4-5 kHz
    return np.log10(np.maximum(out, 10.0**FLOOR)).astype(np.float32)


def mask_spectrum(mel: NDArray[np.float32], rng: random.Random) -> None:
    """SpecAugment in place on [frames, 80]: two bands and up to two short stretches."""
    mean = mel.mean()
    for _ in range(2):
        width = rng.randint(0, 10)
        first = rng.randint(0, 80 - width)
        mel[:, first : first + width] = mean
    for _ in range(1 + len(mel) // 500):
        width = rng.randint(0, 12)
        first = rng.randint(0, max(0, len(mel) - width))
        mel[first : first + width] = mean


def normalized(mel: NDArray[np.float32], padded: bool) -> NDArray[np.float32]:
    """Whisper's clamp and scale on [frames, 80]; ``padded`` adds silence features up to 30 s."""
    if padded:
        mel = np.pad(mel, ((0, LONGEST - len(mel)), (0, 0)), constant_values=FLOOR)
    return (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
