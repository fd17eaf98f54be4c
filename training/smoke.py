"""A run of everything in two minutes: ``python -m training.smoke``.

Makes a few clips, trains a small model for some steps, resumes it, exports it in both layouts
and loads it in ``transformers``. Says what failed and ends with 1; otherwise ends with the
line "N passed, 0 failed".
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

from training.data import make_shard
from training.export import PACKAGE_FOLDER, to_standard

ROOT = Path(__file__).resolve().parents[1]


def shard_is_made(folder: Path) -> None:
    """A shard holds the clips asked for, with words that lie within their audio."""
    from training.shards import Clips

    (folder / "shards").mkdir()
    make_shard(folder / "shards" / "0", seed=1, count=150)
    clips = Clips(folder / "shards")
    assert len(clips) == 150
    for pool in clips.by_language.values():
        assert pool
        assert all(
            0 <= start < end <= c.frames / 100 for _, c in pool for _, _, start, end in c.words
        )


def training_runs(folder: Path) -> None:
    """Six steps of a small model; then three more, resumed."""
    _train(folder, steps=6)
    _train(folder, steps=9)
    rows = (folder / "run" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6", "9"], rows
    assert all(math.isfinite(float(value)) for row in rows[1:] for value in row.split(","))
    assert (folder / "run" / "curve.png").stat().st_size > 1000


def more_layers_change_nothing(folder: Path) -> None:
    """Added encoder layers leave what the model says as it is, until they are trained."""
    from training.gpu import deepened
    from training.model import load

    mels, lengths = torch.randn(2, 80, 60), torch.tensor([60, 40])
    with torch.no_grad():
        before, _ = load(folder / "run" / "last.pt")[0].encoder(mels, lengths)
        after, _ = deepened(load(folder / "run" / "last.pt")[0], 3).encoder(mels, lengths)
    assert torch.allclose(before, after, atol=1e-5)


def convolution_is_a_product(_: Path) -> None:
    """What stands for the convolutions on a GPU gives what they give."""
    from training.model import product

    for stride, frames in ((1, 50), (2, 50), (2, 51)):
        layer = torch.nn.Conv1d(8, 4, 3, stride=stride, padding=1)
        x = torch.randn(2, 8, frames)
        assert torch.allclose(layer(x), product(layer, x), atol=1e-5)


def stacked_muon_is_muon(_: Path) -> None:
    """Matrices that are updated together change as they do one by one."""
    from training.muon import StackedMuon

    ours = [torch.randn(shape) for shape in ((8, 8), (32, 8), (8, 32), (8, 8))]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in ours]
    stacked = StackedMuon(ours)
    single = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _step in range(3):
        for matrix, other in zip(ours, theirs, strict=True):
            matrix.grad = torch.randn_like(matrix)
            other.grad = matrix.grad.clone()
        stacked.step(0.01)
        single.step()
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs, strict=True))


def gpu_training_runs(folder: Path) -> None:
    """The program for a GPU speaks, plans and learns, on the CPU here."""
    from training.model import load

    _module(
        "training.gpu",
        *("--start", folder / "run" / "last.pt", "--out", folder / "gpu", "--work", folder),
        *("--device", "cpu", "--minutes", 0.5, "--encoder-layers", 3, "--batch-frames", 2000),
        *("--speakers", 1, "--planners", 1, "--shards", 1),
    )
    model, stored = load(folder / "gpu" / "model.pt")
    assert model.shape.encoder_layers == 3
    assert stored["step"] > 0
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def export_is_lossless(folder: Path) -> None:
    """The compact layout expands to exactly the standard one."""
    for arguments in (("--to", "compact"), ("--to", "standard", "--standard")):
        _module(
            "training.export",
            folder / "run" / "last.pt",
            "--to",
            folder / arguments[1],
            *arguments[2:],
        )
    full = load_file(folder / "standard" / "model.safetensors")
    again = to_standard(
        load_file(folder / "compact" / "weights.safetensors"), len(full[_EMBEDDING])
    )
    assert full.keys() == again.keys()
    assert all(np.array_equal(full[name], again[name]) for name in full)


def transformers_loads_it(folder: Path) -> None:
    """``transformers`` reads the standard folder with no tensor missing."""
    from transformers import WhisperForConditionalGeneration

    model, report = WhisperForConditionalGeneration.from_pretrained(
        folder / "standard", output_loading_info=True, dtype=torch.float32
    )
    missing = {name for name in report["missing_keys"] if name != "proj_out.weight"}
    assert not missing, missing
    assert not report["unexpected_keys"]
    answer = model(torch.zeros(1, 80, 3000), decoder_input_ids=torch.tensor([[50258]])).logits
    assert torch.isfinite(answer).all()


_EMBEDDING = "model.decoder.embed_tokens.weight"
CHECKS: tuple[Callable[[Path], None], ...] = (
    shard_is_made,
    training_runs,
    more_layers_change_nothing,
    convolution_is_a_product,
    stacked_muon_is_muon,
    gpu_training_runs,
    export_is_lossless,
    transformers_loads_it,
)


def _train(folder: Path, steps: int) -> None:
    sizes = ("--width", "128", "--encoder-layers", "2", "--decoder-layers", "2")
    _module(
        "training.train",
        *("--shards", folder / "shards", "--out", folder / "run", "--steps", steps, "--decay", 0.5),
        *("--log-every", 3, "--batch-frames", 2000, *sizes),
    )


def _module(name: str, *arguments: object) -> None:
    command = [sys.executable, "-m", name, *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT)


def main() -> None:
    """Run the checks in order; each one builds on those before."""
    if not (PACKAGE_FOLDER / "config.json").exists():
        sys.exit("the package's models/demo folder is missing: its configuration is the template")
    with tempfile.TemporaryDirectory() as name:
        for number, check in enumerate(CHECKS):
            print(f"{check.__name__}: {(check.__doc__ or '').splitlines()[0]}", flush=True)
            try:
                check(Path(name))
            except (AssertionError, subprocess.CalledProcessError) as error:
                print(f"failed: {error}\n{number} passed, 1 failed")
                sys.exit(1)
    print(f"{len(CHECKS)} passed, 0 failed")


if __name__ == "__main__":
    main()
