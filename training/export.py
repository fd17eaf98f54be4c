"""Write a Whisper checkpoint in the compact layout of the package (``models/demo``).

The compact folder holds ``weights.safetensors`` (float16, standard Hugging Face names).
The one exception is ``model.decoder.embed_tokens.weight``, which is stored as
``embed_tokens.rows`` [n_used, d], ``embed_tokens.other`` [d] (the row of every id that is
never used) and ``embed_tokens.index`` [n_used] int32 (the id of each row).

Usage: ``python -m training.export CHECKPOINT [--to FOLDER]``, where CHECKPOINT is a file
written by ``training.train`` or a standard Hugging Face folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

EMBEDDING = "model.decoder.embed_tokens.weight"
PACKAGE_FOLDER = Path(__file__).resolve().parents[1] / "src/whisper_service/models/demo"
JSON_FILES = ("config.json", "generation_config.json", "preprocessor_config.json")

Tensors = dict[str, np.ndarray]


def split_embedding(table: np.ndarray) -> Tensors:
    """Split a [vocabulary, d] table into its distinct rows and the row that all unused ids share."""
    rows, counts = np.unique(table, axis=0, return_counts=True)
    other = rows[counts.argmax()]
    used = np.flatnonzero((table != other).any(axis=1)).astype(np.int32)
    return {
        "embed_tokens.rows": np.ascontiguousarray(table[used]),
        "embed_tokens.other": np.ascontiguousarray(other),
        "embed_tokens.index": used,
    }


def to_compact(tensors: Tensors) -> Tensors:
    """Turn standard tensors into compact ones: float16, embedding split, tied projection dropped."""
    halves = {name: t.astype(np.float16) for name, t in tensors.items() if name != "proj_out.weight"}
    table = halves.pop(EMBEDDING)
    return {**halves, **split_embedding(table)}


def to_standard(compact: Tensors, vocabulary: int) -> Tensors:
    """Undo :func:`to_compact`: the [vocabulary, d] table is written out again."""
    tensors = {name: t for name, t in compact.items() if not name.startswith("embed_tokens.")}
    table = np.tile(compact["embed_tokens.other"], (vocabulary, 1))
    table[compact["embed_tokens.index"]] = compact["embed_tokens.rows"]
    return {**tensors, EMBEDDING: table}


def write_compact(tensors: Tensors, source: Path, folder: Path) -> int:
    """Write the compact folder; configuration and tokenizer come from ``source``. Returns its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(to_compact(tensors), folder / "weights.safetensors", metadata={"format": "compact-whisper"})
    for name in JSON_FILES:
        if source.resolve() != folder.resolve():
            shutil.copyfile(source / name, folder / name)
    write_tokenizer(source, folder)
    return sum(f.stat().st_size for f in folder.iterdir())


def write_tokenizer(source: Path, folder: Path) -> None:
    """Store ``tokenizer.json`` gzipped, byte for byte the same on every run (no time stamp)."""
    target = folder / "tokenizer.json.gz"
    plain = source / "tokenizer.json"
    if plain.exists():
        target.write_bytes(gzip.compress(plain.read_bytes(), compresslevel=9, mtime=0))
    elif source.resolve() != folder.resolve():
        shutil.copyfile(source / "tokenizer.json.gz", target)


def write_standard(tensors: Tensors, source: Path, folder: Path) -> None:
    """Write the standard Hugging Face folder (``model.safetensors``, plain ``tokenizer.json``)."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = json.loads((source / "config.json").read_text())["vocab_size"]
    full = to_standard(to_compact(tensors), vocabulary)
    save_file(full, folder / "model.safetensors", metadata={"format": "pt"})
    for name in JSON_FILES:
        shutil.copyfile(source / name, folder / name)
    packed = source / "tokenizer.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (source / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="training checkpoint (.pt) or standard folder")
    parser.add_argument("--to", type=Path, default=PACKAGE_FOLDER, help="folder to write (default: the package's)")
    parser.add_argument("--standard", action="store_true", help="write the standard layout instead of the compact one")
    args = parser.parse_args()
    if args.checkpoint.is_dir():
        tensors, source = load_file(args.checkpoint / "model.safetensors"), args.checkpoint
    else:
        from training.model import standard_tensors  # needs PyTorch

        tensors, source = standard_tensors(args.checkpoint), PACKAGE_FOLDER
    if args.standard:
        write_standard(tensors, source, args.to)
        return
    print(f"{args.to}: {write_compact(tensors, source, args.to) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
