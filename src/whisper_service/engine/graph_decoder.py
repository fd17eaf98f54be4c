"""The decoder as two graphs: cross-attention keys and values, and the decoder itself.

The self-attention cache lies outside of the graph in fixed-size buffers; a run reads it and
returns only the new columns. Scores of cached and of new positions are computed apart and joined
before the softmax, so that no run copies the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whisper_service.engine.graph import (
    MASKED,
    Blocks,
    Node,
    indices,
    join_heads,
    model,
    number,
    parameter,
    split_heads,
)
from whisper_service.engine.graph_vocabulary import Vocabulary
from whisper_service.engine.openvino_runtime import ops, types
from whisper_service.models.checkpoint import Checkpoint
from whisper_service.types import FloatArray

EXACT = 16  # best classes whose logits are computed again in float32 under bfloat16
OUTPUTS = ("classes", "logits", "normalizer", "special", "attention", "columns")


def cross_attention(
    checkpoint: Checkpoint, *, int8: bool, kind: Any, half: bool = False, frames: int = -1
) -> Any:
    """Graph from ``states [1, T, d]`` to k0, v0, k1 and so on, ``[1, heads, T, size]`` each.

    ``half``: as in ``Blocks``; ``frames``: T where it is always the same.
    """
    c, blocks = checkpoint.config, Blocks(checkpoint, int8, half)
    states = parameter("states", (1, frames, c.d_model))
    outputs = []
    for i in range(c.decoder_layers):
        for p in "kv":
            y = blocks.linear(states, f"decoder.layers.{i}.encoder_attn.{p}_proj")
            y = split_heads(y, c.decoder_heads, c.d_model // c.decoder_heads)
            outputs.append(ops.convert(y, kind))
    return model(outputs, [states], "cross_attention")


@dataclass(slots=True)
class _Inputs:
    """Inputs shared by all layers, and those of each layer in the order they are made."""

    x: Node
    self_mask: Node
    cross_mask: Node
    select: Node
    rules: Node
    candidates: Node
    layers: list[Node]

    def all(self) -> list[Node]:
        shared = [self.x, self.self_mask, self.cross_mask, self.select, self.rules]
        return [*shared, self.candidates, *self.layers]


def decoder(checkpoint: Checkpoint, vocabulary: Vocabulary, *, int8: bool, kind: Any) -> Any:
    """Decoder graph for ``S`` new positions of ``B`` rows over a cache of ``C`` positions.

    Inputs: ``x [B, S, d]`` token plus position embeddings; ``self_mask [B, 1, S, C+S]`` and
    ``cross_mask [B, 1, 1, T]``, 0 or ``MASKED``; ``select [B, K]`` the positions whose next token
    is wanted; ``rules [B, K]`` rows of ``Vocabulary.log_counts``; ``candidates`` scalar N; for
    each layer i ``k{i}``, ``v{i} [B, heads, C, size]`` and ``ck{i}``, ``cv{i} [B, heads, T, size]``
    of type ``kind``.

    Outputs (``OUTPUTS``): the N best classes ``[B, K, N]`` with their ``logits``; ``normalizer
    [B, K, 1]``, the log-sum-exp under the rule; ``special [B, K, 2]``, logits of end-of-text and
    no-speech; ``attention [B, K, T]``, mean cross-attention of the alignment heads; ``columns
    [2·layers, B, heads, S, size]``, the new part of the cache (k0, v0, k1, …), of type ``kind``.
    """
    c, blocks = checkpoint.config, Blocks(checkpoint, int8, half=kind == types.bf16)
    inputs = _Inputs(
        parameter("x", (-1, -1, c.d_model)),
        parameter("self_mask", (-1, 1, -1, -1)),
        parameter("cross_mask", (-1, 1, 1, -1)),
        parameter("select", (-1, -1), np.int32),
        parameter("rules", (-1, -1), np.int32),
        parameter("candidates", (), np.int64),
        [],
    )
    stack = _Stack(blocks, c.decoder_heads, c.d_model, kind)
    x = inputs.x
    for i in range(c.decoder_layers):
        x = stack.layer(x, i, inputs)
    x = blocks.norm(ops.gather(x, inputs.select, indices(1), 1), "decoder.layer_norm")
    columns = ops.concat([ops.unsqueeze(y, indices(0)) for y in stack.columns], 0)
    next_token = _exact_next_token if kind == types.bf16 else _next_token
    outputs = [
        *next_token(blocks, x, vocabulary, inputs),
        ops.gather(stack.mean_attention(), inputs.select, indices(1), 1),
        ops.convert(columns, kind),
    ]
    return model(outputs, inputs.all(), "decoder")


class _Stack:
    """Builds the layers one after the other and collects what leaves the graph beside them."""

    def __init__(self, blocks: Blocks, heads: int, width: int, kind: Any) -> None:
        self.blocks, self.heads, self.width, self.kind = blocks, heads, width, kind
        self.size = width // heads
        self.columns: list[Node] = []
        self.attention: list[Node] = []
        self.alignment = blocks.checkpoint.generation.alignment_heads

    def layer(self, x: Node, i: int, inputs: _Inputs) -> Node:
        name = f"decoder.layers.{i}"
        k, v, ck, cv = (self._cached(f"{n}{i}", inputs) for n in ("k", "v", "ck", "cv"))
        h = self.blocks.norm(x, f"{name}.self_attn_layer_norm")
        x = ops.add(x, self._self_attention(h, name, (k, v), inputs.self_mask))
        h = self.blocks.norm(x, f"{name}.encoder_attn_layer_norm")
        chosen = [head for layer, head in self.alignment if layer == i]
        x = ops.add(x, self._cross_attention(h, name, (ck, cv, inputs.cross_mask), chosen))
        return self.blocks.feed_forward(x, name)

    def mean_attention(self) -> Node:
        total = self.attention[0]
        for part in self.attention[1:]:
            total = ops.add(total, part)
        return ops.multiply(total, number(1 / len(self.alignment)))

    def _cached(self, name: str, inputs: _Inputs) -> Node:
        node = parameter(name, (-1, self.heads, -1, self.size), self.kind)
        inputs.layers.append(node)
        return ops.convert(node, "f32")

    def _query(self, h: Node, name: str) -> Node:
        # Scaling the query's weights by size^-½ saves scaling the scores.
        q = self.blocks.linear(h, f"{name}.q_proj", scale=self.size**-0.5)
        return split_heads(q, self.heads, self.size)

    def _self_attention(self, h: Node, layer: str, cache: tuple[Node, Node], mask: Node) -> Node:
        name = f"{layer}.self_attn"
        q = self._query(h, name)
        k, v = (
            split_heads(self.blocks.linear(h, f"{name}.{p}_proj"), self.heads, self.size)
            for p in "kv"
        )
        self.columns += [k, v]
        scores = [ops.matmul(q, keys, False, True) for keys in (cache[0], k)]
        p = ops.softmax(ops.add(ops.concat(scores, 3), mask), -1)
        lengths = [ops.gather(ops.shape_of(keys), indices(2), indices(0)) for keys in (cache[0], k)]
        parts = ops.variadic_split(p, ops.constant(np.int64(3)), ops.concat(lengths, 0))
        y = ops.add(
            ops.matmul(parts.output(0), cache[1], False, False),
            ops.matmul(parts.output(1), v, False, False),
        )
        return self.blocks.linear(join_heads(y, self.width), f"{name}.out_proj")

    def _cross_attention(
        self, h: Node, layer: str, encoded: tuple[Node, Node, Node], chosen: list[int]
    ) -> Node:
        name = f"{layer}.encoder_attn"
        keys, values, mask = encoded
        scores = ops.matmul(self._query(h, name), keys, False, True)
        p = ops.softmax(ops.add(scores, mask), -1)
        if chosen:
            heads = ops.gather(p, indices(*chosen), indices(1))
            self.attention.append(ops.reduce_sum(heads, indices(1), False))
        y = join_heads(ops.matmul(p, values, False, False), self.width)
        return self.blocks.linear(y, f"{name}.out_proj")


@dataclass(frozen=True, slots=True)
class _Scores:
    """The vocabulary's logits under a rule, and their log-sum-exp as ``top + log(total)``."""

    weights: Node  # the output projection
    logits: Node  # [B, K, classes]
    counts: Node  # log of the allowed members of each class
    ranked: Node  # logits of the allowed classes
    top: Node
    total: Node


def _scores(blocks: Blocks, x: Node, vocabulary: Vocabulary, rules: Node) -> _Scores:
    weights = blocks.matrix(vocabulary.weights)
    logits = ops.matmul(x, weights, False, True)
    counts = _log_counts(vocabulary.log_counts, rules)
    weighted = ops.add(logits, counts)
    top = ops.reduce_max(weighted, indices(-1), True)
    total = ops.reduce_sum(ops.exp(ops.subtract(weighted, top)), indices(-1), True)
    return _Scores(weights, logits, counts, _banned_out(logits, counts), top, total)


def _log_counts(table: FloatArray, rules: Node) -> Node:
    """Rows of the ``table``, ``[B, K, classes]``.

    Entries are held in a byte each, allowed or not, behind the last class that counts more than
    once under any rule. Rows of the vocabulary that a training left equal make one class, which
    comes early; the published checkpoints have none.
    """
    several = np.flatnonzero((table > 0).any(axis=0))
    first = int(several[-1]) + 1 if len(several) else 0
    parts = []
    if first:
        parts.append(ops.gather(ops.constant(table[:, :first]), rules, indices(0)))
    if first < table.shape[1]:
        banned = ops.constant((table[:, first:] == MASKED).astype(np.int8))
        rows = ops.convert(ops.gather(banned, rules, indices(0)), "f32")
        parts.append(ops.multiply(rows, number(MASKED)))
    return ops.concat(parts, -1) if len(parts) > 1 else parts[0]


def _banned_out(logits: Node, counts: Node) -> Node:
    return ops.add(logits, ops.minimum(counts, number(0)))


def _next_token(blocks: Blocks, x: Node, vocabulary: Vocabulary, inputs: _Inputs) -> list[Node]:
    """Best classes, their logits, log-sum-exp and special logits of ``x [B, K, d]``."""
    s = _scores(blocks, x, vocabulary, inputs.rules)
    best = ops.topk(s.ranked, inputs.candidates, -1, "max", "value")
    special = ops.gather(s.logits, indices(*_special(blocks, vocabulary)), indices(2))
    return [best.output(1), best.output(0), ops.add(s.top, ops.log(s.total)), special]


def _exact_next_token(
    blocks: Blocks, x: Node, vocabulary: Vocabulary, inputs: _Inputs
) -> list[Node]:
    """As ``_next_token`` for bfloat16, whose logits have steps of 1/16 around 10.

    The best ``EXACT`` classes and the special ones are computed again in float32, and replace
    their share in the sum. A product and a sum stay in float32 where a matrix product would not.
    """
    s = _scores(blocks, x, vocabulary, inputs.rules)
    coarse = ops.topk(s.ranked, ops.constant(np.int64(EXACT)), -1, "max", "value")
    rows = coarse.output(1)
    counts = ops.gather_elements(s.counts, rows, 2)
    logits = _exact(x, s.weights, rows)
    before, after = (ops.exp(ops.subtract(y, s.top)) for y in (coarse.output(0), logits))
    change = ops.multiply(ops.exp(counts), ops.subtract(after, before))
    total = ops.add(s.total, ops.reduce_sum(change, indices(-1), True))
    best = ops.topk(_banned_out(logits, counts), inputs.candidates, -1, "max", "value")
    return [
        ops.gather_elements(rows, best.output(1), 2),
        best.output(0),
        ops.add(s.top, ops.log(total)),
        _exact(x, s.weights, ops.constant(np.array([[_special(blocks, vocabulary)]], np.int32))),
    ]


def _special(blocks: Blocks, vocabulary: Vocabulary) -> list[int]:
    """Classes of end-of-text and no-speech."""
    generation = blocks.checkpoint.generation
    return vocabulary.special((generation.eot, generation.no_speech))


def _exact(x: Node, weights: Node, rows: Node) -> Node:
    """Logits ``[B, K, N]`` of the ``rows [B, K, N]`` of ``weights`` for ``x [B, K, d]``."""
    chosen = ops.gather(weights, rows, indices(0))
    return ops.reduce_sum(ops.multiply(ops.unsqueeze(x, indices(2)), chosen), indices(-1), False)
