"""Which tokens may come next, as tables for the decoder graph.

Rows of the output projection that are exactly equal give exactly equal logits (a checkpoint
trained on few languages leaves most of its 51,865 rows at one shared value). Equal rows form a
*class*: its logit is computed once, and counts as often in the log-sum-exp as it has allowed
members, ``log Σ count·exp(logit)``. The token of a class is its first allowed member, as an
arg-max over all rows would choose. Without equal rows classes are the tokens themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import xxhash
from numpy.typing import NDArray

from whisper_service.engine.graph import MASKED
from whisper_service.models.checkpoint import Checkpoint, GenerationConfig
from whisper_service.types import FloatArray

IntArray: TypeAlias = NDArray[np.integer[Any]]

# Bits of a rule number, and the rule that allows every token.
TIMESTAMPS, FIRST, NO_END = 1, 2, 4
ANY = 8


def classes(table: FloatArray) -> tuple[IntArray, IntArray]:
    """Find equal rows: the first row of each class, and the class of each row.

    Rows are compared by 128-bit hashes of their bytes.
    """
    seen: dict[bytes, int] = {}
    of_row = np.fromiter(
        (seen.setdefault(xxhash.xxh3_128_digest(row), len(seen)) for row in table),
        np.int32,
        len(table),
    )
    first = np.zeros(len(seen), np.int32)
    first[of_row[::-1]] = np.arange(len(table) - 1, -1, -1, dtype=np.int32)
    return first, of_row


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Output classes and what each rule allows."""

    weights: FloatArray  # [classes, d], rows of the output projection
    class_of: IntArray  # [vocabulary]
    log_counts: FloatArray  # [rules, classes]: log of the allowed members, MASKED if none
    tokens: IntArray  # [rules, classes]: the token a class stands for

    def special(self, tokens: Iterable[int]) -> list[int]:
        return [int(self.class_of[t]) for t in tokens]


def output_vocabulary(
    generation: GenerationConfig, weights: FloatArray, class_of: IntArray
) -> Vocabulary:
    """Tabulate the rules over the classes of an output projection."""
    count = len(weights)
    log_counts = np.empty((ANY + 1, count), np.float32)
    tokens = np.zeros((ANY + 1, count), np.int32)
    for rule in range(ANY + 1):
        allowed = np.flatnonzero(_allowed(generation, rule, len(class_of)))
        members = np.bincount(class_of[allowed], minlength=count)
        log_counts[rule] = np.where(members, np.log(np.maximum(members, 1)), MASKED)
        tokens[rule][class_of[allowed[::-1]]] = allowed[::-1]
    return Vocabulary(weights, class_of, log_counts, tokens)


def _allowed(g: GenerationConfig, rule: int, size: int) -> NDArray[np.bool_]:
    """Text tokens, end-of-text and, if asked for, timestamps; never another special token.

    ``begin_suppress_tokens`` never bans end-of-text: half a word of audio must give no token.
    """
    if rule == ANY:
        return np.ones(size, np.bool_)
    allowed = np.arange(size) < g.eot
    allowed[list(g.suppress_tokens)] = False
    if rule & FIRST:
        allowed[list(g.begin_suppress_tokens)] = False
    if rule & TIMESTAMPS:
        allowed[g.timestamp_begin :] = True
    allowed[g.eot] = not rule & NO_END
    return allowed


class Embedding:
    """Token embeddings on the NumPy side: a look-up copies a few rows, a graph would hold them.

    Equal rows are stored once; rows are kept in float16 where that is exact, or in INT8 with one
    scale per row if ``int8``.
    """

    def __init__(self, rows: FloatArray, class_of: IntArray, *, int8: bool) -> None:
        self._class_of = class_of
        self._scale: FloatArray | None = None
        self._rows: NDArray[Any] = rows
        if int8:
            self._scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12) / 127
            self._rows = np.rint(rows / self._scale).astype(np.int8)
        elif np.array_equal(half := rows.astype(np.float16), rows):
            self._rows = half

    def __call__(self, tokens: IntArray) -> FloatArray:
        """Rows ``[..., d]`` of ``tokens``, float32."""
        chosen = self._class_of[tokens]
        rows: FloatArray = self._rows[chosen].astype(np.float32)
        if self._scale is not None:
            rows *= self._scale[chosen]
        return rows

    @property
    def nbytes(self) -> int:
        scale = 0 if self._scale is None else self._scale.nbytes
        return self._rows.nbytes + self._class_of.nbytes + scale


def tables(checkpoint: Checkpoint, *, int8: bool) -> tuple[Vocabulary, Embedding]:
    """Both tables of a checkpoint, each of its large tensors read once."""
    config = checkpoint.config
    table = checkpoint.tensor("decoder.embed_tokens.weight")
    first, class_of = classes(table)
    rows = table[first]
    if config.tied_output:
        vocabulary = output_vocabulary(checkpoint.generation, rows, class_of)
    else:
        projection = checkpoint.tensor("proj_out.weight")
        chosen, of_row = classes(projection)
        vocabulary = output_vocabulary(checkpoint.generation, projection[chosen], of_row)
    return vocabulary, Embedding(rows, class_of, int8=int8)
