"""Rows that go through the decoder graph in lockstep, with their cache.

Every dimension lies on a short grid, because the CPU plugin prepares each new shape once (5-30
ms) and keeps the code generated for it (1-5 MB). Buffers belong to the batch; the graph reads
them in place and only new columns are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whisper_service.engine.graph import MASKED
from whisper_service.engine.graph_decoder import OUTPUTS
from whisper_service.engine.graph_vocabulary import ANY, Embedding, IntArray, Vocabulary
from whisper_service.engine.openvino_encoder import BATCHES, OpenVinoEncoded, fit
from whisper_service.engine.openvino_runtime import Array, Session
from whisper_service.types import FloatArray

PREFIX_LENGTHS = (1, 8, 32, 128)
CACHE_LENGTHS = (64, 128, 256, 448)

_COLUMNS = OUTPUTS.index("columns")


@dataclass(frozen=True, slots=True)
class DecoderModel:
    """What all batches of one engine share."""

    embedding: Embedding
    positions: FloatArray  # [max_positions, d]
    vocabulary: Vocabulary
    layers: int
    heads: int
    head_size: int
    kind: Any  # element type of the caches; None: float32

    @property
    def cache_grid(self) -> tuple[int, ...]:
        longest = len(self.positions)
        return (*(n for n in CACHE_LENGTHS if n < longest), longest)

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Of the caches on the NumPy side: bfloat16 travels as opaque 16-bit numbers."""
        return np.float32 if self.kind is None else np.float16

    def cache(self, rows: int, length: int) -> Array:
        """Zeros ``[2·layers, rows, heads, length, size]``."""
        return np.zeros((2 * self.layers, rows, self.heads, length, self.head_size), self.dtype)

    def cross(self, length: int) -> list[Array]:
        """Room for one window's keys and values (``OpenVinoEncoded.cross``)."""
        shape = (1, self.heads, length, self.head_size)
        return [np.empty(shape, self.dtype) for _ in range(2 * self.layers)]


@dataclass(frozen=True, slots=True)
class RowInput:
    """One row at its start: what it looks at and the tokens it begins with."""

    encoded: OpenVinoEncoded
    span: tuple[int, int]  # frames cross-attention may see
    tokens: Sequence[int]
    start: int  # index of <|startoftranscript|> in tokens
    rule: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the graph says about the next token of each row; copies, first axis: rows."""

    classes: IntArray  # [rows, N], best first
    logprobs: FloatArray  # [rows, N]
    end_logprob: FloatArray  # [rows]
    no_speech: FloatArray  # [rows], log-probability
    attention: FloatArray  # [rows, context]

    def row(self, i: int) -> Step:
        return Step(*(getattr(self, name)[i : i + 1] for name in self.__slots__))


def stack(steps: Sequence[Step]) -> Step:
    """Join the rows of several steps."""
    return Step(*(np.concatenate([getattr(s, n) for s in steps]) for n in Step.__slots__))


class Batch:
    """Up to eight rows. ``prefill`` once, then ``step``; rows may leave or be reordered."""

    def __init__(
        self, model: DecoderModel, session: Session, rows: Sequence[RowInput], *, candidates: int
    ) -> None:
        self._model, self._session = model, session
        self._count = len(rows)
        self._size = fit(len(rows), BATCHES)
        self._past = np.zeros(self._size, np.int64)
        self._cache = model.cache(self._size, model.cache_grid[0])
        self._context = max(row.encoded.context for row in rows)
        self._cross = self._gather_cross([row.encoded for row in rows])
        self._cross_mask = np.zeros((self._size, 1, 1, self._context), np.float32)
        self._x = self._mask = np.empty(0, np.float32)
        self._rules = np.empty(0, np.int32)
        for i, row in enumerate(rows):
            self._cross_mask[i] = MASKED
            self._cross_mask[i, ..., row.span[0] : row.span[1]] = 0
        session.set("candidates", np.array(candidates, np.int64))

    def prefill(self, rows: Sequence[RowInput]) -> Step:
        """Run the rows' tokens; ``no_speech`` is that of each row's ``start``."""
        lengths = np.zeros(self._size, np.int64)
        lengths[: self._count] = [len(row.tokens) for row in rows]
        first: list[Step] = [None] * self._count  # type: ignore[list-item]
        last = list(first)
        self._bind_caches()
        for offset in range(0, int(lengths.max()), PREFIX_LENGTHS[-1]):
            count = np.clip(lengths - offset, 0, PREFIX_LENGTHS[-1])
            at_start, at_end = self._prefill_part(rows, offset, count)
            for i, row in enumerate(rows):
                if offset <= row.start < offset + count[i]:
                    first[i] = at_start.row(i)
                if 0 < count[i] == lengths[i] - offset:
                    last[i] = at_end.row(i)
        self._bind_steps()
        start, end = stack(first), stack(last)
        return Step(end.classes, end.logprobs, end.end_logprob, start.no_speech, end.attention)

    def step(self, tokens: Sequence[int], rules: Sequence[int]) -> Step:
        """Append one token to each row and run."""
        n = self._count
        past = self._past[:n].copy()
        self._x[:n, 0] = self._model.embedding(np.array(tokens)) + self._model.positions[past]
        self._rules[:n, 0] = rules
        self._session.run()
        step = self._read(0)
        self._append((np.arange(self._size) < n).astype(np.int64))
        self._mask[np.arange(n), 0, 0, past] = 0
        return step

    def keep(self, rows: Sequence[int]) -> None:
        """Let all rows but these leave; the others keep their order."""
        rows = list(rows)
        self._count = len(rows)
        size = fit(len(rows), BATCHES)
        self._past[: len(rows)] = self._past[rows]
        self._mask[: len(rows)] = self._mask[rows]
        for i, row in enumerate(rows):
            if i != row:
                self._cache[:, i] = self._cache[:, row]
                self._cross_mask[i] = self._cross_mask[row]
                for array in self._cross:
                    array[i] = array[row]
        if size < self._size:
            self._shrink(size)

    def expand(self, count: int) -> None:
        """Make ``count`` equal rows of the only one."""
        self._count, self._size = count, fit(count, BATCHES)
        self._past = np.repeat(self._past[:1], self._size)
        self._cache = np.repeat(self._cache[:, :1], self._size, axis=1)
        self._cross = [np.repeat(array[:1], self._size, axis=0) for array in self._cross]
        self._cross_mask = np.repeat(self._cross_mask[:1], self._size, axis=0)
        self._bind_caches()
        self._bind_steps()

    def reorder(self, order: Sequence[int]) -> None:
        """Row i continues what row ``order[i]`` was; all rows look at the same encoding."""
        order = list(order)
        n = self._count = len(order)
        self._past[:n] = self._past[order]
        self._mask[:n] = self._mask[order]
        self._cache[:, :n] = self._cache[:, order]

    def _gather_cross(self, encoded: Sequence[OpenVinoEncoded]) -> list[Array]:
        """Keys and values of all rows on one length; a single row's are used in place."""
        arrays = [e.cross for e in encoded if e.cross is not None]
        if self._size == 1:
            return arrays[0]
        shape = (self._size, self._model.heads, self._context, self._model.head_size)
        joined = [np.zeros(shape, arrays[0][0].dtype) for _ in arrays[0]]
        for row, cross in enumerate(arrays):
            for target, source in zip(joined, cross, strict=True):
                target[row, :, : source.shape[2]] = source[0]
        return joined

    def _bind_caches(self) -> None:
        kind, size = self._model.kind, self._size
        for i in range(self._model.layers):
            for j, name in enumerate("kv"):
                self._session.set(f"{name}{i}", self._cache[2 * i + j, :size], kind)
                self._session.set(f"c{name}{i}", self._cross[2 * i + j][:size], kind)
        self._session.set("cross_mask", self._cross_mask[:size])

    def _bind_steps(self) -> None:
        """Make and bind the small inputs of a one-token run."""
        size, length = self._size, self._cache.shape[3]
        self._x = np.zeros((size, 1, self._model.positions.shape[1]), np.float32)
        self._rules = np.zeros((size, 1), np.int32)
        self._mask = np.full((size, 1, 1, length + 1), MASKED, np.float32)
        self._mask[..., -1] = 0
        for row, past in enumerate(self._past):
            self._mask[row, ..., :past] = 0
        self._session.set("x", self._x)
        self._session.set("self_mask", self._mask)
        self._session.set("rules", self._rules)
        self._session.set("select", np.zeros((size, 1), np.int32))

    def _shrink(self, size: int) -> None:
        self._size, self._past = size, self._past[:size]
        self._bind_caches()
        self._bind_steps()

    def _prefill_part(
        self, rows: Sequence[RowInput], offset: int, count: IntArray
    ) -> tuple[Step, Step]:
        """Run ``count[i]`` tokens of row i from ``offset``: results at its start and at its end."""
        length = fit(int(count.max()), PREFIX_LENGTHS)
        tokens = np.zeros((self._size, length), np.int64)
        select = np.zeros((self._size, 2), np.int32)
        rules = np.full((self._size, 2), ANY, np.int32)
        for i, row in enumerate(rows):
            part = row.tokens[offset : offset + count[i]]
            tokens[i, : len(part)] = part
            select[i] = np.clip((row.start - offset, len(part) - 1), 0, length - 1)
            rules[i, 1] = row.rule
        positions = self._past[:, None] + np.arange(length)
        positions = self._model.positions[np.minimum(positions, len(self._model.positions) - 1)]
        self._session.set("x", self._model.embedding(tokens) + positions)
        self._session.set("self_mask", self._prefill_mask(length))
        self._session.set("select", select)
        self._session.set("rules", rules)
        self._session.run()
        results = self._read(0), self._read(1)
        self._append(count)
        return results

    def _prefill_mask(self, length: int) -> FloatArray:
        """Cached positions of each row, then the new ones causally: ``[B, 1, S, C+S]``."""
        cached = self._cache.shape[3]
        mask = np.full((self._size, 1, length, cached + length), MASKED, np.float32)
        for row, past in enumerate(self._past):
            mask[row, ..., :past] = 0
        mask[..., cached:] = np.triu(np.full((length, length), MASKED, np.float32), 1)
        return mask

    def _read(self, k: int) -> Step:
        """Results at the ``k``-th selected position, copied."""
        n = self._count
        classes, logits, normalizer, special, attention = (
            self._session.output(i)[:n, k] for i in range(_COLUMNS)
        )
        beyond = special - normalizer
        return Step(
            classes.astype(np.int32),
            logits - normalizer,
            beyond[:, 0],
            beyond[:, 1],
            attention.copy(),
        )

    def _append(self, count: IntArray) -> None:
        """Write the first ``count[i]`` new columns of each row behind its cache."""
        columns = self._session.output(_COLUMNS)
        needed = int((self._past + count).max())
        if needed > self._cache.shape[3]:
            self._grow(needed)
        for row in range(self._count):
            past, end = self._past[row], self._past[row] + count[row]
            self._cache[:, row, :, past:end] = columns[:, row, :, : count[row]]
            self._past[row] = end

    def _grow(self, needed: int) -> None:
        cache = self._model.cache(self._size, fit(needed, self._model.cache_grid))
        cache[:, :, :, : self._cache.shape[3]] = self._cache[:, : self._size]
        self._cache = cache
        self._bind_caches()
        self._bind_steps()
