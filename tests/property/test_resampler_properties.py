"""How audio is cut changes no bit of what a resampler gives."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.audio.resampler import Resampler

SIGNAL = np.random.default_rng(3).standard_normal(30_000).astype(np.float32) * 0.2


@settings(max_examples=60, deadline=None)
@given(
    rate=st.one_of(
        st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]), st.integers(8_000, 192_000)
    ),
    length=st.integers(0, len(SIGNAL)),
    cuts=st.lists(st.integers(0, len(SIGNAL)), max_size=20),
)
def test_any_cut_gives_the_same_bits(rate, length, cuts):
    samples = SIGNAL[:length]
    whole, cut = Resampler(rate), Resampler(rate)
    expected = np.concatenate((whole.feed(samples), whole.finish()))
    chunks = np.split(samples, sorted(min(c, length) for c in cuts))
    parts = [cut.feed(chunk) for chunk in chunks]
    assert np.array_equal(np.concatenate([*parts, cut.finish()]), expected)
    assert abs(len(expected) - length * 16_000 / rate) <= 1
