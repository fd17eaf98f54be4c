"""Samples as they come from outside: raw encodings, channels, wrong types, wrong values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.types import FloatArray

Encoding: TypeAlias = Literal["s16le", "s24le", "s32le", "f32le", "mulaw", "alaw"]

LOUDEST = 4.0  # floats a little beyond 1 are a hot recording; far beyond, they are integers


def validate(chunk: Any) -> tuple[FloatArray, int]:
    """Make any mono chunk contiguous float32 ``[n]`` in [-1, 1]; second: samples replaced.

    Floats are kept as they are, also beyond 1; int16, int32 and uint8 are scaled. NaN and
    infinite samples become 0.0 and are counted: one bad sample must not end a live stream.
    Float32 input that is in order is returned itself, not copied.

    Raises ``InvalidAudioError`` for more than one dimension, types that are not samples, and
    floats that look like unscaled integers.
    """
    samples = np.asarray(chunk)
    if samples.ndim != 1:
        raise InvalidAudioError(_shape_message(samples.shape))
    samples = _scaled(samples)
    if not len(samples):
        return samples, 0
    bad = 0
    low, high = samples.min(), samples.max()  # both NaN if any sample is
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = np.isfinite(samples)
        bad = int(np.count_nonzero(~finite))
        samples = np.where(finite, samples, np.float32(0.0))
        low, high = samples.min(), samples.max()
    if max(-low, high) > LOUDEST:
        raise InvalidAudioError(
            f"samples reach {max(-low, high):.0f}, which looks like int16 values; "
            "divide by 32768 or pass an int16 array"
        )
    return samples, bad


def _scaled(samples: NDArray[Any]) -> FloatArray:
    match samples.dtype.name:
        case "float32" | "float64" | "float16":
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf: not finite
                scaled: FloatArray = np.ascontiguousarray(samples, np.float32)
            return scaled
        case "int16":
            return samples.astype(np.float32) / np.float32(2**15)
        case "int32":
            return samples.astype(np.float32) / np.float32(2**31)
        case "uint8":
            return (samples.astype(np.float32) - np.float32(128)) / np.float32(128)
        case other:
            raise InvalidAudioError(
                f"samples of type {other} are not audio; "
                "use float32 in [-1, 1], int16, int32 or uint8"
            )


def _shape_message(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        axis = 1 if shape[1] <= shape[0] else 0
        return (
            f"a chunk must be mono samples [n], not {list(shape)}; "
            f"mix the channels down first: chunk.mean(axis={axis})"
        )
    return f"a chunk must be mono samples [n], not an array of {len(shape)} dimensions"


def to_mono_float32(samples: NDArray[Any], channels: int = 1) -> FloatArray:
    """Mix interleaved samples ``[n * channels]`` down to mono float32 ``[n]``: the mean.

    Raw PCM does not say which channel is the centre or the subwoofer, so all count alike;
    containers say it and are mixed by libswresample (:mod:`whisper_service.audio.decode`).

    Raises ``InvalidAudioError`` when the samples are no whole number of frames.
    """
    if channels < 1 or samples.ndim != 1 or len(samples) % channels:
        raise InvalidAudioError(
            f"{list(samples.shape)} samples are not interleaved frames of {channels} channels"
        )
    scaled = _scaled(samples)
    if channels == 1:
        return scaled
    with np.errstate(invalid="ignore", over="ignore"):  # validate() deals with what is not finite
        mono: FloatArray = scaled.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return mono


def _little_endian(dtype: str) -> Callable[[bytes], NDArray[Any]]:
    return lambda data: np.frombuffer(data, dtype).astype(dtype[1:], copy=False)


def _s24(data: bytes) -> NDArray[Any]:
    """Three bytes a sample, put into the upper three of an int32."""
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    samples: NDArray[Any] = wide.view("<i4")[:, 0]
    return samples


def _mulaw_table() -> NDArray[np.int16]:
    """ITU-T G.711 mu-law: sign, exponent (3 bits), mantissa (4 bits), all inverted."""
    code = ~np.arange(256, dtype=np.uint8)
    sign, exponent, mantissa = code >> 7, (code >> 4) & 7, (code & 15).astype(np.int32)
    value = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(sign, -value, value).astype(np.int16)


def _alaw_table() -> NDArray[np.int16]:
    """ITU-T G.711 A-law: as mu-law, with every other bit inverted and a linear first segment."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    sign, exponent, mantissa = code >> 7, ((code >> 4) & 7).astype(np.int32), code & 15
    value = (mantissa.astype(np.int32) << 4) + 8
    value = np.where(exponent == 0, value, (value + 256) << np.maximum(exponent - 1, 0))
    return np.where(sign, value, -value).astype(np.int16)


def _table(values: NDArray[np.int16]) -> Callable[[bytes], NDArray[Any]]:
    return lambda data: values[np.frombuffer(data, np.uint8)]


_READERS: dict[str, tuple[int, Callable[[bytes], NDArray[Any]]]] = {  # bytes a sample, reader
    "s16le": (2, _little_endian("<i2")),
    "s24le": (3, _s24),
    "s32le": (4, _little_endian("<i4")),
    "f32le": (4, _little_endian("<f4")),
    "mulaw": (1, _table(_mulaw_table())),
    "alaw": (1, _table(_alaw_table())),
}


@dataclass(slots=True, kw_only=True)
class PcmState:
    """What changes while a stream runs."""

    left: bytes = b""  # of a frame whose other bytes have not come yet
    finished: bool = False


class PcmDecoder:
    """Turns raw bytes into mono float32 samples; a frame may be cut anywhere."""

    def __init__(self, encoding: Encoding = "s16le", channels: int = 1) -> None:
        """Raise ``InvalidOptionError`` for an unknown encoding or a channel count below one."""
        if encoding not in _READERS:
            raise InvalidOptionError(
                f"unknown encoding {encoding!r}; known are {', '.join(get_args(Encoding))}"
            )
        if channels < 1:
            raise InvalidOptionError(f"channels must be at least 1, not {channels}")
        self.channels = channels
        self.state = PcmState()
        size, self._read = _READERS[encoding]
        self._frame = size * channels

    def feed(self, data: bytes) -> FloatArray:
        """Return the samples ``[n]`` that ``data`` completes.

        Raises ``StreamClosedError`` after :meth:`finish`.
        """
        state = self.state
        if state.finished:
            raise StreamClosedError("PCM bytes were fed after finish(); start a new PcmDecoder")
        data = state.left + data
        whole = len(data) // self._frame * self._frame
        state.left = data[whole:]
        return to_mono_float32(self._read(data[:whole]), self.channels)

    def finish(self) -> FloatArray:
        """End the stream. Bytes of an incomplete frame carry no sample: the tail is empty."""
        self.state.finished = True
        return np.empty(0, np.float32)
