"""The package's features against the reference's, whose filters are written independently."""

from __future__ import annotations

import numpy as np
import pytest

from goldens import half_word
from reference.mel import log_mel as reference_log_mel
from whisper_service.features import log_mel


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_log_mel_of_a_clip(language: str, n_mels: int) -> None:
    samples = half_word(language)
    expected = reference_log_mel(samples.astype(np.float64), n_mels)
    assert np.abs(log_mel(samples, n_mels) - expected).max() < 1e-4
