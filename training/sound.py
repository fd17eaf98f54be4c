"""What windows sound like, made on the GPU: ``augment.degrade`` for a whole batch at a time.

All clips lie in one table [rows, 80] of float16 log10-mel. Throats, levels, tilts, noises, band
limits and masks are drawn anew each time a batch is used, so a batch may be used twice.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import FLOOR, log_mel
from training.noise import colored_noise, hum
from training.rows import SLOT
from training.shards import WARPED, WARPS, warp

STATIONARY, BABBLE, BANK = 48, 24, 3000  # noises of each kind, and their frames
TALKERS = (5, 9)


class Sound:
    """The table of all sound, and noises of unit power, on a device."""

    def __init__(self, shards: int, device: torch.device, seed: int) -> None:
        self.device = device
        self.table = torch.full((1 + shards * SLOT, 80), FLOOR, dtype=torch.float16, device=device)
        self.filled: list[tuple[int, int]] = []  # first row and rows of each shard
        throats = [np.eye(80, dtype=np.float32), *(warp(factor) for factor in WARPS)]
        self.throats = torch.from_numpy(np.stack(throats)).to(device)
        self.noises = torch.empty(STATIONARY + BABBLE, BANK, 80, device=device)
        self.noises[:STATIONARY] = torch.from_numpy(stationary_noises(seed)).to(device)

    def add(self, number: int, mel: NDArray[np.float16]) -> None:
        """Put a shard into its place. Raises ``ValueError`` where it does not fit."""
        if len(mel) > SLOT:
            raise ValueError(f"shard {number} has {len(mel)} rows, {SLOT} fit")
        first = 1 + number * SLOT
        self.table[first : first + len(mel)] = torch.from_numpy(mel).to(self.device)
        self.filled.append((first, len(mel)))

    def mix_babble(self) -> None:
        """Replace the babble: 5-9 talkers each, of different loudness, from anywhere."""
        for i in range(STATIONARY, STATIONARY + BABBLE):
            shards = torch.tensor(self.filled)[torch.randint(len(self.filled), (TALKERS[1],))]
            starts = shards[:, 0] + (torch.rand(TALKERS[1]) * (shards[:, 1] - BANK)).long()
            rows = starts[:, None] + torch.arange(BANK)
            powers = torch.pow(10.0, self.table[rows.to(self.device)].float())
            gains = 10 ** (torch.rand(TALKERS[1]) * 0.6 - 0.3)
            gains[torch.randint(TALKERS[0], TALKERS[1] + 1, ()) :] = 0
            total = (powers * gains.to(self.device)[:, None, None]).sum(0)
            self.noises[i] = total / total.mean()

    def mels(self, rows: Tensor, heard: Tensor, lengths: Tensor, speech: Tensor) -> Tensor:
        """Features [B, 80, T] of windows given by rows [B, T], other ones at each call."""
        inside = torch.arange(rows.shape[1], device=rows.device) < heard[:, None]
        power = torch.pow(10.0, self.table[rows].float())
        power = self._degraded(power, inside[..., None], speech)
        mel = power.clamp(min=10.0**FLOOR).log10()
        mel = self._masked(mel, inside, heard)
        mel = torch.where(inside[..., None], mel, FLOOR)
        highest = mel.amax((1, 2), keepdim=True)
        scaled = (torch.maximum(mel, highest - 8.0) + 4.0) / 4.0
        known = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]
        return (scaled * known[..., None]).transpose(1, 2).contiguous()

    def _degraded(self, power: Tensor, inside: Tensor, speech: Tensor) -> Tensor:
        batch, frames = power.shape[:2]
        device = power.device

        def draw(low: float, high: float) -> Tensor:
            return torch.rand(batch, 1, 1, device=device) * (high - low) + low

        throat = torch.randint(1, len(self.throats), (batch,), device=device)
        throat = throat * (torch.rand(batch, device=device) < WARPED)
        power = power @ self.throats[throat]
        slope = torch.linspace(-1, 1, 80, device=device)
        power = power * 10 ** (slope * draw(-0.4, 0.4) + draw(-2.2, 0.1))
        spoken = speech[:, None, None]
        level = ((power * inside).sum((1, 2)) / (80 * inside.sum((1, 2)))).clamp(min=1e-8)
        level = torch.where(spoken, level[:, None, None], 10 ** draw(-6, -1))
        steady = draw(0, 1) < torch.where(spoken, 0.75, 0.6)
        kind = torch.where(steady, draw(0, STATIONARY), draw(STATIONARY, STATIONARY + BABBLE))
        kind = kind.long().clamp(max=STATIONARY + BABBLE - 1)  # float32 may round up to the bound
        at = (draw(0, BANK).long()[..., 0] + torch.arange(frames, device=device)) % BANK
        snr = torch.where(steady, draw(4, 32), draw(6, 30))
        snr = torch.where(spoken, snr, 0.0)
        used = (draw(0, 1) < 0.75) | ~spoken
        power = power + used * self.noises[kind[..., 0], at] * level * 10 ** (-snr / 10)
        floor = (draw(0, 1) < 0.5) * 10 ** draw(-9, -5.5)
        power = power + floor * torch.empty_like(power).exponential_()
        top = torch.where(draw(0, 1) < 0.1, draw(52, 65).long(), 80)
        return torch.where(torch.arange(80, device=device) < top, power, power * 1e-7)

    def _masked(self, mel: Tensor, inside: Tensor, heard: Tensor) -> Tensor:
        """SpecAugment: two bands and one stretch more than there are 5 s."""
        frames = mel.shape[1]
        mean = (mel * inside[..., None]).sum((1, 2), keepdim=True)
        mean = mean / (80 * heard[:, None, None])
        bands, stretches = torch.full_like(heard, 2), 1 + heard // 500
        band = _stretches(bands, 2, 10, torch.full_like(heard, 80), 80)
        time = _stretches(stretches, 1 + frames // 500, 12, heard, frames)
        return torch.where(time[..., None] | band[:, None], mean, mel)


def _stretches(count: Tensor, most: int, longest: int, within: Tensor, size: int) -> Tensor:
    """Which places [B, size] lie in one of ``count`` [B] random stretches ``within`` [B]."""
    device, batch = within.device, len(within)
    width = torch.randint(0, longest + 1, (batch, most), device=device)
    width = width * (torch.arange(most, device=device) < count[:, None])
    first = torch.rand(batch, most, device=device) * (within[:, None] - width).clamp(min=0)
    place = torch.arange(size, device=device)
    first = first.long()[..., None]
    return ((place >= first) & (place < first + width[..., None])).any(1)


def stationary_noises(seed: int) -> NDArray[np.float32]:
    """Coloured noises and hums of unit power [STATIONARY, BANK, 80]."""
    generator = np.random.default_rng(seed)
    seconds = BANK / 100
    waves = [
        colored_noise(seconds, slope, generator) for slope in np.linspace(0, 2.4, STATIONARY - 8)
    ]
    waves += [hum(seconds, hertz, generator) for hertz in (50, 60, 100, 120, 50, 60, 75, 150)]
    powers = np.stack([np.power(10.0, log_mel(wave)[:BANK]) for wave in waves])
    return (powers / powers.mean((1, 2), keepdims=True)).astype(np.float32)
