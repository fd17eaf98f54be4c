"""A second process that computes gradients on its own core.

Two processes of one thread get more done on a shared machine than one process of two
threads, which stops at every operator until the slower thread is there. The helper works on
the shared parameters as it finds them; its gradient is taken when it is ready, never waited for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import multiprocessing as mp

from training.batches import Maker, batches
from training.model import Whisper
from training.objective import PARTS, Objective


class Helper:
    """Handle of the helper process; ``model`` must be in shared memory."""

    def __init__(self, model: Whisper, shards: Path, out: Path, seed: int) -> None:
        context: Any = mp.get_context("spawn")
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.gradients = [torch.zeros_like(p).share_memory_() for p in self.parameters]
        self.parts = torch.zeros(len(PARTS)).share_memory_()
        self.step = torch.zeros(2, dtype=torch.long).share_memory_()  # and whether it is early
        self.ready = context.Event()
        arguments = (model, self.gradients, self.parts, self.step, self.ready, shards, out, seed)
        self.process = context.Process(target=work, args=arguments, daemon=True)
        self.process.start()

    def collect(self, step: int, early: bool) -> Tensor | None:
        """Average the helper's gradient into the parameters' if it has one; returns its losses."""
        self.step[0], self.step[1] = step, early
        if not self.ready.is_set():
            return None
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(gradient).mul_(0.5)
        parts = self.parts.clone()
        self.ready.clear()
        return parts

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()


def work(
    model: Whisper,
    gradients: list[Tensor],
    parts: Tensor,
    step: Tensor,
    ready: Any,
    shards: Path,
    out: Path,
    seed: int,
) -> None:
    """Main function of the helper: one gradient after the other, until the parent is gone."""
    from training.export import PACKAGE_FOLDER
    from training.spelling import load_spelling

    torch.set_num_threads(1)
    parent = os.getppid()
    maker = Maker(load_spelling(PACKAGE_FOLDER, out / "used.json"), model.phones)
    maker.early = True
    source = batches(shards, maker, seed)
    objective = Objective(model)
    parameters = [p for p in model.parameters() if p.requires_grad]
    while os.getppid() == parent:
        for parameter in parameters:
            parameter.grad = None
        maker.early = bool(step[1])
        values = objective.backward(next(source), int(step[0]))
        while ready.is_set() and os.getppid() == parent:
            time.sleep(0.01)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if parameter.grad is not None:
                gradient.copy_(parameter.grad)
        parts.copy_(values)
        ready.set()
