"""Raw encodings, channels, and samples that are not what they should be."""

import av
import numpy as np
import pytest

from whisper_service.audio.pcm import PcmDecoder, to_mono_float32, validate
from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError


def test_good_samples_are_returned_themselves():
    chunk = np.array([0.0, -1.0, 1.0, 1.5, -3.9], np.float32)
    samples, bad = validate(chunk)
    assert samples is chunk
    assert bad == 0


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 0.5, -1]),
        (np.array([128, 192, 0], np.uint8), [0, 0.5, -1]),
        (np.array([0.25, -0.5]), [0.25, -0.5]),
        (np.array([0.25, -0.5], np.float16), [0.25, -0.5]),
        (np.array([0.25, -0.5], ">f4"), [0.25, -0.5]),
        ([0.25, -0.5], [0.25, -0.5]),
        (np.arange(8, dtype=np.float32)[::4] / 8, [0, 0.5]),
        ([], []),
    ],
)
def test_other_types_become_contiguous_float32(chunk, expected):
    samples, bad = validate(chunk)
    assert samples.tolist() == expected
    assert samples.dtype == np.float32
    assert samples.dtype.isnative
    assert samples.flags.c_contiguous
    assert bad == 0


def test_nan_and_infinite_samples_become_silence_and_are_counted():
    chunk = np.array([0.5, np.nan, np.inf, -np.inf, -0.5], np.float32)
    samples, bad = validate(chunk)
    assert samples.tolist() == [0.5, 0, 0, 0, -0.5]
    assert samples.dtype == np.float32
    assert bad == 3
    assert np.isnan(chunk[1]), "the caller's array is left alone"
    samples, bad = validate(np.array([1e300, 0.25]))
    assert (samples.tolist(), bad) == ([0, 0.25], 1), "beyond float32"


@pytest.mark.parametrize("chunk", [[0.0, 300.0], [-32768.0, 0.0], [np.nan, 5.0]])
def test_integers_in_float_clothes_are_an_error_with_a_hint(chunk):
    with pytest.raises(InvalidAudioError, match="looks like int16 values; divide by 32768"):
        validate(np.array(chunk, np.float32))


@pytest.mark.parametrize(("shape", "axis"), [((1600, 2), 1), ((2, 1600), 0)])
def test_stereo_is_an_error_that_says_how_to_mix(shape, axis):
    with pytest.raises(InvalidAudioError, match=rf"chunk\.mean\(axis={axis}\)") as caught:
        validate(np.zeros(shape, np.float32))
    assert str(list(shape)) in str(caught.value)


@pytest.mark.parametrize(
    "chunk",
    [
        np.zeros((2, 3, 4), np.float32),
        np.float32(0.5),
        np.zeros(4, np.complex64),
        np.zeros(4, bool),
        np.zeros(4, np.int64),
        ["a"],
        None,
    ],
)
def test_what_is_no_audio_is_an_error(chunk):
    with pytest.raises(InvalidAudioError):
        validate(chunk)


def packed(values, encoding):
    """Bytes of integers (or floats) by hand."""
    if encoding == "s24le":
        return b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
    return np.array(values, {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}[encoding]).tobytes()


@pytest.mark.parametrize(
    ("encoding", "scale"), [("s16le", 2**15), ("s24le", 2**23), ("s32le", 2**31), ("f32le", 1)]
)
def test_linear_encodings(encoding, scale):
    expected = [0.0, 0.5, -0.5, -1.0, 0.25, 2**-10]
    data = packed([v * scale for v in expected], encoding)
    assert PcmDecoder(encoding).feed(data).tolist() == expected


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_g711_equals_ffmpeg(encoding):
    codec = av.CodecContext.create(f"pcm_{encoding}", "r")
    codec.sample_rate, codec.layout = 8000, "mono"
    (frame,) = codec.decode(av.Packet(bytes(range(256))))
    theirs = frame.to_ndarray()[0].astype(np.float32) / 32768
    assert np.array_equal(PcmDecoder(encoding).feed(bytes(range(256))), theirs)


@pytest.mark.parametrize("encoding", ["s16le", "s24le", "s32le", "f32le", "mulaw", "alaw"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_frames_may_be_cut_anywhere(encoding, channels, size):
    width = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "mulaw": 1, "alaw": 1}[encoding]
    data = np.random.default_rng(0).random(channels * width * 40 // 4, np.float32).tobytes()
    data = data[: len(data) // (channels * width) * channels * width]
    decoder = PcmDecoder(encoding, channels)
    parts = [decoder.feed(data[i : i + size]) for i in range(0, len(data), size)]
    assert np.array_equal(
        np.concatenate([*parts, decoder.finish()]),
        PcmDecoder(encoding, channels).feed(data),
        equal_nan=True,
    )
    assert decoder.state.left == b""


def test_an_incomplete_frame_at_the_end_carries_no_sample():
    decoder = PcmDecoder("s16le", 2)
    assert len(decoder.feed(b"\0\0\0\0\1\0\1")) == 1
    assert len(decoder.finish()) == 0
    with pytest.raises(StreamClosedError):
        decoder.feed(b"\0")


def test_channels_are_averaged():
    interleaved = np.array([0.5, -0.5, 1.0, 0.0], np.float32)
    assert to_mono_float32(interleaved, 2).tolist() == [0, 0.5]
    assert to_mono_float32(np.array([16384, 0, 0, 0], np.int16), 4).tolist() == [0.125]
    assert PcmDecoder("s16le", 2).feed(packed([16384, 0], "s16le")).tolist() == [0.25]
    with pytest.raises(InvalidAudioError, match="2 channels"):
        to_mono_float32(np.zeros(3, np.float32), 2)


def test_infinite_channels_do_not_warn():
    assert np.isnan(to_mono_float32(np.array([np.inf, -np.inf], np.float32), 2)).all()


def test_unknown_encodings_and_channels_are_errors():
    with pytest.raises(InvalidOptionError, match="s16le, s24le, s32le, f32le, mulaw, alaw"):
        PcmDecoder("opus")
    with pytest.raises(InvalidOptionError, match="channels"):
        PcmDecoder("s16le", 0)
