"""How audio is cut changes no bit of its features."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.features import LogMelStream, log_mel, normalize

SIGNAL = np.random.default_rng(7).standard_normal(40_000).astype(np.float32) * 0.1


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, len(SIGNAL)),
    cuts=st.lists(st.integers(0, len(SIGNAL)), max_size=12),
    n_mels=st.sampled_from([80, 128]),
)
def test_any_cut_gives_the_same_bits(length, cuts, n_mels):
    samples = SIGNAL[:length]
    stream = LogMelStream(n_mels)
    for chunk in np.split(samples, sorted(min(c, length) for c in cuts)):
        stream.feed(chunk)
    frames = stream.finish()
    assert np.array_equal(stream.window(0, frames), log_mel(samples, n_mels))


@settings(max_examples=10, deadline=None)
@given(chunk=st.integers(1, 700))
def test_equal_chunks_give_the_same_bits(chunk):
    stream = LogMelStream()
    for first in range(0, len(SIGNAL), chunk):
        stream.feed(SIGNAL[first : first + chunk])
    assert np.array_equal(stream.window(0, stream.finish()), log_mel(SIGNAL))


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 200), length=st.integers(1, 49), gain=st.floats(1e-6, 1.0))
def test_a_window_depends_on_nothing_but_its_own_frames(start, length, gain):
    stream = LogMelStream()
    stream.feed(SIGNAL * np.float32(gain))
    stream.finish()
    assert np.array_equal(
        stream.window(start, start + length),
        normalize(np.array(stream.frames(start, start + length))),
    )
