"""Examples and batches: tokens, attention targets, phoneme labels, language spans."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import (
    EARLY,
    LONGEST,
    PADDED,
    PROMPTED,
    TIMED,
    WINDOWS,
    Spoken,
    Window,
    degrade,
    draw_window,
    mask_spectrum,
    normalized,
    transcript,
)
from training.shards import Clips, Power, noise_bank
from training.spelling import Spelling

IGNORE = -100
FRAME = 0.02  # seconds of one encoder frame
FRAMES_A_BATCH = 10_000  # mel frames, padding included
POOL = 320  # examples sorted by length at a time
SPANS = 4  # language spans of a window


@dataclass
class Example:
    """One window ready for the model; tokens are rows of the trained embedding."""

    mel: NDArray[Any]  # [frames, 80], or the rows of ``rows.py`` [frames]
    tokens: list[int]
    targets: list[int]
    guides: list[tuple[int, int, int]]  # query position, first and last encoder frame
    phones: NDArray[np.int64]  # [frames / 2]
    spans: list[tuple[int, int, int]]  # first and last encoder frame, target


@dataclass(frozen=True)
class Batch:
    """Tensors of a batch."""

    mels: Tensor  # [B, 80, T]
    lengths: Tensor  # [B]
    tokens: Tensor  # [B, S]
    targets: Tensor  # [B, S]
    guides: Tensor  # bool [B, S, T / 2]
    phones: Tensor  # [B, T / 2]
    spans: Tensor  # bool [B, SPANS, T / 2]
    languages: Tensor  # [B, SPANS]

    def to(self, device: torch.device) -> Batch:
        """The batch on a device, its mels in bfloat16."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self)}
        return Batch(**{**moved, "mels": moved["mels"].bfloat16()})


class Maker:
    """Makes examples out of windows with one spelling and one list of phonemes."""

    def __init__(self, spelling: Spelling, phones: list[str]) -> None:
        self.spelling = spelling
        self.early = False  # leave out what is long
        self.row = {token: row for row, token in enumerate(sorted(spelling.used))}
        self.other = len(self.row)
        self.phone = {name: i for i, name in enumerate(phones)}
        self.special = {
            name: self.row[spelling.id(f"<|{name}|>")]
            for name in (
                "startoftranscript",
                "transcribe",
                "notimestamps",
                "nospeech",
                "startofprev",
                "endoftext",
            )
        }
        self.first_time = self.row[spelling.id("<|0.00|>")]

    def language(self, code: str) -> int:
        """Row of a language token."""
        return self.row[self.spelling.id(f"<|{code}|>")]

    def time(self, seconds: float) -> int:
        """Row of the nearest time token."""
        return self.first_time + min(1500, max(0, round(seconds / FRAME)))

    def example(
        self, window: Window, mel: NDArray[Any], prompt: str, rng: random.Random
    ) -> Example:
        """Write the token sequence of a window and everything that supervises it."""
        sp = self.special
        timed = rng.random() < TIMED
        tokens = self._prompt(prompt, rng)
        start = len(tokens)
        tokens += [sp["startoftranscript"], self.language(window.language), sp["transcribe"]]
        tokens += [] if timed else [sp["notimestamps"]]
        guides: list[tuple[int, int, int]] = []
        for text, words in transcript(window):
            self._write(tokens, guides, window, text, words, timed)
        if timed and not window.words:
            tokens.append(self.time(0.0))
        tokens.append(sp["endoftext"])
        targets = [*tokens[1:], IGNORE]
        targets[: start + 3] = [IGNORE] * (start + 3)
        targets[start] = self._spoken_language(window)
        if timed:
            targets[start + 2] = tokens[start + 3]
        frames = len(mel) // 2
        guides = [(q, max(0, a), min(frames - 1, b)) for q, a, b in guides if a < frames]
        return Example(
            mel, tokens, targets, guides, self._phones(window, frames), self._spans(window, rng)
        )

    def _prompt(self, prompt: str, rng: random.Random) -> list[int]:
        if not prompt:
            return []
        ids = (
            self.spelling.standard(prompt)
            if rng.random() < 0.5
            else self.spelling.encode(prompt)[0]
        )
        rows = [self.row.get(i, self.other) for i in ids][-rng.randint(4, 60) :]
        return [self.special["startofprev"], *rows]

    def _write(
        self,
        tokens: list[int],
        guides: list[tuple[int, int, int]],
        window: Window,
        text: str,
        words: list[Spoken],
        timed: bool,
    ) -> None:
        space = "" if window.language == "zh" else " "
        ids, ranges = self.spelling.encode(space + text)
        if timed:
            tokens.append(self.time(words[0].start if words else 0.0))
        for i, (first, last) in zip(ids, ranges, strict=True):
            if words:
                offset = words[0].begin - len(space)
                guides.append((len(tokens) - 1, *heard(first + offset, last + offset, words)))
            tokens.append(self.row[i])
        if timed:
            tokens.append(self.time(words[-1].end if words else len(window.power) / 100))

    def _spoken_language(self, window: Window) -> int:
        if not window.sentences:
            return self.special["nospeech"]
        return IGNORE if window.mixed else self.language(window.language)

    def _phones(self, window: Window, frames: int) -> NDArray[np.int64]:
        labels = np.zeros(frames, np.int64)
        for clip, start in zip(window.sentences, window.starts, strict=True):
            if not clip.phones:
                labels[:] = IGNORE
                break
            times = [round((start + t) / FRAME) for _, t in clip.phones]
            ends = [*times[1:], round((start + clip.frames / 100) / FRAME)]
            for (name, _), a, b in zip(clip.phones, times, ends, strict=True):
                labels[max(a, 0) : max(b, 0)] = self.phone.get(name, 0)
        return labels

    def _spans(self, window: Window, rng: random.Random) -> list[tuple[int, int, int]]:
        """Random spans of 0.3-2 s whose language is clear, or that hold no speech."""
        seconds, found = len(window.power) / 100, []
        for _ in range(2 * SPANS):
            length = min(seconds, rng.uniform(0.3, 2.0))
            start = rng.uniform(0, seconds - length)
            target = self._span_target(window, start, start + length)
            if target is not None and len(found) < SPANS:
                found.append(
                    (
                        int(start / FRAME),
                        max(int(start / FRAME) + 1, int((start + length) / FRAME)),
                        target,
                    )
                )
        return found

    def _span_target(self, window: Window, first: float, last: float) -> int | None:
        if not window.sentences:
            return self.special["nospeech"]
        speech: dict[str, float] = {}
        for clip, start in zip(window.sentences, window.starts, strict=True):
            for _, _, s, e in clip.words or [(0, 0, 0.0, clip.frames / 100)]:
                heard_ = min(last, start + e) - max(first, start + s)
                if heard_ > 0:
                    speech[clip.language] = speech.get(clip.language, 0.0) + heard_
        if not speech:
            return self.special["nospeech"]
        language, most = max(speech.items(), key=lambda item: item[1])
        clear = most >= 0.75 * sum(speech.values()) and most >= max(0.2, 0.4 * (last - first))
        return self.language(language) if clear else None


def heard(first: int, last: int, words: list[Spoken]) -> tuple[int, int]:
    """Encoder frames, a little widened, in which characters [first, last) are spoken."""
    start, end = None, words[0].end
    for word in words:
        a, b = max(first, word.begin), min(last, word.finish)
        if a < b:
            pace = (word.end - word.start) / (word.finish - word.begin)
            start = word.start + (a - word.begin) * pace if start is None else start
            end = word.start + (b - word.begin) * pace
    if start is None:
        start = end = max([w.end for w in words if w.finish <= first], default=words[0].start)
    return max(0, int(start / FRAME) - 3), int(end / FRAME) + 3


def batches(shards: Path, maker: Maker, seed: int, budget: int = FRAMES_A_BATCH) -> Iterator[Batch]:
    """An endless stream of batches of similar length, each of at most ``budget`` mel frames."""
    rng = random.Random(seed)
    clips = Clips(shards)
    noises = noise_bank(clips, seed)
    while True:
        examples = [draw(clips, maker, noises, rng) for _ in range(POOL)]
        for group in by_length(examples, budget, rng):
            yield collate(group, maker)
        clips.refresh()


def draw(
    clips: Clips, maker: Maker, noises: tuple[list[Power], list[Power]], rng: random.Random
) -> Example:
    """One random example."""
    window = draw_window(clips, rng, EARLY if maker.early else WINDOWS)
    window.padded = not maker.early and rng.random() < PADDED
    mel = degrade(window.power, noises, bool(window.sentences), rng)
    mask_spectrum(mel, rng)
    prompt = clips.draw(window.language, rng)[0].text if rng.random() < PROMPTED else ""
    return maker.example(window, normalized(mel, window.padded), prompt, rng)


def by_length(
    examples: list[Example], budget: int, rng: random.Random, largest: int = 64
) -> list[list[Example]]:
    """Group examples of similar length within the frame budget, in random order."""
    groups: list[list[Example]] = [[]]
    for example in sorted(examples, key=lambda e: len(e.mel) + rng.random() * 40):
        longest = max([len(e.mel) for e in groups[-1]] + [len(example.mel)])
        if groups[-1] and ((len(groups[-1]) + 1) * longest > budget or len(groups[-1]) >= largest):
            groups.append([])
        groups[-1].append(example)
    rng.shuffle(groups)
    return groups


def collate(examples: list[Example], maker: Maker) -> Batch:
    """Pad examples to one length."""
    n = len(examples)
    frames = min(LONGEST, max(len(e.mel) for e in examples))
    width = max(len(e.tokens) for e in examples)
    b = Batch(
        torch.zeros(n, 80, frames),
        torch.tensor([len(e.mel) for e in examples]),
        torch.full((n, width), maker.special["endoftext"]),
        torch.full((n, width), IGNORE),
        torch.zeros(n, width, frames // 2, dtype=torch.bool),
        torch.full((n, frames // 2), IGNORE),
        torch.zeros(n, SPANS, frames // 2, dtype=torch.bool),
        torch.full((n, SPANS), IGNORE),
    )
    for i, e in enumerate(examples):
        b.mels[i, :, : len(e.mel)] = torch.from_numpy(e.mel.T)
        b.tokens[i, : len(e.tokens)] = torch.tensor(e.tokens)
        b.targets[i, : len(e.targets)] = torch.tensor(e.targets)
        b.phones[i, : len(e.phones)] = torch.from_numpy(e.phones)
        for query, first, last in e.guides:
            b.guides[i, query, first : last + 1] = True
        b.spans[i, :, 0] = True
        for k, (first, last, target) in enumerate(e.spans):
            b.spans[i, k] = False
            b.spans[i, k, first:last] = True
            b.languages[i, k] = target
    return b
