"""Log-mel features: equal to Whisper's, frame by frame, whatever the chunks."""

from pathlib import Path

import numpy as np
import pytest

from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.features import LogMelStream, log_mel, mel_filters, normalize

REFERENCE = np.load(Path(__file__).parent.parent / "data" / "mel_reference.npz")


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


@pytest.mark.parametrize("n_mels", [80, 128])
def test_filters_equal_those_of_transformers(n_mels):
    np.testing.assert_allclose(mel_filters(n_mels), REFERENCE[f"filters_{n_mels}"], atol=1e-6)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_features_equal_those_of_transformers(n_mels):
    mel = log_mel(REFERENCE["samples"], n_mels)
    assert mel.shape == REFERENCE[f"log_mel_{n_mels}"].shape
    assert mel.dtype == np.float32
    assert mel.flags.c_contiguous
    np.testing.assert_allclose(mel, REFERENCE[f"log_mel_{n_mels}"], atol=2e-5)


def test_a_frame_is_ready_with_the_two_hundredth_sample_behind_its_centre():
    stream = LogMelStream()
    x = noise(1000)
    assert stream.feed(x[:200]) == 0  # mirroring the start needs sample 200
    assert stream.feed(x[200:201]) == 1
    assert stream.feed(x[201:359]) == 1
    assert stream.feed(x[359:360]) == 2
    assert stream.feed(x[360:]) == 6
    assert stream.finish() == 1000 // 160


@pytest.mark.parametrize("samples", [0, 1, 40, 159, 160, 161, 199, 200, 201, 319, 320, 500])
def test_short_signals_have_a_frame_per_hop(samples):
    mel = log_mel(noise(samples))
    assert mel.shape == (80, samples // 160)
    assert np.isfinite(mel).all()


def test_the_end_is_mirrored_as_the_start_is():
    x = noise(4800)
    mirrored = np.pad(x, 200, mode="reflect")
    inner = LogMelStream()
    inner.feed(mirrored)
    stream = LogMelStream()
    stream.feed(x)
    last = stream.finish()
    # Frame 29 of x is centred on sample 4640, which is sample 4840 of the padded signal: put
    # that on a frame centre by dropping 40 samples.
    shifted = LogMelStream()
    shifted.feed(mirrored[40:])
    np.testing.assert_allclose(
        stream.frames(last - 1, last), shifted.frames(last, last + 1), atol=1e-5
    )


def test_a_window_is_clamped_under_its_own_maximum():
    quiet, loud = noise(16_000) * 1e-4, noise(16_000, 1)
    stream = LogMelStream()
    stream.feed(np.concatenate((quiet, loud)))
    stream.finish()
    whole, first = stream.window(0, 200), stream.window(0, 90)
    for window, frames in ((whole, stream.frames(0, 200)), (first, stream.frames(0, 90))):
        top = frames.max()
        np.testing.assert_allclose(window, (np.maximum(frames.T, top - 8) + 4) / 4, atol=1e-6)
    assert not np.allclose(whole[:, :90], first), "the louder part must not reach into `first`"


def test_silence_is_finite():
    mel = log_mel(np.zeros(16_000, np.float32))
    np.testing.assert_allclose(mel, (-10 + 4) / 4, atol=1e-6)


def test_old_frames_are_forgotten_and_new_ones_stay_right():
    x = noise(16_000 * 9)
    whole = LogMelStream(capacity_seconds=10)
    whole.feed(x)
    stream = LogMelStream(capacity_seconds=2)
    for first in range(0, len(x), 1600):
        ready = stream.feed(x[first : first + 1600])
        assert stream.oldest == max(0, ready - 200)
        assert np.array_equal(
            stream.frames(stream.oldest, ready), whole.frames(stream.oldest, ready)
        )


def test_a_chunk_longer_than_the_capacity_keeps_its_newest_frames():
    x = noise(16_000 * 5)
    whole, stream = LogMelStream(capacity_seconds=6), LogMelStream(capacity_seconds=1)
    assert stream.feed(x) == whole.feed(x)
    assert stream.oldest == stream.available - 100
    assert np.array_equal(
        stream.frames(stream.oldest, stream.available),
        whole.frames(stream.oldest, stream.available),
    )


@pytest.mark.parametrize(("first", "last"), [(-1, 10), (0, 10), (400, 402), (350, 340)])
def test_frames_that_are_not_held_are_an_error(first, last):
    stream = LogMelStream(capacity_seconds=1)
    assert stream.feed(noise(160 * 400 + 40)) == 400
    with pytest.raises(InvalidAudioError, match="not held"):
        stream.window(first, last)


def test_frames_are_read_only_and_windows_are_copies():
    stream = LogMelStream()
    stream.feed(noise(16_000))
    with pytest.raises(ValueError, match="read-only"):
        stream.frames(0, 5)[0, 0] = 1
    window = stream.window(0, 5)
    window[:] = 0
    assert stream.window(0, 5).any()


def test_a_mel_frame_has_no_memory_of_the_chunk_it_came_in():
    stream = LogMelStream(capacity_seconds=1)
    stream.feed(noise(16_000 * 20))
    assert stream._state.tail.base is None
    assert len(stream._state.tail) < 2000


def test_misuse_is_told():
    stream = LogMelStream()
    with pytest.raises(InvalidAudioError, match="mono"):
        stream.feed(np.zeros((100, 2), np.float32))
    stream.finish()
    assert stream.finish() == 0, "finishing twice changes nothing"
    with pytest.raises(StreamClosedError):
        stream.feed(np.zeros(10, np.float32))
    with pytest.raises(InvalidOptionError):
        LogMelStream(0)
    with pytest.raises(InvalidOptionError):
        LogMelStream(80, 0.0)


def test_an_empty_window_has_no_columns():
    assert normalize(np.zeros((0, 80), np.float32)).shape == (80, 0)
