"""Windows of log-mel to encoder states: the grid of lengths, padding, and what is kept.

Two regimes, never mixed in one engine. *Masked* (checkpoints trained for it): a window keeps its
real length; padding to the grid is masked everywhere. *Padded* (stock checkpoints, trained on
30 s only): silence is appended and attended to, as Whisper was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from whisper_service.engine.graph import MASKED
from whisper_service.engine.openvino_graph import Graph
from whisper_service.engine.openvino_runtime import Array
from whisper_service.errors import InvalidAudioError
from whisper_service.types import FloatArray

FRAMES_PER_SECOND = 50
ENCODER_SECONDS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30)
# Cross-attention over a longer, masked encoding costs next to nothing, and each length that the
# decoder sees makes the CPU plugin keep 1-2 MB of generated code for each prefix length.
DECODER_SECONDS = (2, 6, 10, 20, 30)
BATCHES = (1, 2, 4, 8)

_SILENCE = -1.5  # scaled log-mel of digital silence: (log10(1e-10) + 4) / 4
_RANGE = 2.0  # Whisper clamps 8 decades below the maximum, which are 2 after scaling by 4


def fit(value: int, grid: Sequence[int]) -> int:
    """Smallest entry of ``grid`` that holds ``value``; the last one if none does."""
    return next((size for size in grid if size >= value), grid[-1])


def context_grid(seconds: Sequence[int], max_frames: int) -> tuple[int, ...]:
    """Lengths in frames up to the model's own maximum, which is always there."""
    grid = [s * FRAMES_PER_SECOND for s in seconds]
    return (*(frames for frames in grid if frames < max_frames), max_frames)


def batches(count: int) -> Iterator[int]:
    """Split ``count`` into sizes of the batch grid without padding: 7 → 4, 2, 1."""
    for size in reversed(BATCHES):
        while count >= size:
            count -= size
            yield size


@dataclass(slots=True, eq=False)
class OpenVinoEncoded:
    """One encoded window (``engine.base.Encoded``).

    ``cross`` holds the decoder's keys and values, ``[1, heads, context, size]`` each (k0, v0, k1,
    …), from the first decode on.
    """

    frames: int  # of real content
    states: FloatArray  # [attended, d]: the content; in the padded regime silence follows it
    context: int  # frames of ``cross``, on the decoder's grid
    cross: list[Array] | None = None
    lock: Lock = field(default_factory=Lock)

    @property
    def attended(self) -> int:
        """Frames that cross-attention sees."""
        return len(self.states)

    @property
    def nbytes(self) -> int:
        return self.states.nbytes + sum(a.nbytes for a in self.cross or ())


@dataclass(frozen=True, slots=True)
class Windows:
    """Encodes windows with an encoder graph. ``padded``: shortest length in frames, or None."""

    graph: Graph
    positions: FloatArray  # [max_frames, d]
    n_mels: int
    padded: int | None

    @property
    def full(self) -> bool:
        """Whether the graph is ``full_encoder``: one length, one window at a time, no masks."""
        return self.padded == len(self.positions)

    @property
    def grid(self) -> tuple[int, ...]:
        """Lengths of the encoder and the language head, in frames."""
        return context_grid(ENCODER_SECONDS, len(self.positions))

    @property
    def decoder_grid(self) -> tuple[int, ...]:
        """Lengths of cross-attention, in frames."""
        return context_grid(DECODER_SECONDS, len(self.positions))

    def lengths_up_to(self, frames: int) -> list[int]:
        """Encoder lengths that windows of up to ``frames`` frames can have here."""
        return [n for n in self.grid if (self.padded or 0) <= n <= fit(frames, self.grid)]

    def decoder_lengths_up_to(self, frames: int) -> list[int]:
        grid = self.decoder_grid
        return [n for n in grid if (self.padded or 0) <= n <= fit(frames, grid)]

    def encode(self, mels: Sequence[FloatArray]) -> list[OpenVinoEncoded]:
        """Encode ``[n_mels, T]`` windows, those of one grid length in a batch.

        Raises ``InvalidAudioError`` for a window of another shape.
        """
        for mel in mels:
            self._check(mel)
        contexts = [self._context(mel.shape[1]) for mel in mels]
        encoded: dict[int, OpenVinoEncoded] = {}
        for context in sorted(set(contexts)):
            group = [i for i, c in enumerate(contexts) if c == context]
            for size in [1] * len(group) if self.full else batches(len(group)):
                chosen, group = group[:size], group[size:]
                results = self._encode_batch([mels[i] for i in chosen], context)
                encoded.update(zip(chosen, results, strict=True))
        return [encoded[i] for i in range(len(mels))]

    def _check(self, mel: FloatArray) -> None:
        longest = 2 * len(self.positions)
        if mel.ndim != 2 or mel.shape[0] != self.n_mels or not 0 < mel.shape[1] <= longest:
            raise InvalidAudioError(
                f"the encoder takes windows of {self.n_mels} mel bins by 1 to {longest} frames, "
                f"not {list(mel.shape)}; cut longer audio into windows"
            )

    def _context(self, mel_frames: int) -> int:
        return fit(max((mel_frames + 1) // 2, self.padded or 0), self.grid)

    def _encode_batch(self, mels: Sequence[FloatArray], context: int) -> list[OpenVinoEncoded]:
        mel = np.zeros((len(mels), self.n_mels, 2 * context), np.float32)
        content = np.ones((len(mels), 1, 2 * context), np.float32)
        mask = np.zeros((len(mels), 1, 1, context), np.float32)
        frames = [(m.shape[1] + 1) // 2 for m in mels]
        for row, window in enumerate(mels):
            length = window.shape[1]
            mel[row, :, :length] = window
            if self.padded is None:
                content[row, :, length:] = 0
                mask[row, ..., frames[row] :] = MASKED
            else:
                mel[row, :, length:] = max(float(window.max()) - _RANGE, _SILENCE)
        inputs = {"mel": mel, "positions": self.positions[None, :context]}
        if not self.full:
            inputs |= {"content": content, "mask": mask}
        with self.graph.session() as session:
            (states,) = session.outputs_of(inputs)
            return [
                self._encoded(n, states[row, : context if self.padded else n])
                for row, n in enumerate(frames)
            ]

    def _encoded(self, frames: int, states: FloatArray) -> OpenVinoEncoded:
        """Keep only what is attended to: a view would hold the padding and the batch too."""
        return OpenVinoEncoded(frames, states.copy(), fit(len(states), self.decoder_grid))


def padded_states(encoded: OpenVinoEncoded) -> FloatArray:
    """States ``[1, context, d]``, zero beyond what is kept."""
    kept, width = encoded.states.shape
    if kept == encoded.context:
        return encoded.states[None]
    states = np.zeros((1, encoded.context, width), np.float32)
    states[0, :kept] = encoded.states
    return states
