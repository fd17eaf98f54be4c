"""The languages a stream may be in, as columns of its beliefs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whisper_service.errors import InvalidOptionError
from whisper_service.lid.smoother import Vector
from whisper_service.types import FloatArray

OTHER = "other"

OTHER_SHARE = 0.1
"""Belief that speech is in none of the allowed languages, before any evidence."""


class AllowedLanguages:
    """An allow-list over the languages of a model, with the rest kept as *other*.

    ``chosen`` empty: all of them. Raises ``InvalidOptionError`` for a language the model lacks.
    """

    def __init__(self, languages: Sequence[str], chosen: Sequence[str]) -> None:
        self.codes = tuple(dict.fromkeys(chosen)) or tuple(languages)
        unknown = [code for code in self.codes if code not in languages]
        if unknown:
            raise InvalidOptionError(
                f"this model does not know the language {unknown[0]!r}; "
                f"it knows: {', '.join(languages)}"
            )
        self._inside = np.array([languages.index(code) for code in self.codes])
        self._outside = np.setdiff1d(np.arange(len(languages)), self._inside)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def restricted(self) -> bool:
        """Whether the model knows languages that are not allowed: there is an *other* column."""
        return len(self._outside) > 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the allowed languages, then *other*."""
        return (*self.codes, OTHER) if self.restricted else self.codes

    @property
    def shares(self) -> list[float]:
        """Belief ``[columns]`` before any evidence, sums to 1."""
        count = len(self.codes)
        if not self.restricted:
            return [1.0 / count] * count
        return [(1.0 - OTHER_SHARE) / count] * count + [OTHER_SHARE]

    def restrict(self, probabilities: FloatArray) -> Vector:
        """Probabilities ``[columns]``, summing to 1, from the model's ``[languages]``.

        The strongest language outside stands for all of them: a third language beats the
        allowed ones, while equal probabilities over a hundred languages speak for none.
        """
        inside = probabilities[self._inside].astype(np.float64)
        if self.restricted:
            inside = np.append(inside, probabilities[self._outside].max())
        shares: Vector = inside / max(float(inside.sum()), 1e-12)
        return shares
