"""Whisper in PyTorch, for training only: standard names, variable context, inspectable attention.

Parameters carry the Hugging Face names below ``model.``, except the embedding, which holds
one row for each trained token and one more for all other tokens of the vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 51865
START = 50258  # <|startoftranscript|> of this vocabulary
SHORT = 350  # up to here plain products beat the fused operator on a CPU in bfloat16 (its backward)
ALIGNMENT_HEADS = ((-1, 0), (-1, 1), (-2, 0))  # (decoder layer from the end, head)


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    width: int = 192
    encoder_layers: int = 4
    decoder_layers: int = 3
    heads: int = 3
    mels: int = 80


class Attention(nn.Module):
    """Multi-head attention with Whisper's parameter names (no bias on the keys)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """[B, N, d] → [B, heads, N, d / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B, heads, N, d / heads] of a memory [B, N, d]."""
        return self.split(self.k_proj(x)), self.split(self.v_proj(x))

    def forward(
        self, x: Tensor, kv: tuple[Tensor, Tensor], mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """Attend from x [B, N, d]; mask [B or 1, 1, N or 1, M] is true where allowed."""
        q = self.split(self.q_proj(x))
        if q.is_cuda or max(q.shape[2], kv[0].shape[2]) > SHORT:
            y = F.scaled_dot_product_attention(q, *kv, attn_mask=mask, is_causal=causal)
        else:
            scores = (q * q.shape[-1] ** -0.5) @ kv[0].transpose(2, 3)
            if causal:
                mask = torch.ones(scores.shape[2:], dtype=torch.bool, device=x.device).tril()
            if mask is not None:
                scores = scores + torch.where(mask, 0.0, -1e4).to(scores.dtype)
            y = scores.softmax(-1) @ kv[1]
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def with_weights(
        self, x: Tensor, kv: tuple[Tensor, Tensor], mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Like :meth:`forward`, and the attention weights [B, heads, N, M]."""
        scores = self.split(self.q_proj(x)) @ kv[0].transpose(2, 3) * kv[0].shape[-1] ** -0.5
        weights = scores.masked_fill(~mask, -1e4).softmax(-1)
        return self.out_proj((weights.to(kv[1].dtype) @ kv[1]).transpose(1, 2).flatten(2)), weights


class Layer(nn.Module):
    """Pre-norm transformer layer; the decoder's has cross-attention too."""

    def __init__(self, width: int, heads: int, cross: bool) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        if cross:
            self.encoder_attn = Attention(width, heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def attend_self(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Self-attention with its residual."""
        y = self.self_attn_layer_norm(x)
        return x + self.self_attn(y, self.self_attn.keys_values(y), mask, causal)

    def feed(self, x: Tensor) -> Tensor:
        """Feed-forward with its residual."""
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class Encoder(nn.Module):
    """Two convolutions, fixed sinusoidal positions, pre-norm layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.conv1 = nn.Conv1d(shape.mels, d, 3, padding=1)
        self.conv2 = nn.Conv1d(d, d, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding.from_pretrained(sinusoids(1500, d) * 0.5)
        self.layers = nn.ModuleList(
            Layer(d, shape.heads, cross=False) for _ in range(shape.encoder_layers)
        )
        self.layer_norm = nn.LayerNorm(d)

    def forward(self, mels: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode mels [B, 80, T] of even lengths [B] to [B, T / 2, d], with its mask."""
        steps = torch.arange(mels.shape[2], device=mels.device)
        inside = steps[None] < lengths[:, None]
        x = F.gelu(convolved(self.conv1, mels)) * inside[:, None]
        x = F.gelu(convolved(self.conv2, x)).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        mask = inside[:, None, None, ::2].contiguous()  # the fused operator wants stride 1
        for layer in self.layers:
            x = layer.feed(layer.attend_self(x, mask, causal=False))
        return self.layer_norm(x), mask


def convolved(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """The convolution of three taps.

    On a GPU as one product: cuDNN plans anew for every shape, and hardly two batches have the same.
    """
    return product(layer, x) if x.is_cuda else layer(x)


def product(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """The convolution of three taps with one sample of padding as one matrix product."""
    step = layer.stride[0]
    padded = F.pad(x, (1, 1)).transpose(1, 2)
    frames = (x.shape[2] - 1) // step + 1
    taps = [padded[:, tap : tap + step * (frames - 1) + 1 : step] for tap in range(3)]
    weight = layer.weight.transpose(1, 2).flatten(1)  # [out, 3 * in], tap by tap
    return F.linear(torch.cat(taps, 2), weight, layer.bias).transpose(1, 2)


class Decoder(nn.Module):
    """Decoder over the trained tokens: rows [n + 1, d], the last one for all others."""

    def __init__(self, shape: Shape, n_tokens: int) -> None:
        super().__init__()
        d = shape.width
        self.rows = nn.Parameter(torch.randn(n_tokens + 1, d) * 0.02)
        self.embed_positions = nn.Embedding(448, d)
        nn.init.normal_(self.embed_positions.weight, std=0.01)
        self.layers = nn.ModuleList(
            Layer(d, shape.heads, cross=True) for _ in range(shape.decoder_layers)
        )
        self.layer_norm = nn.LayerNorm(d)

    def memory(self, encoded: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Cross-attention keys and values of each layer."""
        return [layer.encoder_attn.keys_values(encoded) for layer in self.layers]

    def forward(
        self, tokens: Tensor, memory: list[tuple[Tensor, Tensor]], mask: Tensor, alone: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """States [B, S, d] after tokens [B, S]; cross-attention [B, heads, S, F] by layer.

        ``mask`` is [B, 1, S or 1, F]. With ``alone`` every token is a
        sequence of its own at position 0.
        """
        positions = self.embed_positions.weight[: 1 if alone else tokens.shape[1]]
        x = F.embedding(tokens, self.rows) + positions
        diagonal = None
        if alone:
            eye = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
            diagonal = eye[None, None]
        weights = []
        for layer, kv in zip(self.layers, memory, strict=True):
            x = layer.attend_self(x, diagonal, causal=not alone)
            y, w = layer.encoder_attn.with_weights(layer.encoder_attn_layer_norm(x), kv, mask)
            weights.append(w)
            x = layer.feed(x + y)
        return self.layer_norm(x), weights

    def logits(self, states: Tensor) -> Tensor:
        """Float32 logits [..., n + 1] of states [..., d]; the last class sums all unused tokens."""
        bias = torch.zeros(len(self.rows), dtype=states.dtype, device=states.device)
        bias[-1] = math.log(VOCABULARY - len(self.rows) + 1)
        return F.linear(states, self.rows, bias).float()


class Whisper(nn.Module):
    """The model, and a head that names the phoneme in each 20 ms frame (dropped at export)."""

    def __init__(self, shape: Shape, used: list[int], phones: list[str]) -> None:
        super().__init__()
        self.shape, self.used, self.phones = shape, used, phones
        self.start = used.index(START)  # row of <|startoftranscript|>
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape, len(used))
        self.phone_head = nn.Linear(shape.width, len(phones))
        start_local(self.encoder, shape.heads)


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions [length, width]."""
    scale = math.log(10000) / (width // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-scale * torch.arange(width // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


@torch.no_grad()
def start_local(encoder: Encoder, heads: int, rows: int = 32) -> None:
    """Start every encoder head as a soft convolution with its own shift.

    sin/cos addition on the positions makes q·k peak at a fixed distance; without it the
    encoder needs thousands of steps to find that neighbouring frames matter.
    """
    width = encoder.layer_norm.weight.shape[0]
    half, size = width // 2, width // heads
    scale = math.log(10000) / (half - 1)
    for number, layer in enumerate(encoder.layers):
        shifts = ((-2, 0, 2), (-4, 1, 4), (-7, 0, 7), (-11, 0, 11))[number % 4]
        for head in range(heads):
            q = layer.self_attn.q_proj.weight[head * size : (head + 1) * size]
            k = layer.self_attn.k_proj.weight[head * size : (head + 1) * size]
            q.mul_(0.1)
            k.mul_(0.1)
            for j in range(rows):
                angle = math.exp(-scale * j) * shifts[head % 3]
                q[j, j] += math.cos(angle)
                q[j, half + j] += math.sin(angle)
                q[rows + j, half + j] += math.cos(angle)
                q[rows + j, j] -= math.sin(angle)
                k[j, j] += 1
                k[rows + j, half + j] += 1
    encoder.conv1.weight.mul_(2)
    encoder.conv2.weight.mul_(2)


def load_standard(model: Whisper, tensors: dict[str, np.ndarray]) -> list[str]:
    """Fill a model from standard tensors; returns the names that were not among them."""
    table = torch.from_numpy(tensors["model.decoder.embed_tokens.weight"].astype(np.float32))
    state = {
        k.removeprefix("model."): torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()
    }
    for name in ("decoder.embed_tokens.weight", "proj_out.weight"):
        state.pop(name, None)
    state["decoder.rows"] = torch.cat([table[torch.tensor(model.used)], table[:1] * 0])
    unique, counts = torch.unique(table, dim=0, return_counts=True)
    state["decoder.rows"][-1] = unique[counts.argmax()]
    return list(model.load_state_dict(state, strict=False).missing_keys)


def save(model: Whisper, path: Path, **more: Any) -> None:
    """Write a training checkpoint."""
    about = {"shape": asdict(model.shape), "used": model.used, "phones": model.phones}
    temporary = path.with_suffix(".tmp")
    torch.save({"model": model.state_dict(), **about, **more}, temporary)
    temporary.replace(path)


def load(path: Path) -> tuple[Whisper, dict[str, Any]]:
    """Read a training checkpoint: the model and everything stored beside it."""
    stored = torch.load(path, map_location="cpu", weights_only=False)
    model = Whisper(Shape(**stored["shape"]), stored["used"], stored["phones"])
    model.load_state_dict(stored["model"])
    return model, stored


def standard_tensors(path: Path) -> dict[str, np.ndarray]:
    """Standard Hugging Face tensors of a training checkpoint."""
    model, _ = load(path)
    state = {
        f"model.{k}": v.numpy()
        for k, v in model.state_dict().items()
        if not k.startswith("phone_head")
    }
    rows = state.pop("model.decoder.rows")
    table = np.tile(rows[-1], (VOCABULARY, 1))
    table[np.array(model.used)] = rows[:-1]
    return {**state, "model.decoder.embed_tokens.weight": table}
