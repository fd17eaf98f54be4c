"""Checkpoints as a reader who trusts nothing of the package sees them."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4"}
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_TIMESTAMP = re.compile(r"<\|\d+\.\d\d\|>")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything of a checkpoint folder: weights as float64 by their published names."""

    tensors: dict[str, Array]
    config: dict[str, Any]
    generation: dict[str, Any]
    added: dict[str, int]  # special tokens by name

    @property
    def multilingual(self) -> bool:
        return bool(self.generation.get("is_multilingual", True))

    @property
    def languages(self) -> dict[str, int]:
        """Code → id in the order of ids; English alone where the model is English-only.

        ``languages`` in ``config.json`` names those a checkpoint of ours was trained for.
        """
        found = ((_LANGUAGE.fullmatch(name), index) for name, index in self.added.items())
        codes = {match[1]: index for match, index in found if match}
        if not self.multilingual:
            return {"en": codes["en"]}
        trained = self.config.get("languages", codes)
        return {code: codes[code] for code in sorted(trained, key=lambda code: codes[code])}

    def token(self, *names: str) -> int:
        """Id of the first of the names ``<|…|>`` that the tokenizer has."""
        return next(self.added[f"<|{name}|>"] for name in names if f"<|{name}|>" in self.added)

    @property
    def end(self) -> int:
        return self.token("endoftext")

    @property
    def first_timestamp(self) -> int:
        return self.token("notimestamps") + 1

    @property
    def alignment_heads(self) -> list[tuple[int, int]]:
        """(layer, head); all heads of the decoder's second half where none are named."""
        named = self.generation.get("alignment_heads")
        if named:
            return [(layer, head) for layer, head in named]
        layers, heads = self.config["decoder_layers"], self.config["decoder_attention_heads"]
        return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]

    def suppressed(self, *, first: bool = False) -> list[int]:
        """Ids that the checkpoint bans; ``first``: also those banned at the beginning."""
        banned = list(self._setting("suppress_tokens"))
        if first:
            banned += self._setting("begin_suppress_tokens")
        return [index for index in banned if index != self.end]

    def _setting(self, name: str) -> list[int]:
        return self.generation.get(name) or self.config.get(name) or []

    def special(self, *, timestamps: bool) -> list[int]:
        """Every id that is not text, without end-of-text; with ``timestamps`` without those."""
        stop = self.first_timestamp if timestamps else self.config["vocab_size"]
        return [index for index in range(self.end, stop) if index != self.end]


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a standard folder, or the compact one in which the package carries its demo model."""
    packed = folder / "tokenizer.json.gz"
    text = (
        gzip.decompress(packed.read_bytes())
        if packed.exists()
        else (folder / "tokenizer.json").read_bytes()
    )
    added = {token["content"]: token["id"] for token in json.loads(text)["added_tokens"]}
    return Checkpoint(
        tensors=_tensors(folder),
        config=json.loads((folder / "config.json").read_text()),
        generation=json.loads((folder / "generation_config.json").read_text()),
        added=added,
    )


def _tensors(folder: Path) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= _read_safetensors(file)
    if "embed_tokens.index" not in tensors:
        return tensors
    rows = tensors.pop("embed_tokens.rows")
    config = json.loads((folder / "config.json").read_text())
    table = np.tile(tensors.pop("embed_tokens.other"), (config["vocab_size"], 1))
    table[tensors.pop("embed_tokens.index").astype(int)] = rows
    return tensors | {"model.decoder.embed_tokens.weight": table}


def _read_safetensors(file: Path) -> dict[str, Array]:
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        values = np.frombuffer(data[start + begin : start + stop], _DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
    return tensors
