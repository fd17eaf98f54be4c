"""float32, bfloat16 and INT8: encoder and decoder times, bytes held, and what INT8 costs in WER.

Every figure is the median of runs that alternate between the compute types, each shape run once
before. Encoder times include the mask and copying the result; ``STOCK`` has no mask and one shape.
A decoder step is one token of a fixed workload (20-token prefix, 25 new tokens, end-of-text
suppressed, context 10 s), without the prefix, for one session and for each of eight in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from whisper_service.engine.base import DecodeRequest, Encoded, Mel, Span
from whisper_service.engine.load import fastest_compute_type, load_engine
from whisper_service.engine.openvino import OpenVinoEngine
from whisper_service.errors import WhisperServiceError
from whisper_service.evaluation.bench.measuring import (
    Progress,
    Section,
    Table,
    interleave,
    ratio,
    short,
)
from whisper_service.evaluation.bench.models import ModelName, folder
from whisper_service.models.checkpoint import load_checkpoint

Kind: TypeAlias = Literal["float32", "bfloat16", "int8", "int8_bfloat16"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SECONDS = (1, 2, 5, 10, 30)
STOCK = "encoder 30 s (stock)"
PREFIX, NEW = 20, 25  # tokens
CLIPS = 20  # a language, of the test split

Work: TypeAlias = Mapping[str, Callable[[], Any]]


def precision(
    models: tuple[ModelName, ...], *, quick: bool, progress: Progress, threads: int | None = None
) -> Section:
    """One table of all sizes and compute types, and WER on the demo model."""
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    notes: list[str] = []
    header: tuple[str, ...] = ()
    for model in models:
        progress(f"{model}: {', '.join(KINDS)}")
        found = compare_kinds(model, blocks=5 if quick else 15, threads=threads)
        auto = fastest_compute_type(load_checkpoint(folder(model)).config.d_model)
        measured = min(KINDS, key=lambda kind: update_cost(found[kind]["figures"]))
        data[model] = {**found, "auto": auto, "fastest": measured}
        notes.append(f"{model}: `auto` is {auto}; fastest in this run for an update: {measured}.")
        for kind in KINDS:
            figures = found[kind]["figures"]
            rows.append((model, kind, *(short(v) for v in figures.values())))
            header = ("size", "compute type", *figures)
    if "demo" in models:
        progress("demo: word error rate of float32 and int8")
        data["wer"] = word_error_rates(clips=4 if quick else CLIPS)
        notes.append(_wer_note(data["wer"]))
    return Section(
        name="precision",
        title="Compute types (ms)",
        tables=(Table(header=header, rows=tuple(rows)),),
        data=data,
        notes=tuple(notes),
    )


def compare_kinds(
    model: ModelName, *, blocks: int, threads: int | None = None
) -> dict[str, dict[str, Any]]:
    """Figures of each compute type of one model; the types take turns."""
    load = partial(load_engine, folder(model), name=model, threads=threads)
    engines = {kind: load(compute_type=kind) for kind in KINDS}
    todo = {kind: works(engines[kind], load(compute_type=kind, context="full")) for kind in KINDS}
    produced = {
        kind: {
            name: max(len(h.tokens) for h in todo[kind][name]()) for name in ("decode", "decode 8")
        }
        for kind in KINDS
    }
    times: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    for name in todo["float32"]:
        sides: dict[str, Callable[[], Any]] = {kind: todo[kind][name] for kind in KINDS}
        for side in sides.values():
            side()
        for kind, values in interleave(sides, blocks=blocks).sides.items():
            times[kind][name] = values
    return {
        kind: {
            "figures": {
                **_figures(times[kind], produced[kind]),
                "encoder + decoder MB": _weights(engines[kind]) / 1e6,
                "all weights MB": engines[kind].memory.total / 1e6,
            },
            "faster": {
                name: ratio(times["float32"][name], times[kind][name]).as_dict()
                for name in times[kind]
            },
            "smaller": _weights(engines["float32"]) / _weights(engines[kind]),
            "smaller_in_all": engines["float32"].memory.total / engines[kind].memory.total,
        }
        for kind in KINDS
    }


def update_cost(figures: Mapping[str, float]) -> float:
    """Milliseconds of a typical update: 5 s encoded, the prefix, eight tokens."""
    return figures["encoder 5 s"] + figures["prefix of 24"] + 8 * figures["step"]


def works(engine: OpenVinoEngine, stock: OpenVinoEngine) -> Work:
    """Every measured call of one engine; ``stock``: the same checkpoint, always padded to 30 s."""
    windows = {s: _mel(engine, s) for s in SECONDS}
    encoded = engine.encode([windows[10]] * 8)
    frames = [Span(encoded[0], 10 * i, 10 * i + 50) for i in range(8)]
    alone = {new: _request(encoded[0], engine, new=new) for new in (1, NEW)}
    batch = {
        new: [_request(e, engine, new=new, seed=i) for i, e in enumerate(encoded)]
        for new in (1, NEW)
    }
    return {
        **{f"encoder {s} s": partial(engine.encode, [m]) for s, m in windows.items()},
        STOCK: partial(stock.encode, [windows[SECONDS[-1]]]),
        "encoder 8 x 2 s": lambda: engine.encode([windows[2]] * 8),
        "prefix": lambda: engine.decode([alone[1]]),
        "decode": lambda: engine.decode([alone[NEW]]),
        "prefix of 8": lambda: engine.decode(batch[1]),
        "decode 8": lambda: engine.decode(batch[NEW]),
        "language, 8 frames of 1 s": lambda: engine.language_probabilities(frames),
    }


def word_error_rates(*, clips: int) -> dict[str, Any]:
    """WER in % of float32 and INT8 on the test split, ``clips`` a language; offline decoding.

    Needs the system's espeak-ng; without it the result says so under ``"missing"``.
    """
    from whisper_service.config import LanguageOptions, StreamOptions
    from whisper_service.evaluation.corpus import make_split
    from whisper_service.evaluation.wer import Errors, errors
    from whisper_service.streaming.offline import transcribe

    try:
        split = make_split("test", clips=clips)
    except (OSError, WhisperServiceError, RuntimeError) as error:
        return {"missing": str(error)}
    rates: dict[str, Any] = {"clips": len(split)}
    for kind in ("float32", "int8"):
        engine = load_engine(folder("demo"), name="demo", compute_type=kind)
        total = Errors()
        for clip in split:
            language = LanguageOptions(policy="forced", languages=(clip.language,))
            options = StreamOptions(mode="offline", language=language)
            heard = transcribe(engine, [clip.samples], options).text
            total += errors(clip.text, heard, clip.language)
        rates[kind] = total.rate * 100
    return rates


def _weights(engine: OpenVinoEngine) -> int:
    """Bytes that the compiled encoder and decoder hold; the language head stays float32."""
    return engine.memory.encoder + engine.memory.decoder


def _mel(engine: OpenVinoEngine, seconds: float) -> Mel:
    random = np.random.default_rng(round(seconds * 10))
    return random.uniform(-1, 1, (engine.n_mels, round(seconds * 100))).astype(np.float32)


def _request(encoded: Encoded, engine: OpenVinoEngine, *, new: int, seed: int = 0) -> DecodeRequest:
    """Prefixes differ by ``seed`` so that no two decodes are equal."""
    prefix = np.random.default_rng(seed).integers(1000, 20000, PREFIX)
    return DecodeRequest(
        encoded=encoded,
        language=engine.languages[0],
        prefix=tuple(prefix.tolist()),
        max_new_tokens=new,
        allow_end=False,
    )


def _figures(times: dict[str, list[float]], produced: dict[str, int]) -> dict[str, float]:
    """Median milliseconds of each work; steps are what is left of a decode after its prefix."""
    ms = {name: 1000 * float(np.median(values)) for name, values in times.items()}
    result = {name: value for name, value in ms.items() if name.startswith("encoder")}
    result["prefix of 24"] = ms["prefix"]
    result["step"] = (ms["decode"] - ms["prefix"]) / max(1, produced["decode"] - 1)
    result["step of 8"] = (ms["decode 8"] - ms["prefix of 8"]) / max(1, produced["decode 8"] - 1)
    result["language frame (of 8)"] = ms["language, 8 frames of 1 s"] / 8
    return result


def _wer_note(wer: dict[str, Any]) -> str:
    if "missing" in wer:
        return f"WER of INT8: not run ({wer['missing']})."
    return (
        f"WER of the demo model on {wer['clips']} synthetic clips of the test split, offline: "
        f"float32 {wer['float32']:.2f} %, INT8 {wer['int8']:.2f} %."
    )
