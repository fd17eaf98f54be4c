"""Make golden tensors with Hugging Face ``transformers``, the first witness of our engines.

    python -m venv /tmp/golden
    /tmp/golden/bin/pip install torch==2.13.0 transformers numpy safetensors
    /tmp/golden/bin/python scripts/make_golden.py tiny
    /tmp/golden/bin/python scripts/make_golden.py src/whisper_service/models/demo

The first run of the script writes ``tests/golden/<layout>.npz`` for every tiny checkpoint of
``tests/checkpoints.py``; the second ``tests/golden/demo.npz``, from the compact folder in the
package or from any standard one. Run the second again whenever the demo model is replaced.

All numbers come from ``WhisperForConditionalGeneration`` in float64. ``transformers`` refuses
windows that are not 3000 mel frames long, so for short ones the table of encoder positions is cut
to the window and ``config.max_source_positions`` says so: the code that runs is still theirs.
A span of cross-attention is a slice of the encoder's states. Greedy decoding is a loop over full
forward passes, and on stock checkpoints it must agree with their ``generate``.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import WhisperForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from checkpoints import LAYOUTS, Layout, build, random_mel, special_ids
from reference.mel import unpack

ROOT = Path(__file__).parents[1]
SILENCE_FLOOR, CLAMP, FULL = -1.5, 2.0, 3000
KEPT_ATTENTION_ROWS = 6  # of each decode
MOST_REPEATS = 3  # of a phrase, over at least LOOP tokens: engines may stop loops early
LOOP = 7
LEAST_MARGIN = 0.002  # logits between the chosen token and the next; float32 must not turn it


class Golden:
    """One model in ``transformers``, and what is written about it."""

    def __init__(self, folder: Path, ids: dict[str, int]) -> None:
        self.model = WhisperForConditionalGeneration.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float64
        ).eval()
        self.config = json.loads((folder / "config.json").read_text())
        self.generation = json.loads((folder / "generation_config.json").read_text())
        self.ids = ids
        self.end = ids["<|endoftext|>"]
        self.languages = _languages(ids, self.generation, self.config)
        self.arrays: dict[str, np.ndarray] = {}
        self.cases: list[dict[str, Any]] = []

    def window(self, name: str, mel: np.ndarray, source: dict[str, Any]) -> torch.Tensor:
        """Encode a window; keep five frames whole and all of them projected on one vector."""
        states = self.encode(mel)[0]
        content = (mel.shape[1] + 1) // 2
        chosen = sorted({0, 1, content // 2, content - 1, len(states) - 1})
        self.arrays[f"{name}/chosen"] = np.array(chosen)
        self.arrays[f"{name}/states"] = states[chosen].numpy().astype(np.float32)
        projected = states.numpy() @ projection(states.shape[1])
        self.arrays[f"{name}/projected"] = projected.astype(np.float32)
        spans = [(0, content), (content // 3, content // 3 + max(1, content // 4))]
        self.cases.append(
            {"name": name, "source": source, "frames": content, "spans": spans, "decodes": []}
        )
        for index, span in enumerate(spans):
            probabilities = self.language_probabilities(states[slice(*span)])
            self.arrays[f"{name}/languages{index}"] = probabilities.astype(np.float32)
        return states

    def encode(self, mel: np.ndarray) -> torch.Tensor:
        """States ``[1, positions, d]`` of ``[n_mels, frames]``."""
        encoder = copy.deepcopy(self.model.model.encoder)
        if self.config.get("dynamic_context"):
            table = encoder.embed_positions.weight[: mel.shape[1] // 2].detach()
            encoder.embed_positions = torch.nn.Embedding.from_pretrained(table)
            encoder.config = copy.deepcopy(encoder.config)
            encoder.config.max_source_positions = mel.shape[1] // 2
        features = torch.from_numpy(self.padded(mel)).to(torch.float64)[None]
        with torch.no_grad():
            return encoder(features).last_hidden_state

    def padded(self, mel: np.ndarray) -> np.ndarray:
        if self.config.get("dynamic_context"):
            return mel
        silence = max(mel.max() - CLAMP, SILENCE_FLOOR)
        width = ((0, 0), (0, FULL - mel.shape[1]))
        return np.pad(mel, width, constant_values=silence)

    def forward(self, tokens: list[int], states: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Logits ``[tokens, vocabulary]`` and cross-attention ``[layers, heads, tokens, seen]``."""
        with torch.no_grad():
            out = self.model(
                decoder_input_ids=torch.tensor([tokens]),
                encoder_outputs=(states[None],),
                output_attentions=True,
                use_cache=False,
            )
        crossed = np.stack([layer[0].numpy() for layer in out.cross_attentions])
        return out.logits[0].numpy(), crossed

    def language_probabilities(self, states: torch.Tensor) -> np.ndarray:
        logits, _ = self.forward([self.ids["<|startoftranscript|>"]], states)
        scores = logits[0, list(self.languages.values())]
        return np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()

    def start(self, request: dict[str, Any]) -> list[int]:
        tokens = []
        if request["prompt"]:
            tokens = [self.ids["<|startofprev|>"], *request["prompt"]]
        tokens.append(self.ids["<|startoftranscript|>"])
        if self.generation["is_multilingual"]:
            tokens += [self.languages[request["language"]], self.ids[f"<|{request['task']}|>"]]
        return [*tokens, self.ids["<|notimestamps|>"], *request["prefix"]]

    def banned(self, *, first: bool) -> list[int]:
        """Ids that may not be chosen: the checkpoint's lists and all special tokens but the end."""
        names = ["suppress_tokens"] + ["begin_suppress_tokens"] * first
        listed = [i for n in names for i in self.generation.get(n) or self.config.get(n) or []]
        special = range(self.end + 1, self.config["vocab_size"])
        return sorted({*listed, *special} - {self.end})

    def decode(self, name: str, states: torch.Tensor, **options: Any) -> None:
        """Decode greedily and keep the choices, their probabilities and the attention."""
        request = {"task": "transcribe", "prompt": [], "prefix": [], "span": None} | options
        case = self.cases[-1]
        seen = states if request["span"] is None else states[slice(*request["span"])]
        start, tokens, steps = self.start(request), [], []
        while True:
            logits, crossed = self.forward([*start, *tokens], seen)
            scores = logits[-1].copy()
            scores[self.banned(first=not tokens and not request["prefix"])] = -np.inf
            steps.append((logits[-1], scores, self.attention(crossed[:, :, -1])))
            if scores.argmax() == self.end or len(tokens) == request["max_new_tokens"]:
                break
            tokens.append(int(scores.argmax()))
        spent = len(tokens) == request["max_new_tokens"]
        request["stopped"] = "budget" if spent else "end"
        request["tokens"] = tokens
        before = start.index(self.ids["<|startoftranscript|>"]) + 1
        first, _ = self.forward(start[:before], seen)
        request["key"] = f"{name}/{len(case['decodes'])}"
        self._keep(request, steps, first[-1])
        case["decodes"].append(request)

    def attention(self, weights: np.ndarray) -> np.ndarray:
        layers, heads = weights.shape[:2]
        named = self.generation.get("alignment_heads")
        chosen = named or [(n, h) for n in range(layers // 2, layers) for h in range(heads)]
        return np.mean([weights[layer, head] for layer, head in chosen], axis=0)

    def _keep(self, request: dict[str, Any], steps: list[Any], first: np.ndarray) -> None:
        key = request["key"]
        logs = [scores - _logsumexp(scores) for _, scores, _ in steps]
        tokens = request["tokens"]
        ranked = [np.sort(scores)[[-1, -2]] for _, scores, _ in steps]
        request["margin"] = float(min(best - second for best, second in ranked))
        taken = [float(log[token]) for log, token in zip(logs, tokens, strict=False)]
        self.arrays[f"{key}/logprobs"] = np.array(taken, np.float32)
        self.arrays[f"{key}/end"] = np.array([log[self.end] for log in logs], np.float32)
        sums = [logits @ projection(len(logits)) for logits, _, _ in steps]
        self.arrays[f"{key}/logits"] = np.array(sums, np.float32)
        no_speech = self.ids.get("<|nospeech|>", self.ids.get("<|nocaptions|>"))
        request["no_speech"] = float(np.exp(first[no_speech] - _logsumexp(first)))
        rows = np.array([row for *_, row in steps])[: len(tokens)]
        request["frames"] = rows.argmax(axis=1).tolist()
        packed = np.rint(rows[:KEPT_ATTENTION_ROWS] * 65535).astype(np.uint16)
        self.arrays[f"{key}/attention"] = packed

    def check_generate(self, mel: np.ndarray, language: str) -> None:
        """Compare the loop of :meth:`decode` with ``generate`` on a stock window."""
        features = torch.from_numpy(self.padded(mel)).to(torch.float64)[None]
        options: dict[str, Any] = {"suppress_tokens": self.banned(first=False)}
        extra = sorted(set(self.banned(first=True)) - set(options["suppress_tokens"]))
        if self.generation["is_multilingual"]:
            options |= {"language": language, "task": "transcribe"}
        generation = copy.deepcopy(self.model.generation_config)
        generation.max_length = None
        ids = self.model.generate(
            features,
            generation_config=generation,
            begin_suppress_tokens=extra or None,
            max_new_tokens=30,
            do_sample=False,
            **options,
        )
        text = [token for token in ids[0].tolist() if token < self.end]
        ours = self.cases[-1]["decodes"][0]["tokens"]
        if text != ours:
            raise SystemExit(f"generate gave {text}, the loop {ours}")

    def drop_doubtful(self) -> None:
        """Leave out decodes whose tokens rounding could change, and loops."""
        for case in self.cases:
            case["decodes"] = [
                decode
                for decode in case["decodes"]
                if decode["margin"] >= LEAST_MARGIN and not _loops(decode)
            ]

    def loops(self) -> bool:
        return any(_loops(decode) for case in self.cases for decode in case["decodes"])

    def save(self, path: Path) -> None:
        meta = {"cases": self.cases, "fingerprint": self.fingerprint(), "made_by": _versions()}
        self.arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        lowest = min(d["margin"] for case in self.cases for d in case["decodes"])
        if lowest < LEAST_MARGIN:
            raise SystemExit(f"{path.name}: margin {lowest:.5f} is too small, change the seed")
        np.savez_compressed(path, **self.arrays)
        print(f"{path.name}: {path.stat().st_size} bytes, smallest margin {lowest:.4f}")

    def fingerprint(self) -> str:
        """Tells a replaced checkpoint from the one the file was made of."""
        model = self.model.model
        parts = (model.encoder.conv1.weight, model.decoder.layers[0].fc1.weight)
        names = ("alignment_heads", "suppress_tokens", "begin_suppress_tokens")
        settings = [list(self.languages), *(self.generation.get(name) for name in names)]
        data = b"".join(part.detach().numpy().astype(np.float32).tobytes() for part in parts)
        return hashlib.sha256(data + json.dumps(settings).encode()).hexdigest()


def projection(size: int) -> np.ndarray:
    """Return the fixed random direction on which long vectors are projected."""
    return np.random.default_rng(size).standard_normal(size) / np.sqrt(size)


def _loops(decode: dict[str, Any]) -> bool:
    """Whether a phrase follows itself."""
    tokens = decode["tokens"]
    for period in range(1, len(tokens) // MOST_REPEATS + 1):
        same = [a == b for a, b in zip(tokens, tokens[period:], strict=False)]
        longest = max(
            (len(list(run)) for equal, run in itertools.groupby(same) if equal), default=0
        )
        if longest + period >= max(LOOP, MOST_REPEATS * period):
            return True
    return False


def _logsumexp(x: np.ndarray) -> float:
    return float(x.max() + np.log(np.exp(x - x.max()).sum()))


def _languages(
    ids: dict[str, int], generation: dict[str, Any], config: dict[str, Any]
) -> dict[str, int]:
    """Ids by code, in the order of ids; ``languages`` in our configuration narrows them."""
    if not generation["is_multilingual"]:
        return {"en": ids["<|en|>"]}
    named = {name.strip("<|>"): index for name, index in generation["lang_to_id"].items()}
    trained = config.get("languages", named)
    return {code: named[code] for code in sorted(trained, key=lambda code: named[code])}


def _versions() -> dict[str, str]:
    import transformers

    return {"transformers": transformers.__version__, "torch": torch.__version__}


def tiny(layout: Layout, out: Path) -> None:
    """Write the golden file of one tiny layout."""
    with tempfile.TemporaryDirectory() as scratch:
        golden = Golden(build(layout, Path(scratch)), special_ids(layout))
    short = (100, 158, 160, 162, 256, 502, 1000)
    codes = list(golden.languages)
    for frames in short if layout.dynamic_context else (100, 730, FULL):
        mel = random_mel(layout.n_mels, frames, seed=frames)
        name = f"{frames}"
        states = golden.window(name, mel, {"seed": frames, "frames": frames})
        golden.decode(name, states, language="en", max_new_tokens=30)
        if frames == FULL:
            continue
        task = "translate" if layout.translates else "transcribe"
        other = {"language": codes[-1], "task": task, "prompt": [40, 41, 42], "prefix": [50, 51]}
        golden.decode(name, states, **other, max_new_tokens=12)
        span = golden.cases[-1]["spans"][1]
        golden.decode(name, states, language=codes[0], span=span, max_new_tokens=12)
        if not layout.dynamic_context:
            golden.check_generate(mel, "en")
    if golden.loops():
        raise SystemExit(f"{out.name}: a decode loops, change the seed")
    golden.save(out)


def demo(folder: Path, out: Path) -> None:
    """Write the golden file of the demo checkpoint, on synthetic speech."""
    with tempfile.TemporaryDirectory() as scratch:
        standard = _standard(folder, Path(scratch))
        tokens = json.loads((standard / "tokenizer.json").read_text())["added_tokens"]
        golden = Golden(standard, {token["content"]: token["id"] for token in tokens})
    clips = np.load(ROOT / "tests" / "data" / "clips.npz")
    for language in ("en", "es", "fr", "de", "zh"):
        mel = unpack(clips[f"mel_{language}"])
        states = golden.window(language, mel, {"clip": language})
        golden.decode(language, states, language=language, max_new_tokens=60)
        spoken = golden.cases[-1]["decodes"][0]["tokens"]
        forced = {"prefix": spoken[:2], "prompt": spoken[2:6]}
        golden.decode(language, states, language=language, max_new_tokens=20, **forced)
        span = golden.cases[-1]["spans"][1]
        golden.decode(language, states, language=language, span=span, max_new_tokens=20)
    golden.drop_doubtful()
    golden.save(out)


def _standard(folder: Path, scratch: Path) -> Path:
    """``folder`` itself, or the package's compact form expanded into ``scratch``."""
    if not (folder / "tokenizer.json.gz").exists():
        return folder
    for file in folder.glob("*.json"):
        (scratch / file.name).write_bytes(file.read_bytes())
    text = gzip.decompress((folder / "tokenizer.json.gz").read_bytes())
    (scratch / "tokenizer.json").write_bytes(text)
    tensors = load_file(folder / "weights.safetensors")
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    table = np.repeat(tensors.pop("embed_tokens.other")[None], size, axis=0)
    table[tensors.pop("embed_tokens.index")] = tensors.pop("embed_tokens.rows")
    tensors["model.decoder.embed_tokens.weight"] = table
    save_file(tensors, scratch / "model.safetensors", {"format": "pt"})
    return scratch


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    folder = ROOT / "tests" / "golden"
    folder.mkdir(exist_ok=True)
    if sys.argv[1] == "tiny":
        for layout in LAYOUTS.values():
            if layout.name != "looping":
                tiny(layout, folder / f"{layout.name}.npz")
        return
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else folder / "demo.npz"
    demo(Path(sys.argv[1]), out)


if __name__ == "__main__":
    main()
