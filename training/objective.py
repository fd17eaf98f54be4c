"""What the model is trained on: text, span language, frame phonemes, guided attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from training.batches import IGNORE, Batch
from training.model import ALIGNMENT_HEADS, Whisper

PARTS = ("text", "language", "phone", "guide")
LEAST_PHONES = 0.15  # weight of the phonemes when most is learnt


class Objective(nn.Module):
    """The losses of a batch, computed in bfloat16 from float32 parameters."""

    def __init__(self, model: Whisper) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses, in the precision of the model's parameters."""
        return losses(self.model, batch)

    def backward(self, batch: Batch, step: int) -> Tensor:
        """Add the gradient of a batch to the parameters; returns the value of each part."""
        named = [*self.named_parameters(), *self.named_buffers()]
        halves = {name: p.bfloat16() if p.is_floating_point() else p for name, p in named}
        parts = functional_call(self, halves, (batch.to(self.model.phone_head.weight.device),))
        weigh(parts, max(LEAST_PHONES, 0.6 * (1 - step / 6000))).backward()
        return torch.stack([parts[name].detach().float() for name in PARTS])


def weigh(parts: dict[str, Tensor], phone: float) -> Tensor:
    """The loss to lower; phonemes teach the most at the beginning."""
    return parts["text"] + 0.2 * parts["language"] + phone * parts["phone"] + 0.3 * parts["guide"]


def losses(model: Whisper, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropies of text, span language and frame phonemes, and the guided attention loss."""
    encoded, mask = model.encoder(batch.mels, batch.lengths)
    memory = model.decoder.memory(encoded)
    states, weights = model.decoder(batch.tokens, memory, mask)
    starts = torch.full_like(batch.languages, model.start)
    alone, _ = model.decoder(starts, memory, batch.spans[:, None], alone=True)
    return {
        "text": cross_entropy(model.decoder.logits, states, batch.targets),
        "language": cross_entropy(model.decoder.logits, alone, batch.languages),
        "phone": cross_entropy(lambda x: model.phone_head(x).float(), encoded, batch.phones),
        "guide": guided(weights, batch.guides),
    }


def cross_entropy(logits: Callable[[Tensor], Tensor], states: Tensor, targets: Tensor) -> Tensor:
    """Mean over the targets that are asked for; 0 where there is none."""
    states, targets = states.flatten(0, -2), targets.flatten()
    if not states.is_cuda:  # there a choice of rows would wait for the GPU
        kept = targets != IGNORE
        states, targets = states[kept], targets[kept]
    total = F.cross_entropy(logits(states), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


def guided(weights: list[Tensor], wanted: Tensor) -> Tensor:
    """-log of the attention mass that the alignment heads put on the frames being written."""
    asked = wanted.any(-1)
    total = torch.zeros((), device=wanted.device)
    for layer, head in ALIGNMENT_HEADS:
        mass = (weights[layer][:, head].float() * wanted).sum(-1)
        total = total - ((mass + 1e-5).log() * asked).sum()
    return total / (len(ALIGNMENT_HEADS) * asked.sum().clamp(min=1))
