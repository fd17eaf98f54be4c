"""Train the demo model: ``python -m training.train --shards FOLDER --out FOLDER [--init FOLDER]``.

Resumable: started again with the same ``--out`` it goes on from the last checkpoint. A run is
over after ``--steps`` or ``--minutes`` of its own time, whichever comes first (on a shared machine
the minutes are what is known); the learning rate warms up, stays, and falls to zero over the last
``--decay`` share of it. Long windows come in after ``EARLY_SHARE`` of the run. ``OUT`` holds
``last.pt``, ``log.csv``, ``curve.png`` and ``used.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from collections import Counter
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from training.batches import FRAMES_A_BATCH, Maker, batches
from training.export import PACKAGE_FOLDER, read_folder
from training.helper import Helper
from training.model import Shape, Whisper, load, load_standard, save
from training.objective import PARTS, Objective
from training.spelling import find_used, load_spelling

SAVE_EVERY = 250
EARLY_SHARE = 0.6
COLUMNS = ("step", "seconds", "rate", *PARTS)


def optimizers(model: Whisper, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices = [p for n, p in model.named_parameters() if ".layers." in n and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    return [
        torch.optim.Muon(
            matrices, lr=rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def rate_factor(step: int, done: float, args: argparse.Namespace) -> float:
    """Share of the peak learning rate at a step, when a share ``done`` of the run is over."""
    return min(1.0, (step + 1) / args.warmup) * min(1.0, max(0.0, (1 - done) / args.decay))


def phone_names(shards: Path, at_least: int = 200) -> list[str]:
    """Phonemes that are frequent in the first shards; index 0 stands for silence and all others."""
    counts: Counter[str] = Counter()
    for path in sorted(shards.glob("*.json"))[:5]:
        counts.update(name for clip in json.loads(path.read_text()) for name, _ in clip["phones"])
    return ["_", *sorted(n for n, c in counts.items() if c >= at_least and not n.startswith("_"))]


def prepare(
    args: argparse.Namespace,
) -> tuple[Whisper, list[torch.optim.Optimizer], int, float]:
    """Model, optimizers, step and seconds spent: resumed, warm-started or new."""
    last = args.out / "last.pt"
    if last.exists():
        model, stored = load(last)
        model.to(args.device)
        opts = optimizers(model, args.rate)
        for opt, state in zip(opts, stored["optimizers"], strict=True):
            opt.load_state_dict(state)
        return model, opts, stored["step"], stored["spent"]
    spelling = load_spelling(PACKAGE_FOLDER)
    used = sorted(find_used(spelling))
    (args.out / "used.json").write_text(json.dumps(used))
    torch.manual_seed(args.seed)
    model = Whisper(
        Shape(args.width, args.encoder_layers, args.decoder_layers, args.width // 64),
        used,
        phone_names(args.shards),
    )
    if args.init is not None:
        print(
            "not in the initial checkpoint:",
            load_standard(model, read_folder(args.init)),
        )
        spread_times(model)
    model.to(args.device)
    return model, optimizers(model, args.rate), 0, 0.0


@torch.no_grad()
def spread_times(model: Whisper) -> None:
    """Make the rows of untrained time tokens distinct, and similar where times are close."""
    first = model.used.index(model.used[-1] - 1500)  # the time tokens are the last 1501
    rows = model.decoder.rows
    spread = model.encoder.embed_positions.weight @ torch.randn(rows.shape[1], rows.shape[1])
    rows[first : first + 1500] += spread * (0.2 * rows[:first].std() / spread.std())


def train(args: argparse.Namespace) -> None:
    """Run until the learning rate has fallen to zero."""
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    model, opts, step, spent = prepare(args)
    if args.helper:
        model.share_memory()
    objective, maker = Objective(model), make_maker(args.out, model)
    source = batches(args.shards, maker, args.seed + step, args.batch_frames)
    helper = None
    if args.helper:
        helper = Helper(model, args.shards, args.out, args.seed + step + 500_000)
    log, began, sums, count = args.out / "log.csv", time.time() - spent, torch.zeros(len(PARTS)), 0
    bar = tqdm(total=args.steps, initial=step, unit="step", smoothing=0.02)
    while (done := share_done(step, time.time() - began, args)) < 1:
        maker.early = done < EARLY_SHARE
        rate = args.rate * rate_factor(step, done, args)
        sums += objective.backward(next(source), step).cpu()
        count += 1
        if helper is not None:
            parts = helper.collect(step, maker.early)
            if parts is not None:
                sums, count = sums + parts, count + 1
        update(model, opts, rate)
        step += 1
        bar.update()
        if step % args.log_every == 0:
            means = dict(zip(PARTS, (sums / count).tolist(), strict=True))
            write_log(log, step, time.time() - began, rate, means)
            bar.set_postfix({"batches": count, **{k: f"{v:.3f}" for k, v in means.items()}})
            sums, count = torch.zeros(len(PARTS)), 0
        if step % SAVE_EVERY == 0:
            store(args.out, model, opts, step, time.time() - began)
    if helper is not None:
        helper.stop()
    store(args.out, model, opts, step, time.time() - began)
    draw_curve(log)


def share_done(step: int, seconds: float, args: argparse.Namespace) -> float:
    """How much of the run is over, by steps or by time."""
    return max(step / args.steps, seconds / (60 * args.minutes))


def make_maker(out: Path, model: Whisper) -> Maker:
    """The example maker of a run."""
    return Maker(load_spelling(PACKAGE_FOLDER, out / "used.json"), model.phones)


def update(model: Whisper, opts: list[torch.optim.Optimizer], rate: float) -> None:
    """One step of all optimizers; a gradient that is not finite is thrown away."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        for group in opt.param_groups:
            group["lr"] = rate
        if torch.isfinite(norm):
            opt.step()
        opt.zero_grad(set_to_none=True)


def store(
    out: Path, model: Whisper, opts: list[torch.optim.Optimizer], step: int, spent: float
) -> None:
    """Write the checkpoint that a run resumes from."""
    states = [opt.state_dict() for opt in opts]
    save(model, out / "last.pt", step=step, spent=spent, optimizers=states)


def write_log(path: Path, step: int, seconds: float, rate: float, means: dict[str, float]) -> None:
    """Append one row of mean losses."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(
            [step, f"{seconds:.0f}", f"{rate:.2e}", *(f"{means[name]:.4f}" for name in COLUMNS[3:])]
        )


def draw_curve(log: Path) -> None:
    """Plot the log beside it as ``curve.png``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(csv.DictReader(log.open()))
    for name in COLUMNS[3:]:
        pyplot.plot([int(r["step"]) for r in rows], [float(r[name]) for r in rows], label=name)
    pyplot.xlabel("step")
    pyplot.ylabel("mean loss")
    pyplot.legend()
    pyplot.savefig(log.with_name("curve.png"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=Path, default=Path("build/training/shards"))
    parser.add_argument("--out", type=Path, default=Path("build/training/run"))
    parser.add_argument("--init", type=Path, help="model folder whose weights to start from")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end the run after that")
    parser.add_argument(
        "--decay", type=float, default=0.45, help="last share of the run: the rate falls to zero"
    )
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--rate", type=float, default=8e-4, help="peak learning rate")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--encoder-layers", type=int, default=4)
    parser.add_argument("--decoder-layers", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--helper", action="store_true", help="compute gradients in a second process too"
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--batch-frames", type=int, default=FRAMES_A_BATCH)
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pid-file", type=Path, help="where to write the number of this process")
    args = parser.parse_args()
    if args.pid_file is not None:
        args.pid_file.write_text(str(os.getpid()))
    train(args)


if __name__ == "__main__":
    main()
