"""Any rate to 16 kHz."""

import numpy as np
import pytest
from audio_files import frequency, sine

from whisper_service.audio.resampler import Resampler
from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError


def resampled(samples, rate, chunk=None):
    resampler = Resampler(rate)
    chunk = chunk or len(samples)
    parts = [resampler.feed(samples[i : i + chunk]) for i in range(0, len(samples), chunk)]
    return np.concatenate([*parts, resampler.finish()])


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000])
def test_a_tone_keeps_its_pitch_level_and_length(rate):
    out = resampled(sine(1.0, rate), rate, chunk=rate // 50)
    assert out.dtype == np.float32
    assert abs(len(out) - 16_000) <= 1
    assert frequency(out) == pytest.approx(440, abs=1)
    np.testing.assert_allclose(out[200:15_800], sine(1.0, 16_000)[200:15_800], atol=2e-3)


def test_what_16_khz_cannot_hold_is_filtered_out():
    assert np.abs(resampled(sine(1.0, 48_000, 12_000.0), 48_000)[200:-200]).max() < 1e-3


def test_16_khz_passes_through():
    samples = sine(0.1, 16_000)
    resampler = Resampler(16_000)
    assert resampler.feed(samples) is samples
    assert len(resampler.finish()) == 0


def test_a_bad_sample_does_not_spoil_the_others():
    samples = sine(1.0, 48_000)
    samples[24_000] = np.nan
    resampler = Resampler(48_000)
    out = np.concatenate((resampler.feed(samples), resampler.finish()))
    assert resampler.invalid_samples == 1
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 0.4


def test_integers_are_scaled():
    samples = (sine(0.5, 48_000) * 32768).astype(np.int16)
    np.testing.assert_allclose(
        resampled(samples, 48_000), resampled(sine(0.5, 48_000), 48_000), atol=1e-4
    )


def test_misuse_is_told():
    for rate in (0, 4_000, 7_999, 192_001):
        with pytest.raises(InvalidOptionError, match="8000-192000 Hz"):
            Resampler(rate)
    resampler = Resampler(8_000)
    with pytest.raises(InvalidAudioError, match="mono"):
        resampler.feed(np.zeros((10, 2), np.float32))
    resampler.finish()
    assert len(resampler.finish()) == 0
    with pytest.raises(StreamClosedError):
        resampler.feed(np.zeros(10, np.float32))
