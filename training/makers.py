"""Processes that speak and processes that plan windows, beside a GPU (``training.gpu``)."""

from __future__ import annotations

import gc
import itertools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import torch
from torch import multiprocessing

from training.batches import Maker
from training.data import make_shard
from training.export import PACKAGE_FOLDER
from training.rows import SHARD, RowBatch, RowClips, row_batches
from training.sound import Sound
from training.spelling import load_spelling

QUEUE = 48  # batches that may wait
LEAST = 250  # clips a planner begins with
MOST_CRASHES = 100  # espeak-ng crashed once in the first 54,000 clips with random voices


class Crew:
    """``speakers`` processes that fill a folder with shards and ``planners`` that make batches."""

    def __init__(
        self, folder: Path, phones: list[str], used: Path, shards: int, seed: int, budget: int
    ) -> None:
        self.folder, self.phones, self.used = folder, phones, used
        self.shards, self.seed, self.budget = shards, seed, budget
        for name in ("spoken", "ready"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        self._context, self.queue = context, context.Queue(QUEUE)
        self._planning: list[Any] = []
        self._speaking: dict[int, Any] = {}
        self._speakers = self._crashes = 0

    def start(self, speakers: int, planners: int) -> None:
        """Start all processes."""
        self._speakers = speakers
        for i in range(speakers):
            self._start_speaker(i)
        for i in range(planners):
            arguments = (self.folder / "ready", i, planners, self.phones, self.used)
            arguments = (*arguments, self.seed, self.budget, self.queue)
            self._planning.append(self._run(plan, *arguments))

    def _start_speaker(self, index: int) -> None:
        seed = self.seed + self._crashes * 100_000
        arguments = (self.folder, index, self._speakers, self.shards, seed)
        self._speaking[index] = self._run(speak, *arguments)

    def _run(self, work: Callable[..., None], *arguments: Any) -> Any:
        process = self._context.Process(target=work, args=arguments, daemon=True)
        process.start()
        return process

    def take_shard(self, sound: Sound) -> bool:
        """Move one spoken shard onto the GPU and announce it; false where there was none."""
        for path in sorted((self.folder / "spoken").glob("*.json"))[:1]:
            sound.add(int(path.stem), np.load(path.with_suffix(".npy")))
            path.with_suffix(".npy").unlink()
            path.rename(self.folder / "ready" / path.name)
            return True
        return False

    def check(self) -> None:
        """Raise ``RuntimeError`` where a planner failed; restart a synthesizer that crashed."""
        for index, process in list(self._speaking.items()):
            if process.exitcode not in (None, 0):
                self._crashes += 1
                if self._crashes > MOST_CRASHES:
                    raise RuntimeError(f"a speaker ended with {process.exitcode}, the last of many")
                self._start_speaker(index)
        for process in self._planning:
            if process.exitcode not in (None, 0):
                raise RuntimeError(f"{process.name} ended with {process.exitcode}")

    def stop(self) -> None:
        """End all processes."""
        for process in (*self._planning, *self._speaking.values()):
            process.kill()
            process.join()


def speak(folder: Path, index: int, of: int, shards: int, seed: int) -> None:
    """Speak every ``of``-th shard until all are there, or nobody is left to hear them."""
    parent = os.getppid()
    for number in range(index, shards, of):
        if os.getppid() != parent:
            return
        if not any((folder / name / f"{number}.json").exists() for name in ("spoken", "ready")):
            make_shard(folder / "spoken" / str(number), seed + number, SHARD)


def plan(
    folder: Path,
    index: int,
    of: int,
    phones: list[str],
    used: Path,
    seed: int,
    budget: int,
    queue: Any,
) -> None:
    """Make batches of the clips of every ``of``-th shard for ever."""
    torch.set_num_threads(1)
    clips, parent = RowClips(folder, index, of), os.getppid()
    while min(map(len, clips.by_language.values())) * 5 < LEAST and os.getppid() == parent:
        time.sleep(0.2)
        clips.refresh()
    gc.disable()  # millions of words that stay: looking through them again and again takes all day
    maker = Maker(load_spelling(PACKAGE_FOLDER, used), phones)
    for batch in row_batches(clips, maker, seed + 7919 * index, budget):
        if os.getppid() != parent:
            return
        queue.put(batch)


class Supply:
    """Batches, new ones first; while none is ready an older one is heard in another noise."""

    def __init__(self, crew: Crew, device: torch.device, kept: int = 512) -> None:
        self.crew, self.queue, self.device, self.kept = crew, crew.queue, device, kept
        self.made: list[dict[str, torch.Tensor]] = []
        self.count = itertools.count()
        self.new = 0

    def next(self, rng: random.Random) -> dict[str, torch.Tensor]:
        """The next batch, on the device."""
        if not self.made or not self.queue.empty():
            batch = self._wait().to(self.device)
            self.new += 1
            if len(self.made) < self.kept:
                self.made.append(batch)
            else:
                self.made[next(self.count) % self.kept] = batch
            return batch
        return rng.choice(self.made)

    def _wait(self) -> RowBatch:
        while True:
            try:
                batch: RowBatch = self.queue.get(timeout=5)
            except Empty:
                self.crew.check()  # a planner that failed sends nothing
            else:
                return batch
