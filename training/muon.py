"""Muon for many matrices at a time: what ``torch.optim.Muon`` does one by one, in few GPU calls.

Jordan et al., 2024 (https://kellerjordan.github.io/posts/muon/), with the step size that matches
AdamW's: Liu et al., 2025, "Muon is scalable for LLM training".
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class StackedMuon:
    """Momentum 0.95 with Nesterov's look ahead; matrices of one shape are updated together."""

    def __init__(self, matrices: list[Tensor], momentum: float = 0.95, decay: float = 0.01) -> None:
        groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for matrix in matrices:
            groups[matrix.shape].append(matrix)
        self.groups = list(groups.values())
        self.buffers = [torch.stack(group).zero_() for group in self.groups]
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the matrices by their gradients."""
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            gradient = torch.stack([matrix.grad for matrix in group])
            buffer.lerp_(gradient, 1 - self.momentum)
            change = orthogonal(gradient.lerp(buffer, self.momentum))
            rows, columns = group[0].shape
            size = rate * 0.2 * max(rows, columns) ** 0.5
            torch._foreach_mul_(group, 1 - rate * self.decay)
            torch._foreach_add_(group, list(change.unbind()), alpha=-size)


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices of [n, rows, columns], about (Newton-Schulz)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16().transpose(1, 2) if tall else matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)
