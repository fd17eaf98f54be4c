"""The language head: one decoder step that reads only the language tokens, in float32.

The one query per layer makes keys and values unnecessary. With ``K = E Wkᵀ`` and
``V = E Wvᵀ + b``, per head h::

    softmax(q Kᵀ) V  =  softmax(q' Eᵀ) E Wv_hᵀ + b_h,     q' = q_h Wk_h

which is exact and needs ``2d² + 2·heads·T·d`` multiplications per layer in place of ``2T·d²``.
Self-attention over a single position is the linear map ``Wo Wv``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whisper_service.engine.graph import Blocks, Node, indices, model, parameter
from whisper_service.engine.openvino_runtime import ops
from whisper_service.models.checkpoint import Checkpoint
from whisper_service.types import FloatArray


def language_head(checkpoint: Checkpoint) -> Any:
    """Graph from ``states [N, T, d]`` and ``mask [N, 1, T]`` to probabilities ``[N, languages]``.

    The mask is 0 or ``MASKED``. Probabilities are over all languages of the checkpoint, in the
    order of their ids.
    """
    c, g, blocks = checkpoint.config, checkpoint.generation, Blocks(checkpoint)
    states = parameter("states", (-1, -1, c.d_model))
    mask = parameter("mask", (-1, 1, -1))
    embedding = checkpoint.tensor("decoder.embed_tokens.weight")
    table = embedding if c.tied_output else checkpoint.tensor("proj_out.weight")
    start = embedding[g.sot] + checkpoint.tensor("decoder.embed_positions.weight")[0]
    x: Node = ops.constant(start[None])
    for i in range(c.decoder_layers):
        layer = f"decoder.layers.{i}"
        h = blocks.norm(x, f"{layer}.self_attn_layer_norm")
        x = ops.add(x, _single_self_attention(blocks, h, f"{layer}.self_attn"))
        h = blocks.norm(x, f"{layer}.encoder_attn_layer_norm")
        attended = _absorbed_attention(blocks, h, f"{layer}.encoder_attn", (states, mask))
        x = blocks.feed_forward(ops.add(x, attended), layer)
    x = blocks.norm(x, "decoder.layer_norm")
    logits = blocks.project(x, np.ascontiguousarray(table[list(g.languages.values())]))
    return model([ops.softmax(logits, -1)], [states, mask], "language_head")


def _single_self_attention(blocks: Blocks, h: Node, name: str) -> Node:
    """Self-attention of one position on itself; the product of weights in float64."""
    out, value = (blocks.tensor(f"{name}.{p}.weight").astype(float) for p in ("out_proj", "v_proj"))
    bias = out @ blocks.tensor(f"{name}.v_proj.bias") + blocks.tensor(f"{name}.out_proj.bias")
    return blocks.project(h, (out @ value).astype(np.float32), bias.astype(np.float32))


def _absorbed_attention(blocks: Blocks, h: Node, name: str, encoded: tuple[Node, Node]) -> Node:
    """Cross-attention of one query per row, ``h [N or 1, d]``, without keys and values."""
    states, mask = encoded
    heads, width = blocks.checkpoint.config.decoder_heads, blocks.checkpoint.config.d_model
    size = width // heads
    query = blocks.linear(h, f"{name}.q_proj", scale=size**-0.5)
    query = _by_head(query, (0, heads, size))  # [heads, N, size]
    keys = blocks.tensor(f"{name}.k_proj.weight").reshape(heads, size, width)
    absorbed = ops.transpose(_product(query, keys), indices(1, 0, 2))  # [N, heads, d]
    scores = ops.add(ops.matmul(absorbed, states, False, True), mask)
    mixed = ops.matmul(ops.softmax(scores, -1), states, False, False)  # [N, heads, d]
    values = blocks.tensor(f"{name}.v_proj.weight").reshape(heads, size, width).swapaxes(1, 2)
    y = _product(ops.transpose(mixed, indices(1, 0, 2)), values)  # [heads, N, size]
    y = ops.reshape(ops.transpose(y, indices(1, 0, 2)), indices(0, width), True)
    y = ops.add(y, blocks.constant(f"{name}.v_proj.bias"))
    return blocks.linear(y, f"{name}.out_proj")


def _by_head(x: Node, shape: tuple[int, int, int]) -> Node:
    return ops.transpose(ops.reshape(x, indices(*shape), True), indices(1, 0, 2))


def _product(x: Node, weights: FloatArray) -> Node:
    return ops.matmul(x, ops.constant(np.ascontiguousarray(weights)), False, False)
