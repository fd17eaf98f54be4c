"""Tiny random Whisper checkpoints in the Hugging Face layout, written without PyTorch.

Every variation that real checkpoints show is in :data:`LAYOUTS`; ``build(LAYOUTS[name], folder)``
writes one. The weights come from a fixed seed, so a golden file names the layout and holds only
outputs. They are scaled so that attention is peaked, tokens vary from step to step and some
decodes end by themselves; the model says nothing sensible.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from safetensors_file import WIDTHS, write_safetensors

Floats = NDArray[np.float32]

_CODES = """
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr
bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn
yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw
su yue
"""
LANGUAGES = tuple(_CODES.split())  # in the order of their ids; most vocabularies end before "yue"

MERGES = ("Ġ t", "h e", "Ġt he", "i n", "e r", "Ġ a", "o n", "Ġ w", "r e", "o u", "Ġw or", "o r")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One kind of checkpoint; the defaults are the multilingual one with short contexts."""

    name: str
    seed: int
    n_mels: int = 80
    d_model: int = 128  # heads of 64
    encoder_layers: int = 2
    decoder_layers: int = 2
    tied: bool = True
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    shards: int = 1
    dynamic_context: bool = True
    multilingual: bool = True
    languages: tuple[str, ...] = LANGUAGES[:8]
    text_tokens: int = 300
    timestamps_in_tokenizer: bool = True
    no_speech: str = "<|nospeech|>"
    alignment_heads: tuple[tuple[int, int], ...] | None = ((1, 0), (0, 1))
    suppress: Literal["list", "null", "config"] = "list"  # where generation settings have them
    max_length_field: bool = True
    scale_embedding: bool = False  # stated by some configurations, unused by transformers
    ends_at: int = 20  # decoder position around which `favourite` becomes likely
    favourite: int | None = None  # a token's id; None: end-of-text

    @property
    def translates(self) -> bool:
        """English-only models do not, nor those with a pruned decoder (large-v3-turbo's card)."""
        return self.multilingual and self.decoder_layers >= self.encoder_layers


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(name="dynamic", seed=32),
        Layout(
            name="v3",  # large-v3: 128 bins, one language more, its own output projection
            seed=102,
            n_mels=128,
            tied=False,
            dtype="float16",
            shards=3,
            languages=(*LANGUAGES[:8], "yue"),
            alignment_heads=None,
            suppress="null",
            scale_embedding=True,
        ),
        Layout(
            name="turbo",  # a decoder of one layer under a deeper encoder
            seed=2,
            n_mels=128,
            d_model=64,
            encoder_layers=4,
            decoder_layers=1,
            dynamic_context=False,
            alignment_heads=None,
            max_length_field=False,
        ),
        Layout(
            name="english",
            seed=21,
            dtype="bfloat16",
            multilingual=False,
            dynamic_context=False,
            timestamps_in_tokenizer=False,
            no_speech="<|nocaptions|>",
        ),
        Layout(
            name="stock",
            seed=5,
            d_model=64,
            decoder_layers=3,
            dynamic_context=False,
            timestamps_in_tokenizer=False,
            no_speech="<|nocaptions|>",
            alignment_heads=None,
            suppress="config",
        ),
        Layout(name="silent", seed=6, d_model=64, ends_at=0, alignment_heads=((0, 0),)),
        Layout(name="looping", seed=7, d_model=64, ends_at=0, favourite=65, alignment_heads=None),
    )
}

REAL_SIZES = {
    layout.name: layout
    for layout in (
        Layout(
            name="51865",
            seed=11,
            d_model=64,
            languages=LANGUAGES[:99],
            text_tokens=50257,
            alignment_heads=((1, 0),),
        ),
        Layout(
            name="51866",
            seed=12,
            d_model=64,
            n_mels=128,
            languages=LANGUAGES,
            text_tokens=50257,
            alignment_heads=((1, 0),),
        ),
        Layout(
            name="51864",
            seed=13,
            d_model=64,
            multilingual=False,
            languages=LANGUAGES[:99],
            text_tokens=50256,
            alignment_heads=((1, 0),),
        ),
    )
}  # the three vocabularies of the published checkpoints; made on the fly, tens of megabytes


def build(layout: Layout, folder: Path) -> Path:
    """Write the checkpoint into ``folder`` (made if absent) and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = special_ids(layout)
    _dump(folder / "tokenizer.json", _tokenizer(layout, ids))
    _dump(folder / "config.json", _config(layout, ids))
    _dump(folder / "generation_config.json", _generation_config(layout, ids))
    _dump(folder / "preprocessor_config.json", _preprocessor(layout))
    _write_weights(_weights(layout, ids), layout, folder)
    return folder


def special_ids(layout: Layout) -> dict[str, int]:
    """Ids of the special tokens in the published order, timestamps last."""
    names = ["<|endoftext|>", "<|startoftranscript|>"]
    names += [f"<|{code}|>" for code in layout.languages]
    names += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    names += [layout.no_speech, "<|notimestamps|>"]
    names += [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    return {name: layout.text_tokens + index for index, name in enumerate(names)}


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _byte_symbols() -> list[str]:
    """The printable stand-ins of the 256 bytes, as in GPT-2's ``bytes_to_unicode``."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(other))]


def _tokenizer(layout: Layout, ids: dict[str, int]) -> dict[str, Any]:
    pieces = _byte_symbols()
    pieces += [merge.replace(" ", "") for merge in MERGES if merge != "Ġw or"] + ["Ġwor"]
    pieces += [f"unused{index}" for index in range(layout.text_tokens - len(pieces))]
    named = ids if layout.timestamps_in_tokenizer else dict(list(ids.items())[:-1501])
    merges = [merge for merge in MERGES if merge != "Ġw or"] + ["Ġw or"]
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(name, index) for name, index in named.items()],
        "normalizer": None,
        "pre_tokenizer": byte_level | {"add_prefix_space": False},
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": merges,
        },
    }


def _added_token(name: str, index: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": index, "content": name, **flags, "special": True}


def _suppressed(layout: Layout, ids: dict[str, int]) -> list[int]:
    named = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>")
    return [1, 2, 7, 30, *(ids[name] for name in (*named, layout.no_speech))]


def _config(layout: Layout, ids: dict[str, int]) -> dict[str, Any]:
    d = layout.d_model
    config: dict[str, Any] = {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "activation_function": "gelu",
        "d_model": d,
        "encoder_layers": layout.encoder_layers,
        "encoder_attention_heads": d // 64,
        "encoder_ffn_dim": 2 * d,
        "decoder_layers": layout.decoder_layers,
        "decoder_attention_heads": d // 64,
        "decoder_ffn_dim": 2 * d,
        "num_mel_bins": layout.n_mels,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "vocab_size": layout.text_tokens + len(ids),
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|endoftext|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "is_encoder_decoder": True,
        "scale_embedding": layout.scale_embedding,
        "torch_dtype": layout.dtype,
        "use_cache": True,
    }
    if not layout.tied:
        config["tie_word_embeddings"] = False
    if layout.dynamic_context:
        config["dynamic_context"] = True
    if layout.max_length_field:
        config["max_length"] = 448
    if layout.suppress == "config":
        config["suppress_tokens"] = _suppressed(layout, ids)
        config["begin_suppress_tokens"] = [220, ids["<|endoftext|>"]]
    return config


def _generation_config(layout: Layout, ids: dict[str, int]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|endoftext|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "is_multilingual": layout.multilingual,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "return_timestamps": False,
    }
    if layout.multilingual:
        config["lang_to_id"] = {f"<|{code}|>": ids[f"<|{code}|>"] for code in layout.languages}
        config["task_to_id"] = {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}
    if layout.alignment_heads is not None:
        config["alignment_heads"] = [list(pair) for pair in layout.alignment_heads]
    if layout.max_length_field:
        config["max_length"] = 448
    if layout.suppress == "list":
        config["suppress_tokens"] = _suppressed(layout, ids)
        config["begin_suppress_tokens"] = [220, ids["<|endoftext|>"]]
    if layout.suppress == "null":
        config["suppress_tokens"] = None
        config["begin_suppress_tokens"] = None
    return config


def _preprocessor(layout: Layout) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": layout.n_mels,
        "sampling_rate": 16000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
    }


def _sinusoids(length: int, channels: int) -> Floats:
    step = math.log(10000) / (channels // 2 - 1)
    angles = np.arange(length)[:, None] * np.exp(-step * np.arange(channels // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


class _Weights(dict[str, Floats]):
    """Named random tensors; the order in which they are drawn fixes their values."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def draw(self, name: str, *shape: int, std: float, mean: float = 0.0) -> None:
        values = mean + std * self.rng.standard_normal(shape)
        self[name] = values.astype(np.float32)

    def linear(self, name: str, rows: int, columns: int, *, std: float, bias: bool = True) -> None:
        self.draw(f"{name}.weight", rows, columns, std=std)
        if bias:
            self.draw(f"{name}.bias", rows, std=0.1)

    def norm(self, name: str, d: int) -> None:
        self.draw(f"{name}.weight", d, std=0.1, mean=1.0)
        self.draw(f"{name}.bias", d, std=0.1)

    def attention(self, name: str, d: int, *, sharpness: float) -> None:
        """``sharpness`` is about the standard deviation of a head's scores."""
        std = math.sqrt(sharpness / d)
        self.linear(f"{name}.q_proj", d, d, std=std)
        self.linear(f"{name}.k_proj", d, d, std=std, bias=False)
        self.linear(f"{name}.v_proj", d, d, std=1 / math.sqrt(d))
        self.linear(f"{name}.out_proj", d, d, std=1 / math.sqrt(d))
        self.norm(f"{name}_layer_norm", d)

    def feed_forward(self, name: str, d: int) -> None:
        self.linear(f"{name}.fc1", 2 * d, d, std=1 / math.sqrt(d))
        self.linear(f"{name}.fc2", d, 2 * d, std=1 / math.sqrt(d))
        self.norm(f"{name}.final_layer_norm", d)


def _weights(layout: Layout, ids: dict[str, int]) -> dict[str, Floats]:
    d, w = layout.d_model, _Weights(layout.seed)
    w.draw("model.encoder.conv1.weight", d, layout.n_mels, 3, std=1.5 / math.sqrt(layout.n_mels))
    w.draw("model.encoder.conv1.bias", d, std=0.3)
    w.draw("model.encoder.conv2.weight", d, d, 3, std=1 / math.sqrt(d))
    w.draw("model.encoder.conv2.bias", d, std=0.3)
    w["model.encoder.embed_positions.weight"] = _sinusoids(1500, d)
    for layer in range(layout.encoder_layers):
        w.attention(f"model.encoder.layers.{layer}.self_attn", d, sharpness=1.5)
        w.feed_forward(f"model.encoder.layers.{layer}", d)
    w.norm("model.encoder.layer_norm", d)
    vocabulary = layout.text_tokens + len(ids)
    w.draw("model.decoder.embed_tokens.weight", vocabulary, d, std=1.6 / math.sqrt(d))
    w.draw("model.decoder.embed_positions.weight", 448, d, std=8 / math.sqrt(d))
    for layer in range(layout.decoder_layers):
        w.attention(f"model.decoder.layers.{layer}.self_attn", d, sharpness=1.0)
        w.attention(f"model.decoder.layers.{layer}.encoder_attn", d, sharpness=6.0)
        w.feed_forward(f"model.decoder.layers.{layer}", d)
    w.norm("model.decoder.layer_norm", d)
    if not layout.tied:
        w.draw("proj_out.weight", vocabulary, d, std=2 / math.sqrt(d))
    _favour(w, layout, ids["<|endoftext|>"] if layout.favourite is None else layout.favourite)
    return dict(w)


def _favour(w: dict[str, Floats], layout: Layout, token: int) -> None:
    """Turn the positions from ``ends_at`` on towards the output row of a token."""
    name = "model.decoder.embed_tokens.weight" if layout.tied else "proj_out.weight"
    direction = w[name][token] / np.linalg.norm(w[name][token])
    ramp = np.clip((np.arange(448) - layout.ends_at + 3) / 6, 0, 1) * 3 * math.sqrt(layout.d_model)
    w["model.decoder.embed_positions.weight"] += (ramp[:, None] * direction).astype(np.float32)


def _write_weights(weights: dict[str, Floats], layout: Layout, folder: Path) -> None:
    names = sorted(weights)
    if layout.shards == 1:
        write_safetensors(folder / "model.safetensors", weights, layout.dtype)
        return
    weight_map = {}
    for shard in range(layout.shards):
        part = {name: weights[name] for name in names[shard :: layout.shards]}
        file = f"model-{shard + 1:05d}-of-{layout.shards:05d}.safetensors"
        write_safetensors(folder / file, part, layout.dtype)
        weight_map |= dict.fromkeys(part, file)
    total = sum(values.size * WIDTHS[layout.dtype] for values in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _dump(folder / "model.safetensors.index.json", index)


def random_mel(n_mels: int, frames: int, *, seed: int) -> Floats:
    """Speech-like features ``[n_mels, frames]``: smooth in time, within Whisper's clamp of 2.0."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_mels, frames + 8))
    smooth = np.stack([noise[:, shift : shift + frames] for shift in range(9)]).mean(axis=0)
    mel = np.clip(smooth * 1.8, -1.2, 0.8)
    return mel.astype(np.float16).astype(np.float32)
