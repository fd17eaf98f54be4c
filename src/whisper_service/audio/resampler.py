"""Any sample rate to 16 kHz, as a stream (libsoxr)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from whisper_service.audio.pcm import validate
from whisper_service.errors import InvalidOptionError, StreamClosedError
from whisper_service.types import SAMPLE_RATE, FloatArray

LOWEST, HIGHEST = 8_000, 192_000  # Hz


@dataclass(slots=True, kw_only=True)
class ResamplerState:
    """What changes while a stream runs."""

    filter: Any = None  # soxr's own state; None at 16 kHz, where nothing is to be done
    invalid_samples: int = 0
    finished: bool = False


class Resampler:
    """Resamples one stream to 16 kHz at soxr's HQ quality.

    soxr computes in blocks of its own, so chunking changes no bit of what comes out; output
    trails input by up to 50 ms until :meth:`finish`. At 16 kHz chunks pass through untouched.
    """

    def __init__(self, rate_in: int) -> None:
        """Raise ``InvalidOptionError`` for a rate outside 8-192 kHz."""
        if not LOWEST <= rate_in <= HIGHEST:
            raise InvalidOptionError(
                f"a sample rate of {rate_in} Hz cannot be used; give one of {LOWEST}-{HIGHEST} Hz"
            )
        self.rate_in = rate_in
        self.state = ResamplerState()
        if rate_in != SAMPLE_RATE:
            self.state.filter = soxr.ResampleStream(
                rate_in, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )

    @property
    def invalid_samples(self) -> int:
        """NaN and infinite samples replaced by 0; left in, one would spoil all that follow."""
        return self.state.invalid_samples

    def feed(self, samples: FloatArray) -> FloatArray:
        """Take mono samples ``[n]`` at ``rate_in``; return those at 16 kHz that are ready.

        Raises ``InvalidAudioError`` as :func:`~whisper_service.audio.pcm.validate` does, and
        ``StreamClosedError`` after :meth:`finish`.
        """
        if self.state.finished:
            raise StreamClosedError("a resampler was fed after finish(); start a new one")
        valid, bad = validate(samples)
        self.state.invalid_samples += bad
        return self._resample(valid, last=False)

    def finish(self) -> FloatArray:
        """Return the samples that were still on their way."""
        if self.state.finished:
            return np.empty(0, np.float32)
        self.state.finished = True
        return self._resample(np.empty(0, np.float32), last=True)

    def _resample(self, samples: FloatArray, *, last: bool) -> FloatArray:
        if self.state.filter is None:
            return samples
        resampled: FloatArray = self.state.filter.resample_chunk(samples, last=last)
        return resampled
