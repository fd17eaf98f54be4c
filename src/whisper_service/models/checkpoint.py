"""A Whisper checkpoint on disk: its configuration, special tokens and weights.

Two layouts are read: the standard Hugging Face folder (``config.json``, ``tokenizer.json``,
``model.safetensors`` or shards with an index, usually ``generation_config.json``), and the compact
one of the embedded demo model (``weights.safetensors`` with the embedding split into its distinct
rows, ``tokenizer.json.gz``; written by ``training/export.py``).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from whisper_service.errors import ModelFormatError, ModelNotFoundError
from whisper_service.models.catalog import conversion_command
from whisper_service.models.generation import GenerationConfig, generation_config, special_tokens
from whisper_service.models.weights import (
    TensorInfo,
    hash_file,
    read_float32,
    read_header,
    read_raw,
)
from whisper_service.types import FloatArray

__all__ = ["Checkpoint", "GenerationConfig", "ModelConfig", "load_checkpoint"]

EMBEDDING = "decoder.embed_tokens.weight"
_OUTPUT = "proj_out.weight"
_COMPACT = ("embed_tokens.rows", "embed_tokens.other", "embed_tokens.index")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Dimensions of the network."""

    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_heads: int
    decoder_heads: int
    encoder_ffn: int
    decoder_ffn: int
    n_mels: int
    vocab_size: int
    max_source_positions: int  # encoder frames of 20 ms, 1500 for 30 s
    max_target_positions: int  # decoder positions, 448
    dynamic_context: bool  # trained on inputs of their real length
    longest_window: float  # s of speech in the windows it was trained on
    tied_output: bool  # the output projection is the token embedding


class Checkpoint:
    """An opened checkpoint; tensors are read from disk when asked for, and not kept.

    Names are those of ``transformers``, with or without their ``model.`` prefix.
    """

    def __init__(
        self, path: Path, name: str, *, config: ModelConfig, generation: GenerationConfig
    ) -> None:
        self.path = path
        self.name = name
        self.config = config
        self.generation = generation
        self._tensors = _find_tensors(path)
        _check_shapes(self)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, name={self.name!r})"

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits of the configuration and the weights: the key for compiled graphs."""
        state = xxhash.xxh3_128()
        for file in (self.path / "config.json", self.path / "generation_config.json"):
            state.update(file.read_bytes() if file.exists() else b"")
        for file in sorted({info.file for info in self._tensors.values()}):
            hash_file(file, state)
        return state.hexdigest()

    def tokenizer_json(self) -> bytes:
        """Content of ``tokenizer.json``, unpacked if it is stored gzipped."""
        return _read_tokenizer(self.path)

    def names(self) -> frozenset[str]:
        """Names of all tensors, as ``transformers`` writes them."""
        names = {_full_name(n) for n in self._tensors if n not in _COMPACT}
        return frozenset(names | {_full_name(EMBEDDING)})

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it. Raises ``KeyError`` for an unknown name."""
        key = self._key(name)
        if key == EMBEDDING and key not in self._tensors:
            return self.config.vocab_size, *self._tensors[_COMPACT[1]].shape
        return self._tensors[key].shape

    def tensor(self, name: str) -> FloatArray:
        """Read a tensor as float32, C-contiguous, owned by the caller.

        ``proj_out.weight`` of a tied checkpoint is the embedding. Raises ``KeyError`` for an
        unknown name and ``ModelFormatError`` for one that cannot be read.
        """
        key = self._key(name)
        if key == EMBEDDING and key not in self._tensors:
            return self._expand_embedding()
        return read_float32(self._tensors[key])

    def _key(self, name: str) -> str:
        key = name.removeprefix("model.")
        return EMBEDDING if key == _OUTPUT and self.config.tied_output else key

    def _expand_embedding(self) -> FloatArray:
        rows, other, index = (self._tensors[n] for n in _COMPACT)
        table = np.empty(self.shape(EMBEDDING), np.float32)
        table[:] = read_float32(other)
        table[read_raw(index)] = read_float32(rows)
        return table


def load_checkpoint(path: str | Path, *, name: str | None = None) -> Checkpoint:
    """Open the checkpoint in the folder ``path``; ``name`` is what the user called it.

    Takes milliseconds: no weights are read. Raises ``ModelNotFoundError`` if there is no such
    folder and ``ModelFormatError`` if it holds no complete Whisper checkpoint.
    """
    folder = Path(path)
    if not folder.exists():
        raise ModelNotFoundError(f"there is no folder {folder}; check the path of the model")
    if not folder.is_dir():
        raise ModelFormatError(
            f"{folder} is a file; a model is a Hugging Face folder with config.json, "
            "tokenizer.json and model.safetensors"
        )
    values = _read_config(folder)
    try:
        generation = generation_config(
            values,
            _read_json(folder / "generation_config.json", missing={}),
            special_tokens(_read_tokenizer(folder)),
        )
        config = _model_config(values)
    except KeyError as missing:
        raise ModelFormatError(f"{folder}: config.json lacks {missing}; fetch it again") from None
    except (ValueError, TypeError, AttributeError):
        raise ModelFormatError(
            f"{folder} has a configuration that is not Whisper's; fetch it again"
        ) from None
    return Checkpoint(folder, name or folder.name, config=config, generation=generation)


def _read_json(file: Path, *, missing: dict[str, Any]) -> dict[str, Any]:
    if not file.exists():
        return missing
    try:
        values = json.loads(file.read_bytes())
    except ValueError:
        raise ModelFormatError(f"{file} is not valid JSON; fetch it again") from None
    return values if isinstance(values, dict) else missing


def _read_config(folder: Path) -> dict[str, Any]:
    values = _read_json(folder / "config.json", missing={})
    kind = values.get("model_type")
    if (folder / "model.bin").exists() and kind != "whisper":
        raise ModelFormatError(
            f"{folder} is a CTranslate2 model (faster-whisper); use the checkpoint it was made from"
        )
    if not values:
        raise ModelFormatError(f"{folder} is not a model folder: it has no config.json")
    if kind != "whisper":
        raise ModelFormatError(f"{folder} holds a {kind or 'nameless'} model; only Whisper works")
    return values


def _read_tokenizer(folder: Path) -> bytes:
    if (packed := folder / "tokenizer.json.gz").exists():
        try:
            return gzip.decompress(packed.read_bytes())
        except (OSError, EOFError, ValueError):
            raise ModelFormatError(f"{packed} is damaged; install the package again") from None
    if (plain := folder / "tokenizer.json").exists():
        return plain.read_bytes()
    raise ModelFormatError(
        f"{folder} has no tokenizer.json; write it with: {conversion_command(folder, folder)}"
    )


def _model_config(values: dict[str, Any]) -> ModelConfig:
    return ModelConfig(
        d_model=values["d_model"],
        encoder_layers=values["encoder_layers"],
        decoder_layers=values["decoder_layers"],
        encoder_heads=values["encoder_attention_heads"],
        decoder_heads=values["decoder_attention_heads"],
        encoder_ffn=values["encoder_ffn_dim"],
        decoder_ffn=values["decoder_ffn_dim"],
        n_mels=values["num_mel_bins"],
        vocab_size=values["vocab_size"],
        max_source_positions=values["max_source_positions"],
        max_target_positions=values["max_target_positions"],
        dynamic_context=bool(values.get("dynamic_context", False)),
        longest_window=min(30.0, float(values.get("longest_window", 30.0))),
        tied_output=bool(values.get("tie_word_embeddings", True)),
    )


def _find_tensors(folder: Path) -> dict[str, TensorInfo]:
    files = [f for n in ("weights", "model") if (f := folder / f"{n}.safetensors").exists()][:1]
    if not files and (index := folder / "model.safetensors.index.json").exists():
        shards = set(_read_json(index, missing={}).get("weight_map", {}).values())
        files = [folder / Path(shard).name for shard in sorted(shards)]
    if not files:
        raise _no_weights(folder)
    if absent := [f.name for f in files if not f.exists()]:
        raise ModelFormatError(f"{folder} lacks {', '.join(absent)}; fetch the model again")
    return {n.removeprefix("model."): t for f in files for n, t in read_header(f).items()}


def _no_weights(folder: Path) -> ModelFormatError:
    if any(folder.glob("pytorch_model*.bin")):
        return ModelFormatError(
            f"{folder} has its weights in pytorch_model.bin only; convert them with: "
            + conversion_command(folder, folder)
        )
    return ModelFormatError(f"{folder} has no model.safetensors; fetch the model again")


def _full_name(name: str) -> str:
    return name if name == _OUTPUT else f"model.{name}"


def _check_shapes(checkpoint: Checkpoint) -> None:
    for name, expected in _expected_shapes(checkpoint.config):
        try:
            shape = checkpoint.shape(name)
        except KeyError:
            raise ModelFormatError(
                f"{checkpoint.path} lacks the tensor {_full_name(name)}; fetch the model again"
            ) from None
        if shape != expected:
            raise ModelFormatError(
                f"{checkpoint.path}: {_full_name(name)} has shape {list(shape)}, config.json says "
                f"{list(expected)}; weights and configuration belong to different models"
            )


def _expected_shapes(c: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = c.d_model
    yield "encoder.conv1.weight", (d, c.n_mels, 3)
    yield "encoder.conv2.weight", (d, d, 3)
    yield "encoder.embed_positions.weight", (c.max_source_positions, d)
    yield "decoder.embed_positions.weight", (c.max_target_positions, d)
    yield EMBEDDING, (c.vocab_size, d)
    if not c.tied_output:
        yield _OUTPUT, (c.vocab_size, d)
    for side, layers, ffn in (
        ("encoder", c.encoder_layers, c.encoder_ffn),
        ("decoder", c.decoder_layers, c.decoder_ffn),
    ):
        yield f"{side}.layer_norm.weight", (d,)
        for i in range(layers):
            yield f"{side}.layers.{i}.fc1.weight", (ffn, d)
            yield f"{side}.layers.{i}.fc2.weight", (d, ffn)
            for attention in ("self_attn", "encoder_attn")[: 2 if side == "decoder" else 1]:
                for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    yield f"{side}.layers.{i}.{attention}.{projection}.weight", (d, d)
