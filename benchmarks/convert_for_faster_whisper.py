"""Convert a model for the baseline ``faster-whisper`` of ``whisper-service evaluate``.

    .venv-training/bin/pip install ctranslate2 xxhash
    .venv-training/bin/python benchmarks/convert_for_faster_whisper.py [--model demo] [--to DIR]

CTranslate2 converts what transformers has loaded, so this runs in an environment with PyTorch and
transformers (``training/README.md``); the evaluation needs neither. The model is exported as a
standard folder first. Without ``--to`` the result goes where the evaluation looks for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from whisper_service.errors import WhisperServiceError
from whisper_service.evaluation.converted import (
    COPIED,
    converted_folder,
    write_source,
)
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.export import export
from whisper_service.models.store import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert a model for faster-whisper.")
    parser.add_argument("--model", default="demo", help="as for `whisper-service evaluate`")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to write or replace")
    arguments = parser.parse_args()
    target = arguments.to or converted_folder(arguments.model)
    try:
        convert(arguments.model, target)
    except WhisperServiceError as error:
        sys.exit(f"error: {error}")
    except ImportError as error:
        sys.exit(f"error: {error}; PyTorch, transformers and ctranslate2 are needed here")
    print(f"wrote {target}")


def convert(model: str, target: Path) -> None:
    """Write ``model`` into the folder ``target`` as CTranslate2 reads it."""
    from ctranslate2.converters import TransformersConverter

    with tempfile.TemporaryDirectory() as folder:
        exported = export(model, Path(folder) / "exported")
        target.parent.mkdir(parents=True, exist_ok=True)
        TransformersConverter(str(exported), copy_files=list(COPIED)).convert(
            str(target), force=True
        )
    write_source(target, load_checkpoint(resolve(model)).fingerprint)


if __name__ == "__main__":
    main()
