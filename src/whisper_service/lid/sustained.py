"""When a change of language counts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisper_service.config import LanguageOptions
from whisper_service.lid.smoother import Vector
from whisper_service.types import to_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another language that the newest frames are believed to be in."""

    language: int  # column of the posterior
    since: int  # samples, stamp of the first frame in which it leads
    crossing: int  # samples, halfway from the frame before to `since`
    sustained: bool  # margin and probability held long enough


class SustainedChange:
    """The switch detector: margin, probability and dwell, all of them.

    A candidate's frames must each satisfy ``P(new) - P(old) > confidence_margin`` and
    ``P(new) >= min_probability``; it is sustained once they are ``min_dwell_frames`` and last
    ``min_dwell`` seconds. Frames are judged by the *smoothed* belief, so evidence that arrives
    late counts for the frames before it. A single burst of wrong frames never gets that far.
    """

    def __init__(self, options: LanguageOptions) -> None:
        self._options = options
        self._dwell = to_samples(options.min_dwell)
        self._hop = to_samples(options.hop)

    def check(self, times: Sequence[int], beliefs: Vector, *, old: int | None) -> Candidate | None:
        """Find the candidate against ``old`` in ``beliefs`` ``[frames, languages]``.

        ``times`` are the frames' stamps in samples. ``old=None`` means that nothing has been
        decided yet: the best language is then measured against the second best.
        """
        if not len(beliefs):
            return None
        new = int(np.argmax(beliefs[-1]))
        if new == old:
            return None
        lead = beliefs[:, new] - self._rival(beliefs, new, old)
        sure = beliefs[:, new] >= self._options.min_probability
        held = len(times) - _run_start(sure & (lead > self._options.confidence_margin))
        if not held:
            return None
        first = _run_start(lead > 0)
        dwelt = (held - 1) * self._hop >= self._dwell
        return Candidate(
            language=new,
            since=times[first],
            crossing=(times[max(0, first - 1)] + times[first]) // 2,
            sustained=held >= self._options.min_dwell_frames and dwelt,
        )

    def _rival(self, beliefs: Vector, new: int, old: int | None) -> Vector:
        """Belief ``[frames]`` in the language that ``new`` is measured against."""
        if old is not None:
            return beliefs[:, old]
        others = np.delete(beliefs, new, axis=1)
        best: Vector = others.max(axis=1, initial=0.0)
        return best


def _run_start(held: NDArray[np.bool_]) -> int:
    """Index of the first frame of the unbroken run that ends with the newest frame."""
    broken = np.flatnonzero(~held)
    return int(broken[-1]) + 1 if len(broken) else 0
