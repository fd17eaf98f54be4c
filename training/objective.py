"""What the model is trained on: text, span language, frame phonemes, guided attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from training.batches import IGNORE, Batch
from training.model import ALIGNMENT_HEADS, Whisper

PARTS = ("text", "language", "phone", "guide")


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
        phone_weight = max(0.15, 0.6 * (1 - step / 6000))
        total = (
            parts["text"]
            + 0.2 * parts["language"]
            + phone_weight * parts["phone"]
            + 0.3 * parts["guide"]
        )
        total.backward()
        return torch.stack([parts[name].detach().float().cpu() for name in PARTS])


def losses(model: Whisper, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropies of text, span language and frame phonemes, and the guided attention loss."""
    encoded, mask = model.encoder(batch.mels, batch.lengths)
    memory = model.decoder.memory(encoded)
    states, weights = model.decoder(batch.tokens, memory, mask)
    kept = batch.targets != IGNORE
    text = model.decoder.logits(states[kept])
    starts = torch.full_like(batch.languages, model.start)
    alone, _ = model.decoder(starts, memory, batch.spans[:, None], alone=True)
    named = batch.languages != IGNORE
    language = model.decoder.logits(alone[named])
    phones = model.phone_head(encoded).float().flatten(0, 1)
    nothing = text.sum() * 0
    labels = batch.phones.flatten()
    return {
        "text": F.cross_entropy(text, batch.targets[kept]),
        "language": F.cross_entropy(language, batch.languages[named]) if named.any() else nothing,
        "phone": F.cross_entropy(phones, labels, ignore_index=IGNORE)
        if (labels != IGNORE).any()
        else nothing,
        "guide": guided(weights, batch.guides),
    }


def guided(weights: list[Tensor], wanted: Tensor) -> Tensor:
    """-log of the attention mass that the alignment heads put on the frames being written."""
    asked = wanted.any(-1)
    if not asked.any():
        return weights[0].sum() * 0
    total = torch.zeros((), device=wanted.device)
    for layer, head in ALIGNMENT_HEADS:
        mass = (weights[layer][:, head].float() * wanted).sum(-1)[asked]
        total = total - (mass + 1e-5).log().mean() / len(ALIGNMENT_HEADS)
    return total
