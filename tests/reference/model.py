"""The network: encoder in both regimes, decoder over a whole sequence, language head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reference.files import Array, read_checkpoint

FULL_FRAMES = 3000  # mel frames of 30 s

_GRID = np.linspace(-6, 6, 120_001)
_ERF = np.array([math.erf(x) for x in _GRID])


def gelu(x: Array) -> Array:
    """The exact form, ``x Φ(x)``; erf from a table with steps of 1e-4 (error below 1e-9)."""
    return 0.5 * x * (1 + np.interp(x / math.sqrt(2), _GRID, _ERF))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def with_silence(mel: Array, least_frames: int) -> Array:
    """``mel`` extended to at least ``least_frames`` with digital silence.

    That is log10(1e-10) clamped 8 below the window's maximum; after Whisper's scaling
    ``(x + 4) / 4`` these are -1.5 and 2.0 below the scaled maximum.
    """
    missing = max(0, least_frames - mel.shape[1])
    silence = max(float(mel.max()) - 2.0, -1.5)
    return np.pad(mel, ((0, 0), (0, missing)), constant_values=silence)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """``states`` is ``[positions, d]``; the first ``frames`` of them hold real content."""

    states: Array
    frames: int


class ReferenceWhisper:
    """One checkpoint, run without batches, masks or a cache of keys and values."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint = read_checkpoint(folder)
        self.w = self.checkpoint.tensors
        self.config = self.checkpoint.config
        self._encoded: dict[object, Encoding] = {}

    @property
    def dynamic_context(self) -> bool:
        return bool(self.config.get("dynamic_context", False))

    def encode(self, mel: Array, *, least_frames: int | None = None) -> Encoding:
        """Encode ``[n_mels, frames]`` as it is, or padded with silence to 30 s if stock.

        ``least_frames`` asks for silence up to so many mel frames instead. Results are kept,
        because tests ask for the same windows again.
        """
        if least_frames is None:
            least_frames = 0 if self.dynamic_context else FULL_FRAMES
        key = (least_frames, mel.shape, mel.tobytes())
        if key not in self._encoded:
            states = self._encoder(with_silence(mel, least_frames))
            self._encoded[key] = Encoding(states=states, frames=(mel.shape[1] + 1) // 2)
        return self._encoded[key]

    def logits(
        self, tokens: list[int], encoding: Encoding, span: tuple[int, int] | None = None
    ) -> tuple[Array, Array]:
        """Logits ``[tokens, vocabulary]`` and cross-attention ``[layers, heads, tokens, seen]``.

        Cross-attention sees the frames ``[start, end)`` of ``span``; with none, every position
        of the encoding, padding included, as a stock model was trained.
        """
        states = encoding.states if span is None else encoding.states[slice(*span)]
        x = self.w["model.decoder.embed_tokens.weight"][tokens]
        x = x + self.w["model.decoder.embed_positions.weight"][: len(tokens)]
        causal = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
        crossed = []
        for layer in range(self.config["decoder_layers"]):
            name = f"model.decoder.layers.{layer}"
            normed = self._norm(x, f"{name}.self_attn_layer_norm")
            x = x + self._attention(f"{name}.self_attn", normed, normed, bias=causal)[0]
            normed = self._norm(x, f"{name}.encoder_attn_layer_norm")
            update, weights = self._attention(f"{name}.encoder_attn", normed, states)
            x = self._feed_forward(name, x + update)
            crossed.append(weights)
        x = self._norm(x, "model.decoder.layer_norm")
        return x @ self._output().T, np.stack(crossed)

    def language_probabilities(self, encoding: Encoding, span: tuple[int, int]) -> Array:
        """Softmax over the language tokens after ``<|startoftranscript|>``: ``[languages]``."""
        start = self.checkpoint.token("startoftranscript")
        logits, _ = self.logits([start], encoding, span)
        return softmax(logits[0, list(self.checkpoint.languages.values())])

    def _output(self) -> Array:
        if self.config.get("tie_word_embeddings", True):
            return self.w["model.decoder.embed_tokens.weight"]
        return self.w["proj_out.weight"]

    def _encoder(self, mel: Array) -> Array:
        x = gelu(self._convolution("model.encoder.conv1", mel, stride=1))
        x = gelu(self._convolution("model.encoder.conv2", x, stride=2)).T
        x = x + self.w["model.encoder.embed_positions.weight"][: len(x)]
        for layer in range(self.config["encoder_layers"]):
            name = f"model.encoder.layers.{layer}"
            normed = self._norm(x, f"{name}.self_attn_layer_norm")
            x = x + self._attention(f"{name}.self_attn", normed, normed)[0]
            x = self._feed_forward(name, x)
        return self._norm(x, "model.encoder.layer_norm")

    def _convolution(self, name: str, x: Array, *, stride: int) -> Array:
        """Kernel 3, zero padding 1: ``[channels, frames]`` to ``[d, ceil(frames / stride)]``."""
        frames = (x.shape[1] - 1) // stride + 1
        wide = np.pad(x, ((0, 0), (1, 1)))
        kernel = self.w[f"{name}.weight"]
        taps = [wide[:, tap : tap + frames * stride : stride][:, :frames] for tap in range(3)]
        out = sum(kernel[:, :, tap] @ taps[tap] for tap in range(3))
        return out + self.w[f"{name}.bias"][:, None]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def _feed_forward(self, name: str, x: Array) -> Array:
        normed = self._norm(x, f"{name}.final_layer_norm")
        return x + self._linear(f"{name}.fc2", gelu(self._linear(f"{name}.fc1", normed)))

    def _linear(self, name: str, x: Array) -> Array:
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0.0)

    def _attention(
        self, name: str, x: Array, source: Array, *, bias: Array | float = 0.0
    ) -> tuple[Array, Array]:
        """Update ``[queries, d]`` and weights ``[heads, queries, keys]``; keys have no bias."""
        heads = self.config[
            "decoder_attention_heads" if "decoder" in name else "encoder_attention_heads"
        ]
        q = self._heads(self._linear(f"{name}.q_proj", x), heads)
        k = self._heads(self._linear(f"{name}.k_proj", source), heads)
        v = self._heads(self._linear(f"{name}.v_proj", source), heads)
        weights = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + bias)
        joined = (weights @ v).transpose(1, 0, 2).reshape(len(x), -1)
        return self._linear(f"{name}.out_proj", joined), weights

    @staticmethod
    def _heads(x: Array, heads: int) -> Array:
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)
