"""Building blocks of Whisper as OpenVINO operations, and the encoder.

The graphs follow openai/whisper ``model.py``; weights have the names of ``transformers``. All
dimensions but the model's own are dynamic, masks are inputs, and a masked position never
influences another one; only what always has one length (``full_encoder``) is built for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whisper_service.engine.openvino_runtime import openvino, ops
from whisper_service.models.checkpoint import Checkpoint
from whisper_service.types import FloatArray

Node = Any

EPSILON = 1e-5  # of every layer norm, torch's default
MASKED = -1e9  # added to the score of a position that must not be seen; finite in bfloat16 too
_END = np.iinfo(np.int64).max  # of a slice: as far as there is


def indices(*values: int) -> Node:
    """1-D integer constant, for axes, shapes and gathers."""
    return ops.constant(np.array(values, np.int64))


def number(value: float) -> Node:
    return ops.constant(np.float32(value))


def parameter(name: str, shape: Sequence[int], kind: Any = np.float32) -> Node:
    """Input ``name``; -1 marks a dynamic dimension."""
    return ops.parameter(openvino.PartialShape(list(shape)), kind, name=name)


def model(outputs: Sequence[Node], inputs: Sequence[Node], name: str) -> Any:
    """Model of these nodes, or single outputs of nodes that have several."""
    ports = [y if isinstance(y, openvino.Output) else y.output(0) for y in outputs]
    return openvino.Model(ports, list(inputs), name)


def quantized(weight: FloatArray) -> Node:
    """INT8 weight with one scale per output row, symmetric.

    ``Constant(i8) → Convert → Multiply`` is the pattern that OpenVINO's CPU plugin keeps
    compressed in a fully connected layer (transformation ``MarkDequantization``); others are
    folded back to float32.
    """
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), 1e-12) / 127
    rounded = np.rint(weight / scale).astype(np.int8)
    return ops.multiply(ops.convert(ops.constant(rounded), "f32"), ops.constant(scale))


def halved(weight: FloatArray) -> Node:
    """float16 weight, half the bytes of float32 and finer than the bfloat16 it is computed in.

    The mark is that of ``ov::mark_as_decompression``: without it the CPU plugin folds the
    conversion back to float32. Weights beyond float16's range stay float32.
    """
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    if not np.isfinite(half).all():
        return ops.constant(weight)
    node = ops.convert(ops.constant(half), "f32")
    node.get_rt_info()["decompression_0"] = ""
    return node


@dataclass(frozen=True, slots=True)
class Blocks:
    """Makes the layers of one checkpoint, its matrices in INT8 if ``int8``.

    ``half`` keeps what would be float32 in float16, for graphs that compute in bfloat16.
    """

    checkpoint: Checkpoint
    int8: bool = False
    half: bool = False

    def tensor(self, name: str) -> FloatArray:
        return self.checkpoint.tensor(name)

    def constant(self, name: str) -> Node:
        return ops.constant(self.tensor(name))

    def matrix(self, weight: FloatArray) -> Node:
        """Constant for ``project``: ``[out, in]``."""
        return quantized(weight) if self.int8 else self._float(weight)

    def project(self, x: Node, weight: FloatArray, bias: FloatArray | None = None) -> Node:
        """``x Wᵀ + b`` for ``x [..., in]``."""
        y = ops.matmul(x, self.matrix(weight), False, True)
        return y if bias is None else ops.add(y, ops.constant(bias))

    def linear(self, x: Node, name: str, *, scale: float = 1.0) -> Node:
        """Layer ``name`` of the checkpoint; keys (``k_proj``) have no bias."""
        weight = self.tensor(f"{name}.weight") * np.float32(scale)
        bias = None if name.endswith("k_proj") else self.tensor(f"{name}.bias") * np.float32(scale)
        return self.project(x, weight, bias)

    def norm(self, x: Node, name: str) -> Node:
        y = ops.mvn(x, indices(-1), True, EPSILON, "inside_sqrt")
        return ops.add(
            ops.multiply(y, self.constant(f"{name}.weight")), self.constant(f"{name}.bias")
        )

    def feed_forward(self, x: Node, layer: str) -> Node:
        """Residual ``x + fc2(gelu(fc1(norm(x))))``."""
        h = self.linear(self.norm(x, f"{layer}.final_layer_norm"), f"{layer}.fc1")
        return ops.add(x, self.linear(ops.gelu(h, "erf"), f"{layer}.fc2"))

    def convolution(self, x: Node, name: str, stride: int) -> Node:
        """``gelu(conv(x))`` with kernel 3, padding 1, for ``x [batch, channels, time]``."""
        weight, bias = self._float(self.tensor(f"{name}.weight")), self.tensor(f"{name}.bias")
        y = ops.convolution(x, weight, [stride], [1], [1], [1])
        return ops.gelu(ops.add(y, ops.constant(bias[None, :, None])), "erf")

    def convolution_as_product(self, x: Node, name: str, stride: int) -> Node:
        """As ``convolution`` for ``x [batch, time, channels]``; INT8 is kept in products only.

        The time must be a multiple of ``stride``.
        """
        weight = self.tensor(f"{name}.weight").transpose(0, 2, 1)  # [out, kernel, in]
        rows = np.ascontiguousarray(weight).reshape(len(weight), -1)
        y = self.project(_neighbours(x, stride), rows, self.tensor(f"{name}.bias"))
        return ops.gelu(y, "erf")

    def _float(self, weight: FloatArray) -> Node:
        return halved(weight) if self.half else ops.constant(weight)


def _neighbours(x: Node, stride: int) -> Node:
    """Each ``stride``-th position with the one before and the one after: ``[B, T/stride, 3·C]``."""
    padded = ops.pad(x, indices(0, 1, 0), indices(0, 1, 0), "constant", number(0))
    ends = indices(-2), indices(-1), indices(_END)
    steps, axes = indices(stride), indices(1)
    parts = [ops.slice(padded, indices(k), end, steps, axes) for k, end in enumerate(ends)]
    return ops.concat(parts, 2)


def split_heads(x: Node, heads: int, head_size: int) -> Node:
    """``[batch, time, heads * size] → [batch, heads, time, size]``."""
    y = ops.reshape(x, indices(0, 0, heads, head_size), True)
    return ops.transpose(y, indices(0, 2, 1, 3))


def join_heads(x: Node, width: int) -> Node:
    """``[batch, heads, time, size] → [batch, time, width]``."""
    return ops.reshape(ops.transpose(x, indices(0, 2, 1, 3)), indices(0, 0, width), True)


def full_encoder(checkpoint: Checkpoint, *, int8: bool, half: bool = False) -> Any:
    """Encoder graph for one window of the model's full length, all of it attended to.

    Inputs: ``mel [1, n_mels, 2·frames]`` and ``positions [1, frames, d]``; output ``[1, frames,
    d]``. Fixed dimensions make it about a tenth faster than ``encoder`` (``docs/ENGINE.md``).
    """
    c, blocks = checkpoint.config, Blocks(checkpoint, int8, half)
    frames = c.max_source_positions
    mel = parameter("mel", (1, c.n_mels, 2 * frames))
    positions = parameter("positions", (1, frames, c.d_model))
    x = ops.add(_convolutions(blocks, mel, None), positions)
    return model([_layers(blocks, x, None)], [mel, positions], "encoder")


def encoder(checkpoint: Checkpoint, *, int8: bool, half: bool = False) -> Any:
    """Encoder graph for windows of any even length, unequal in one batch.

    Inputs: ``mel [B, n_mels, T]``, exactly 0 beyond each row's content; ``content [B, 1, T]``, 1 on
    content and 0 beyond (conv1's output is multiplied by it: otherwise GELU of its bias would
    leak into the last content frame through conv2); ``mask [B, 1, 1, T/2]``, 0 on content and
    ``MASKED`` beyond; ``positions [1, T/2, d]``. Output: ``[B, T/2, d]``. ``half``: as in
    ``Blocks``.
    """
    c, blocks = checkpoint.config, Blocks(checkpoint, int8, half)
    mel = parameter("mel", (-1, c.n_mels, -1))
    content = parameter("content", (-1, 1, -1))
    mask = parameter("mask", (-1, 1, 1, -1))
    positions = parameter("positions", (1, -1, c.d_model))
    x = ops.add(_convolutions(blocks, mel, content), positions)
    return model([_layers(blocks, x, mask)], [mel, content, mask, positions], "encoder")


def _convolutions(blocks: Blocks, mel: Node, content: Node | None) -> Node:
    """``[B, n_mels, T] → [B, T/2, d]``."""
    by_time = indices(0, 2, 1)

    def masked(x: Node, content: Node | None) -> Node:
        return x if content is None else ops.multiply(x, content)

    if blocks.int8:
        mel, content = (y if y is None else ops.transpose(y, by_time) for y in (mel, content))
        x = masked(blocks.convolution_as_product(mel, "encoder.conv1", 1), content)
        return blocks.convolution_as_product(x, "encoder.conv2", 2)
    x = masked(blocks.convolution(mel, "encoder.conv1", 1), content)
    return ops.transpose(blocks.convolution(x, "encoder.conv2", 2), by_time)


def _layers(blocks: Blocks, x: Node, mask: Node | None) -> Node:
    """The transformer: ``[B, T, d] → [B, T, d]``."""
    for i in range(blocks.checkpoint.config.encoder_layers):
        layer = f"encoder.layers.{i}"
        x = ops.add(x, _self_attention(blocks, x, layer, mask))
        x = blocks.feed_forward(x, layer)
    return blocks.norm(x, "encoder.layer_norm")


def _self_attention(blocks: Blocks, x: Node, layer: str, mask: Node | None) -> Node:
    """Products and softmax, not OpenVINO's attention operation: as fast, and scaling is free."""
    c, name = blocks.checkpoint.config, f"{layer}.self_attn"
    heads, size = c.encoder_heads, c.d_model // c.encoder_heads
    h = blocks.norm(x, f"{layer}.self_attn_layer_norm")
    scales = {"q": size**-0.5}
    q, k, v = (
        split_heads(blocks.linear(h, f"{name}.{p}_proj", scale=scales.get(p, 1.0)), heads, size)
        for p in "qkv"
    )
    scores = ops.matmul(q, k, False, True)
    p = ops.softmax(scores if mask is None else ops.add(scores, mask), -1)
    y = ops.matmul(p, v, False, False)
    return blocks.linear(join_heads(y, c.d_model), f"{name}.out_proj")
