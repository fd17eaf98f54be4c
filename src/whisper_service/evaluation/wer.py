"""Word, character and mixed error rates, with the alignment they come from.

Tokens are those of :func:`whisper_service.text.normalize.normalize`: words, and single characters
in scripts without spaces, so that a rate over several languages is the *mixed* error rate (MER)
of the code-switching literature (SEAME, ASCEND).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from whisper_service.text.normalize import normalize

Operation = Literal["equal", "substitute", "delete", "insert"]


@dataclass(frozen=True, slots=True)
class Errors:
    """Counts of an alignment; rates are against the reference's length."""

    reference: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference token; insertions into an empty reference count as 1 each."""
        return self.total / max(1, self.reference)

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.reference + other.reference,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an alignment; the index that does not apply is ``None``."""

    operation: Operation
    reference: int | None
    hypothesis: int | None


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """The Levenshtein alignment of two token lists (unit costs; diagonal preferred on ties)."""
    costs = _costs(reference, hypothesis)
    i, j = len(reference), len(hypothesis)
    steps: list[Step] = []
    while i or j:
        here = costs[i][j]
        same = i and j and reference[i - 1] == hypothesis[j - 1]
        if i and j and here == costs[i - 1][j - 1] + (not same):
            i, j = i - 1, j - 1
            steps.append(Step("equal" if same else "substitute", i, j))
        elif i and here == costs[i - 1][j] + 1:
            i -= 1
            steps.append(Step("delete", i, None))
        else:
            j -= 1
            steps.append(Step("insert", None, j))
    return steps[::-1]


def count(steps: Iterable[Step]) -> Errors:
    """Add up an alignment."""
    kinds = [s.operation for s in steps]
    return Errors(
        reference=len(kinds) - kinds.count("insert"),
        substitutions=kinds.count("substitute"),
        deletions=kinds.count("delete"),
        insertions=kinds.count("insert"),
    )


def errors(reference: str, hypothesis: str, language: str) -> Errors:
    """Errors of ``hypothesis`` against ``reference``, both normalized as ``language``."""
    return count(align(normalize(reference, language), normalize(hypothesis, language)))


def mixed_tokens(parts: Iterable[tuple[str, str]]) -> list[str]:
    """Tokens of ``(text, language)`` parts one after the other."""
    return [token for text, language in parts for token in normalize(text, language)]


def mixed_errors(
    reference: Iterable[tuple[str, str]], hypothesis: Iterable[tuple[str, str]]
) -> Errors:
    """Mixed error counts of two lists of ``(text, language)`` in the order they were spoken."""
    return count(align(mixed_tokens(reference), mixed_tokens(hypothesis)))


def _costs(reference: Sequence[str], hypothesis: Sequence[str]) -> list[list[int]]:
    rows = [list(range(len(hypothesis) + 1))]
    for i, expected in enumerate(reference, 1):
        above, row = rows[-1], [i]
        for j, got in enumerate(hypothesis, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (expected != got)))
        rows.append(row)
    return rows
