"""Write a Whisper checkpoint in the compact layout of the package (``models/demo``).

The compact folder holds ``weights.safetensors`` (float16, standard Hugging Face names).
The one exception is ``model.decoder.embed_tokens.weight``, which is stored as
``embed_tokens.rows`` [n_used, d], ``embed_tokens.other`` [d] (the row of every id that is
never used) and ``embed_tokens.index`` [n_used] int32 (the id of each row).

Usage: ``python -m training.export CHECKPOINT [--to FOLDER]``, where CHECKPOINT is a file
written by ``training.train`` or a folder in either layout.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
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
    """Split a [vocabulary, d] table into used rows and the row that all other ids share."""
    rows, counts = np.unique(table, axis=0, return_counts=True)
    other = rows[counts.argmax()]
    used = np.flatnonzero((table != other).any(axis=1)).astype(np.int32)
    return {
        "embed_tokens.rows": np.ascontiguousarray(table[used]),
        "embed_tokens.other": np.ascontiguousarray(other),
        "embed_tokens.index": used,
    }


def to_compact(tensors: Tensors) -> Tensors:
    """Compact tensors: float16, embedding split, tied projection dropped."""
    halves = {
        name: t.astype(np.float16) for name, t in tensors.items() if name != "proj_out.weight"
    }
    table = halves.pop(EMBEDDING)
    return {**halves, **split_embedding(table)}


def to_standard(compact: Tensors, vocabulary: int) -> Tensors:
    """Undo :func:`to_compact`: the [vocabulary, d] table is written out again."""
    tensors = {name: t for name, t in compact.items() if not name.startswith("embed_tokens.")}
    table = np.tile(compact["embed_tokens.other"], (vocabulary, 1))
    table[compact["embed_tokens.index"]] = compact["embed_tokens.rows"]
    return {**tensors, EMBEDDING: table}


def read_folder(folder: Path) -> Tensors:
    """Standard tensors of a standard or compact folder."""
    compact = folder / "weights.safetensors"
    if not compact.exists():
        return load_file(folder / "model.safetensors")
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    return to_standard(load_file(compact), vocabulary)


def write_compact(tensors: Tensors, source: Path, folder: Path) -> int:
    """Write the compact folder, the rest taken from ``source``; returns its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        to_compact(tensors), folder / "weights.safetensors", metadata={"format": "compact-whisper"}
    )
    (folder / "weights.safetensors").chmod(0o644)
    write_settings(tensors, source, folder)
    write_tokenizer(source, folder)
    write_digests(folder)
    return sum(f.stat().st_size for f in folder.iterdir())


def write_digests(folder: Path) -> None:
    """Write ``SHA256SUMS``, which ``models verify demo`` compares the files with."""
    files = sorted(f for f in folder.iterdir() if f.suffix in (".json", ".gz", ".safetensors"))
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf8")


def write_settings(tensors: Tensors, source: Path, folder: Path) -> None:
    """Write the JSON files: those of ``source`` with the sizes of the tensors."""
    for name in JSON_FILES:
        settings = json.loads((source / name).read_text(encoding="utf8"))
        if name == "config.json":
            settings.update(sizes(tensors))
        if name == "generation_config.json":
            last = sizes(tensors)["decoder_layers"] - 1
            settings["alignment_heads"] = [[last, 0], [last, 1], [last - 1, 0]]
        (folder / name).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf8")


def sizes(tensors: Tensors) -> dict[str, int]:
    """The fields of ``config.json`` that say how large a model is (head size 64)."""
    width = tensors[EMBEDDING].shape[1]
    found = {"d_model": width}
    for side in ("encoder", "decoder"):
        prefix = f"model.{side}.layers."
        layers = {name[len(prefix) :].split(".")[0] for name in tensors if name.startswith(prefix)}
        found |= {f"{side}_layers": len(layers), f"{side}_attention_heads": width // 64}
        found[f"{side}_ffn_dim"] = tensors[f"{prefix}0.fc1.weight"].shape[0]
    return found


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
    write_settings(tensors, source, folder)
    packed, plain = source / "tokenizer.json.gz", source / "tokenizer.json"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    (folder / "tokenizer.json").write_bytes(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="training checkpoint (.pt) or model folder")
    parser.add_argument(
        "--to", type=Path, default=PACKAGE_FOLDER, help="folder to write (default: the package's)"
    )
    parser.add_argument(
        "--standard",
        action="store_true",
        help="write the standard layout instead of the compact one",
    )
    args = parser.parse_args()
    if args.checkpoint.is_dir():
        tensors, source = read_folder(args.checkpoint), args.checkpoint
    else:
        from training.model import standard_tensors  # needs PyTorch

        tensors, source = standard_tensors(args.checkpoint), PACKAGE_FOLDER
    if args.standard:
        write_standard(tensors, source, args.to)
        return
    print(f"{args.to}: {write_compact(tensors, source, args.to) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
