"""Log-mel spectrograms as Whisper defines them, computed once per frame while audio arrives.

The transform is the one of openai/whisper (``whisper/audio.py``, ``log_mel_spectrogram``): a
400-point DFT every 160 samples under a periodic Hann window, frames centred on multiples of 160
with the signal mirrored at both ends, the last frame left out, Slaney mel filters, log10.

Whisper then clamps at 8 decades below the loudest value *of the window it looks at*. The stream
therefore keeps unclamped values, and :meth:`LogMelStream.window` clamps what is asked for: the
result is the same as computing the window's own spectrogram with its context known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.types import HOP, SAMPLE_RATE, FloatArray

N_FFT = 400  # samples per frame (25 ms)
_HALF = N_FFT // 2
_FLOOR = 1e-10  # smallest mel power, as in openai/whisper
_RANGE = 8.0  # decades below a window's maximum that are kept

# Frames are computed in blocks of this many, block b holding the frames [8b, 8b + 8). A frame
# always sits in the same row of a matrix product of the same shape, whatever chunks the samples
# came in, so BLAS takes the same path for it and the result is the same to the last bit.
_BLOCK = 8
_BLOCK_SAMPLES = _BLOCK * HOP
_BLOCKS_AT_ONCE = 32  # keeps the working set of long chunks within the CPU's cache


@cache
def mel_filters(n_mels: int) -> FloatArray:
    """Slaney's triangular mel filters, ``[n_mels, 201]`` float32, read-only.

    Equal to ``librosa.filters.mel(sr=16000, n_fft=400, n_mels=n_mels)``: 0-8000 Hz, linear below
    1 kHz and logarithmic above, each triangle of unit area.
    """
    if n_mels < 1:
        raise InvalidOptionError(
            f"n_mels must be at least 1 (Whisper uses 80 or 128), not {n_mels}"
        )
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(SAMPLE_RATE / 2), n_mels + 2))
    bins = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    slopes = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    rising = -slopes[:-2] / widths[:-1, None]
    falling = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    filters = (triangles * areas[:, None]).astype(np.float32)
    filters.flags.writeable = False
    return filters


_LINEAR_STEP = 200.0 / 3  # Hz per mel below 1 kHz
_LOG_START = 1000.0  # Hz
_LOG_STEP = math.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_START:
        return hz / _LINEAR_STEP
    return _LOG_START / _LINEAR_STEP + math.log(hz / _LOG_START) / _LOG_STEP


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _LOG_START / _LINEAR_STEP
    return np.where(
        mels < knee, mels * _LINEAR_STEP, _LOG_START * np.exp((mels - knee) * _LOG_STEP)
    )


@cache
def _hann() -> FloatArray:
    """Return the periodic Hann window, as ``torch.hann_window(400)``."""
    window: FloatArray = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    return window


@cache
def _projection(n_mels: int) -> FloatArray:
    return np.ascontiguousarray(mel_filters(n_mels).T)


def _log_mel_blocks(signal: FloatArray, n_mels: int) -> FloatArray:
    """Unclamped log10-mel frames ``[8 k, n_mels]`` of ``1280 k + 240`` samples."""
    frames = sliding_window_view(signal, N_FFT)[::HOP]
    spectrum = np.fft.rfft(frames * _hann())
    parts = np.square(spectrum.view(np.float32))
    power = parts[:, 0::2] + parts[:, 1::2]
    mel = np.matmul(power.reshape(-1, _BLOCK, N_FFT // 2 + 1), _projection(n_mels))
    np.maximum(mel, _FLOOR, out=mel)
    np.log10(mel, out=mel)
    frames_first: FloatArray = mel.reshape(-1, n_mels)
    return frames_first


def normalize(log_mel: FloatArray) -> FloatArray:
    """Whisper's input ``[n_mels, T]`` from unclamped frames ``[T, n_mels]``: clamp and scale."""
    if not len(log_mel):
        return np.zeros(log_mel.shape[::-1], np.float32)
    mel: FloatArray = np.maximum(log_mel.T, log_mel.max() - np.float32(_RANGE), order="C")
    mel += np.float32(4.0)
    mel *= np.float32(0.25)
    return mel


class _FrameRing:
    """The newest ``capacity`` frames, always contiguous.

    Frames are written one after another into a buffer with a quarter of slack; when it is full
    the newest ones move to its front, which costs less than one copy per frame.
    """

    def __init__(self, capacity: int, n_mels: int) -> None:
        self.capacity = capacity
        self.end = 0  # frames ever appended
        self._buffer: FloatArray = np.empty((capacity + max(capacity // 4, 1), n_mels), np.float32)
        self._used = 0  # rows of the buffer that hold frames

    @property
    def start(self) -> int:
        """The oldest frame kept."""
        return self.end - min(self._used, self.capacity)

    def append(self, frames: FloatArray) -> None:
        self.end += len(frames)
        frames = frames[-self.capacity :]
        if self._used + len(frames) > len(self._buffer):
            keep = self.capacity - len(frames)
            self._buffer[:keep] = self._buffer[self._used - keep : self._used]
            self._used = keep
        self._buffer[self._used : self._used + len(frames)] = frames
        self._used += len(frames)

    def view(self, first: int, last: int) -> FloatArray:
        offset = self._used - self.end
        return self._buffer[first + offset : last + offset]


@dataclass(slots=True, kw_only=True)
class LogMelState:
    """Everything that changes while a stream runs."""

    ring: _FrameRing
    received: int = 0  # samples
    tail: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    """Samples from the first incomplete block on, its 200 samples of left context included;
    before the start is mirrored: all samples so far."""
    mirrored: bool = False  # the 200 samples before the stream's start have been made
    finished: bool = False


class LogMelStream:
    """Incremental log-mel spectrogram; how samples are cut into chunks changes no bit of it.

    Frame ``i`` is centred on sample ``160 i`` and ready once ``160 i + 200`` samples have come;
    :meth:`finish` mirrors the end and adds the rest, ``samples // 160`` frames in all. The newest
    ``capacity_seconds`` of frames are kept; older ones are forgotten.
    """

    def __init__(self, n_mels: int = 80, capacity_seconds: float = 40.0) -> None:
        mel_filters(n_mels)
        capacity = round(capacity_seconds * SAMPLE_RATE / HOP)
        if capacity < 1:
            raise InvalidOptionError(f"capacity_seconds must be above 0, not {capacity_seconds}")
        self.n_mels = n_mels
        self._state = LogMelState(ring=_FrameRing(capacity, n_mels))

    @property
    def available(self) -> int:
        """Frames computed since the stream began; the first one not ready yet."""
        return self._state.ring.end

    @property
    def oldest(self) -> int:
        """The oldest frame still kept."""
        return self._state.ring.start

    def feed(self, samples: FloatArray) -> int:
        """Take float32 mono samples of any number; returns :attr:`available`.

        Raises ``StreamClosedError`` for after :meth:`finish`; ``InvalidAudioError`` for samples
        that are not one-dimensional.
        """
        state = self._state
        if state.finished:
            raise StreamClosedError("features were fed after finish(); start a new LogMelStream")
        if samples.ndim != 1:
            raise InvalidAudioError(f"features take mono samples [n], not {list(samples.shape)}")
        state.received += len(samples)
        state.tail = np.concatenate((state.tail, samples), dtype=np.float32)
        if not state.mirrored and state.received > _HALF:
            state.tail = np.concatenate((state.tail[_HALF:0:-1], state.tail))
            state.mirrored = True
        if state.mirrored:
            self._advance((state.received - _HALF) // HOP + 1)
        return self.available

    def finish(self) -> int:
        """End the stream: mirror its end and compute the last frames; returns :attr:`available`."""
        state = self._state
        if not state.finished:
            state.finished = True
            if state.received:
                before = 0 if state.mirrored else _HALF
                state.tail = np.pad(state.tail, (before, _HALF), mode="reflect")
            self._advance(state.received // HOP)
            state.tail = np.empty(0, np.float32)
        return self.available

    def frames(self, first: int, last: int) -> FloatArray:
        """Unclamped frames ``[last - first, n_mels]``; a view, valid until the next ``feed``.

        Raises ``InvalidAudioError`` for a frame that is not ready yet or no longer kept.
        """
        if not self.oldest <= first <= last <= self.available:
            raise InvalidAudioError(
                f"frames {first}-{last} are not held (only {self.oldest}-{self.available}); "
                "raise capacity_seconds or ask for fewer"
            )
        view = self._state.ring.view(first, last)
        view.flags.writeable = False
        return view

    def window(self, first: int, last: int) -> FloatArray:
        """Whisper's input for the frames ``[first, last)``: ``[n_mels, last - first]`` float32.

        Clamped at 8 decades below the window's own maximum and scaled, as Whisper does. A copy.

        Raises ``InvalidAudioError`` for a frame that is not ready yet or no longer kept.
        """
        return normalize(self.frames(first, last))

    def _advance(self, ready: int) -> None:
        """Compute the frames up to ``ready`` and forget the samples of complete blocks."""
        state = self._state
        if state.ring.end >= ready:
            return
        while (done := state.ring.end) < ready:
            first_block = done // _BLOCK
            blocks = min(-(-ready // _BLOCK) - first_block, _BLOCKS_AT_ONCE)
            last = min(ready, (first_block + blocks) * _BLOCK)
            signal = np.zeros(blocks * _BLOCK_SAMPLES + N_FFT - HOP, np.float32)
            known = state.tail[: len(signal)]
            signal[: len(known)] = known
            frames = _log_mel_blocks(signal, self.n_mels)
            state.ring.append(frames[done - first_block * _BLOCK : last - first_block * _BLOCK])
            state.tail = state.tail[(last // _BLOCK - first_block) * _BLOCK_SAMPLES :]
        state.tail = state.tail.copy()  # lets go of the chunk that it was a part of


def log_mel(samples: FloatArray, n_mels: int = 80) -> FloatArray:
    """Whisper's input ``[n_mels, len(samples) // 160]`` for a whole signal (float32 mono, 16 kHz).

    Raises ``InvalidAudioError`` for samples that are not one-dimensional.
    """
    stream = LogMelStream(n_mels, capacity_seconds=max(len(samples), 1) / SAMPLE_RATE + 1.0)
    stream.feed(samples)
    return stream.window(0, stream.finish())
