"""Checkpoints of the published sizes with random weights: honest for time and memory only."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whisper_service.engine.openvino_cache import default_cache_dir
from whisper_service.models.store import DEMO_FOLDER

Size = Literal["tiny", "base", "small"]

SIZES: dict[Size, tuple[int, int, int]] = {
    "tiny": (384, 4, 4),
    "base": (512, 6, 6),
    "small": (768, 12, 12),
}
"""Width, encoder layers, decoder layers of openai/whisper (``model-card.md``); heads of 64."""

RECIPE = 1  # part of the folder's name: what is written below

_SPREAD = 0.03  # of the weights: keeps activations of random layers finite in every precision
_POSITIONS = 1.0  # of the decoder's positions: every step prefers other tokens, so nothing loops


def random_checkpoint(
    size: Size, folder: Path | None = None, *, dynamic_context: bool = True
) -> Path:
    """Return a folder with a checkpoint of the size of openai/whisper-``size``, written if absent.

    ``folder`` is by default in the user's cache directory. The weights are fixed by a seed; the
    tokenizer and the special tokens are the demo model's, which are Whisper's own.
    """
    context = "dynamic" if dynamic_context else "stock"
    name = f"random-{size}-{context}-{RECIPE}"
    folder = folder or bench_cache() / name
    if (folder / "tokenizer.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(size, dynamic_context=dynamic_context)
    generation = json.loads((DEMO_FOLDER / "generation_config.json").read_text(encoding="utf-8"))
    generation.pop("alignment_heads", None)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    _write_weights(config, folder / "model.safetensors")
    tokenizer = gzip.decompress((DEMO_FOLDER / "tokenizer.json.gz").read_bytes())
    (folder / "tokenizer.json").write_bytes(tokenizer)  # last: it says that all is there
    return folder


def bench_cache() -> Path:
    """Where random checkpoints are kept: beside the compiled graphs, else for this boot."""
    graphs = default_cache_dir()
    return (graphs.parent if graphs else Path(tempfile.gettempdir()) / "whisper-service") / "bench"


def _config(size: Size, *, dynamic_context: bool) -> dict[str, Any]:
    width, encoder, decoder = SIZES[size]
    config: dict[str, Any] = json.loads((DEMO_FOLDER / "config.json").read_text(encoding="utf-8"))
    return config | {
        "d_model": width,
        "encoder_layers": encoder,
        "decoder_layers": decoder,
        "encoder_attention_heads": width // 64,
        "decoder_attention_heads": width // 64,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "dynamic_context": dynamic_context,
    }


def _write_weights(config: dict[str, Any], path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(dict(_weights(config)), path)


def _weights(config: dict[str, Any]) -> Iterator[tuple[str, NDArray[np.float16]]]:
    random = np.random.default_rng(0)
    for name, shape in _shapes(config):
        if name.endswith("norm.weight"):
            values = np.ones(shape, np.float32)
        else:
            scale = _POSITIONS if name.startswith("decoder.embed_positions") else _SPREAD
            values = random.standard_normal(shape, np.float32) * np.float32(scale)
        yield f"model.{name}", values.astype(np.float16)


def _shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = config["d_model"]
    yield "encoder.conv1.weight", (d, config["num_mel_bins"], 3)
    yield "encoder.conv1.bias", (d,)
    yield "encoder.conv2.weight", (d, d, 3)
    yield "encoder.conv2.bias", (d,)
    yield "encoder.embed_positions.weight", (config["max_source_positions"], d)
    yield "decoder.embed_positions.weight", (config["max_target_positions"], d)
    yield "decoder.embed_tokens.weight", (config["vocab_size"], d)
    for side, attentions in (
        ("encoder", ("self_attn",)),
        ("decoder", ("self_attn", "encoder_attn")),
    ):
        yield from _vector_pair(f"{side}.layer_norm", d)
        for layer in range(config[f"{side}_layers"]):
            yield from _layer(f"{side}.layers.{layer}", d, attentions)


def _layer(name: str, d: int, attentions: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for attention in attentions:
        yield from _vector_pair(f"{name}.{attention}_layer_norm", d)
        for projection in ("q", "k", "v", "out"):
            yield f"{name}.{attention}.{projection}_proj.weight", (d, d)
            if projection != "k":
                yield f"{name}.{attention}.{projection}_proj.bias", (d,)
    yield from _vector_pair(f"{name}.final_layer_norm", d)
    for projection, out, into in (("fc1", 4 * d, d), ("fc2", d, 4 * d)):
        yield f"{name}.{projection}.weight", (out, into)
        yield f"{name}.{projection}.bias", (out,)


def _vector_pair(name: str, d: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (d,)
    yield f"{name}.bias", (d,)
