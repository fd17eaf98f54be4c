"""Train the demo model on one GPU in minutes: ``python -m training.gpu --minutes 9``.

Speech is made while it is trained on: ``--speakers`` processes speak with random voices,
``--planners`` processes plan windows, the GPU makes what they sound like (``sound.py``) and learns
from up to 20 minutes of audio a step. Starts from a checkpoint of ``training.train`` (``--start``,
with ``used.json`` beside it), to which encoder layers may be added. ``OUT`` gets ``model.pt``
(float16, for ``training.export``) every minute and ``log.csv``.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from training.makers import Crew, Supply
from training.model import Whisper, load, save
from training.muon import StackedMuon
from training.objective import LEAST_PHONES, PARTS, losses, weigh
from training.rows import sounded
from training.sound import Sound
from training.train import write_log

BABBLE_EVERY, SAVE_SECONDS, LOG_EVERY = 200, 60, 100


class Halves:
    """Float32 parameters, and a copy of the model in bfloat16 that computes their gradients."""

    def __init__(self, model: Whisper) -> None:
        self.half = copy.deepcopy(model).bfloat16()
        both = zip(model.parameters(), self.half.parameters(), strict=True)
        pairs = [(master, half) for master, half in both if master.requires_grad]
        self.masters: list[Tensor] = [master for master, _ in pairs]
        self.halves: list[Tensor] = [half for _, half in pairs]
        sizes = [master.numel() for master in self.masters]
        self.gradient = torch.zeros(sum(sizes), device=self.masters[0].device)
        self.parts: list[Tensor] = []
        for master, part in zip(self.masters, self.gradient.split(sizes), strict=True):
            master.grad = part.view_as(master)
            self.parts.append(master.grad)
        matrices = [p for n, p in model.named_parameters() if ".layers." in n and p.ndim == 2]
        chosen = {id(p) for p in matrices}
        self.muon = StackedMuon(matrices)
        rest = [p for p in self.masters if id(p) not in chosen]
        self.adam = torch.optim.AdamW(
            rest, betas=(0.9, 0.98), weight_decay=0.01, fused=rest[0].is_cuda
        )

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of both optimizers, with a gradient of length 1 at most."""
        torch._foreach_copy_(self.parts, [half.grad for half in self.halves])
        self.gradient.nan_to_num_(0.0, 0.0, 0.0)
        self.gradient.mul_((1 / self.gradient.norm().clamp(min=1e-6)).clamp(max=1))
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.muon.step(rate)
        torch._foreach_copy_(self.halves, self.masters)
        for half in self.halves:
            half.grad = None


@torch.no_grad()
def deepened(model: Whisper, layers: int) -> Whisper:
    """The model with more encoder layers, spread among the old ones; at first they do nothing."""
    old = list(model.encoder.layers)
    shape = replace(model.shape, encoder_layers=layers)
    new = Whisper(shape, model.used, model.phones)
    kept = {round((i + 1) * layers / len(old)) - 1: layer for i, layer in enumerate(old)}
    for number, layer in enumerate(new.encoder.layers):
        if number in kept:
            new.encoder.layers[number] = kept[number]
        else:
            for last in (layer.self_attn.out_proj, layer.fc2):
                last.weight.zero_()
                last.bias.zero_()
    state = {k: v for k, v in model.state_dict().items() if ".encoder.layers." not in f".{k}"}
    new.load_state_dict(state, strict=False)
    return new


def rate_at(done: float, seconds: float, args: argparse.Namespace) -> float:
    """The learning rate when a share ``done`` of the time is over: up, level, down to zero."""
    rise = min(1.0, (seconds + 1) / args.warmup)
    return args.rate * rise * min(1.0, max(0.0, (1 - done) / args.decay))


def train(args: argparse.Namespace) -> None:
    """Speak, plan and learn until the time is over."""
    began = time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    model, _ = load(args.start)
    if args.encoder_layers < model.shape.encoder_layers:
        raise SystemExit(f"{args.start} has {model.shape.encoder_layers} encoder layers already")
    if args.encoder_layers > model.shape.encoder_layers:
        model = deepened(model, args.encoder_layers)
    used = args.start.with_name("used.json")
    if not used.exists():
        raise SystemExit(f"{used} is missing: it lies beside every checkpoint of training.train")
    with TemporaryDirectory(prefix="shards", dir=args.work) as folder:
        crew = Crew(Path(folder), model.phones, used, args.shards, args.seed, args.batch_frames)
        crew.start(args.speakers, args.planners)
        try:
            learn(model.to(args.device), crew, began, args)
        finally:
            crew.stop()


def learn(model: Whisper, crew: Crew, began: float, args: argparse.Namespace) -> None:
    """Take batches and improve the model."""
    sound = Sound(args.shards, args.device, args.seed)
    while len(sound.filled) < min(8, args.shards):
        crew.check()
        time.sleep(0.0 if crew.take_shard(sound) else 0.1)
    halves, supply, rng = Halves(model), Supply(crew, args.device), random.Random(args.seed)
    first = saved = time.time()
    print(f"{first - began:.0f} s until the first {len(sound.filled)} shards", flush=True)
    sums, step = torch.zeros(len(PARTS), device=args.device), 0
    while (done := (time.time() - began) / (60 * args.minutes)) < 1 or not step:
        if step % BABBLE_EVERY == 0:
            sound.mix_babble()
        tensors = supply.next(rng)
        mels = sound.mels(*(tensors[name] for name in ("rows", "heard", "lengths", "speech")))
        parts = losses(halves.half, sounded(tensors, mels.bfloat16()))
        weigh(parts, LEAST_PHONES).backward()
        rate = rate_at(done, time.time() - first, args)
        halves.step(rate)
        sums += torch.stack([parts[name].detach().float() for name in PARTS])
        step += 1
        crew.take_shard(sound)
        if step % LOG_EVERY == 0:
            means = dict(zip(PARTS, (sums / LOG_EVERY).tolist(), strict=True))
            write_log(args.out / "log.csv", step, time.time() - began, rate, means)
            shown = " ".join(f"{name} {value:.3f}" for name, value in means.items())
            print(
                f"{time.time() - began:.0f} s, step {step}, {supply.new} new batches, "
                f"{len(sound.filled)} shards, rate {rate:.2e}: {shown}",
                flush=True,
            )
            sums.zero_()
            crew.check()
        if time.time() - saved > SAVE_SECONDS:
            saved = time.time()
            store(model, args, step, saved - began)
    if args.device.type == "cuda":
        print(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most")
    store(model, args, step, time.time() - began)


def store(model: Whisper, args: argparse.Namespace, step: int, spent: float) -> None:
    """Write the weights in float16, which is what the package holds."""
    save(copy.deepcopy(model).half().cpu(), args.out / "model.pt", step=step, spent=spent)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--start", type=Path, default=Path("build/training/run/last.pt"))
    parser.add_argument("--out", type=Path, default=Path("build/training/gpu"))
    parser.add_argument("--work", type=Path, default=Path("/dev/shm"), help="for new clips")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--decay", type=float, default=0.75, help="last share: the rate falls to 0")
    parser.add_argument("--warmup", type=float, default=10, help="seconds")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="peak learning rate")
    parser.add_argument("--encoder-layers", type=int, default=6)
    parser.add_argument("--speakers", type=int, default=11)
    parser.add_argument("--planners", type=int, default=3)
    parser.add_argument("--shards", type=int, default=2000, help="24 MB of GPU memory each")
    parser.add_argument("--batch-frames", type=int, default=120_000)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--seed", type=int, default=7_000_000)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for every shape
    train(args)


if __name__ == "__main__":
    main()
