"""Writing a checkpoint as the standard Hugging Face folder that other programs load.

The embedded demo model is stored compactly (``models/checkpoint.py``); exported, it loads in
``transformers`` and can be converted for faster-whisper and whisper.cpp.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from whisper_service.errors import OutputError
from whisper_service.models.checkpoint import Checkpoint, load_checkpoint
from whisper_service.models.hub import Progress
from whisper_service.models.store import PathLike, resolve

_WEIGHTS = "model.safetensors"
_COPIED = ("config.json", "generation_config.json", "preprocessor_config.json")


def export(
    name: PathLike,
    target_dir: PathLike,
    *,
    models_dir: PathLike | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a model into ``target_dir`` and return it; it is fetched if it is not here.

    The folder holds ``model.safetensors`` (float16), the three configurations, and the tokenizer
    both as ``tokenizer.json`` and as ``vocab.json`` with ``merges.txt``. Raises ``ModelError`` for
    a model that is not here and cannot be fetched, ``OutputError`` for a folder that exists and is
    not empty or cannot be written.
    """
    target = Path(target_dir).expanduser()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise OutputError(f"{target} exists already; name a new or empty folder")
    checkpoint = load_checkpoint(resolve(name, models_dir=models_dir, progress=progress))
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(checkpoint, target)
    except OSError as error:
        raise OutputError(f"cannot write {error.filename or target}: {error.strerror}") from error
    except SafetensorError as error:
        raise OutputError(f"cannot write {target / _WEIGHTS}: {error}") from error
    return target


def _write(checkpoint: Checkpoint, target: Path) -> None:
    for file in _COPIED:
        if (checkpoint.path / file).exists():
            shutil.copyfile(checkpoint.path / file, target / file)
    _write_tokenizer(checkpoint, target)
    tensors = {n: checkpoint.tensor(n).astype(np.float16) for n in sorted(checkpoint.names())}
    save_file(tensors, target / _WEIGHTS, metadata={"format": "pt"})
    (target / _WEIGHTS).chmod((target / "tokenizer.json").stat().st_mode)  # it is made private


def _write_tokenizer(checkpoint: Checkpoint, target: Path) -> None:
    data = checkpoint.tokenizer_json()
    (target / "tokenizer.json").write_bytes(data)
    tokenizer = json.loads(data)
    _dump(target / "vocab.json", tokenizer["model"]["vocab"])
    merges = (m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"])
    (target / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    _dump(target / "tokenizer_config.json", _tokenizer_config(tokenizer["added_tokens"]))


def _tokenizer_config(added: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what ``transformers``' ``WhisperTokenizer`` keeps beside its vocabulary."""
    end = "<|endoftext|>"
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "add_prefix_space": False,
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "errors": "replace",
        "model_max_length": 1024,
        "added_tokens_decoder": {
            str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in added
        },
    }


def _dump(file: Path, values: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(values, ensure_ascii=False), "utf-8")
