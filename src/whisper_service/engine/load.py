"""Loading a checkpoint into an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from whisper_service.engine import graph, graph_decoder, graph_language
from whisper_service.engine.graph_vocabulary import Embedding, Vocabulary, tables
from whisper_service.engine.openvino import EngineInfo, Graphs, OpenVinoEngine
from whisper_service.engine.openvino_batch import DecoderModel
from whisper_service.engine.openvino_cache import GraphCache, cache_key, default_cache_dir
from whisper_service.engine.openvino_encoder import FRAMES_PER_SECOND, Windows
from whisper_service.engine.openvino_graph import Graph
from whisper_service.engine.openvino_runtime import (
    SHAPE_CACHE,
    has_bfloat16,
    has_int8,
    has_matrix_tiles,
    physical_cores,
    types,
)
from whisper_service.engine.tokenizer import WhisperTokenizer
from whisper_service.errors import InvalidOptionError
from whisper_service.models.checkpoint import Checkpoint, load_checkpoint

PlainComputeType: TypeAlias = Literal["float32", "bfloat16", "int8", "int8_bfloat16"]
ComputeType: TypeAlias = Literal["auto", "float32", "bfloat16", "int8", "int8_bfloat16"]
Context: TypeAlias = float | Literal["auto", "full"]

SMALL = 256  # d_model up to which the weights of a decoder step stay in the CPU's cache
MAX_THREADS = 4  # more make no window of these models faster; use workers for throughput


def load_engine(
    model: str | Path | Checkpoint,
    *,
    name: str | None = None,
    compute_type: ComputeType = "auto",
    threads: int | None = None,
    workers: int = 1,
    context: Context = "auto",
    cache_dir: str | Path | None = None,
    cache: bool = True,
) -> OpenVinoEngine:
    """Load a checkpoint (a folder, or an opened one) for the CPU.

    ``compute_type``: ``auto`` is :func:`fastest_compute_type`. ``threads`` of all ``workers``
    together, by default the physical cores, at most four for each; a worker is a call that can
    run at the same time as others. ``context``: ``auto`` encodes windows at their real length if
    the checkpoint was trained for it and else pads them to 30 s; ``full`` always pads; a number
    pads to at least so many seconds. Compiled graphs are kept in ``cache_dir`` (by default in the
    user's cache directory) unless ``cache`` is off.

    Raises ``ModelFormatError`` for an incomplete checkpoint and ``InvalidOptionError`` for an
    option that cannot work.
    """
    _check(compute_type, threads, workers)
    checkpoint = model if isinstance(model, Checkpoint) else load_checkpoint(model, name=name)
    if compute_type == "auto":
        compute_type = fastest_compute_type(checkpoint.config.d_model)
    precision = _precision(compute_type)
    if threads is None:
        threads = min(MAX_THREADS * workers, physical_cores())
    folder = (Path(cache_dir) if cache_dir else default_cache_dir()) if cache else None
    built_from = (checkpoint.fingerprint, repr(checkpoint.config), repr(checkpoint.generation))
    key = cache_key([*built_from, precision.name]) if folder else ""
    padded = _padded(checkpoint, context)
    full = padded == checkpoint.config.max_source_positions
    compiler = _Compiler(GraphCache(folder, key), precision, threads, workers, full)
    vocabulary, embedding = tables(checkpoint, int8=precision.int8_decoder)
    graphs = compiler.graphs(checkpoint, vocabulary)
    info = EngineInfo(
        name=name or checkpoint.name, compute_type=precision.name, threads=threads, workers=workers
    )
    return OpenVinoEngine(
        checkpoint,
        graphs,
        info=info,
        decoder=_decoder_model(
            checkpoint, vocabulary=vocabulary, embedding=embedding, precision=precision
        ),
        windows=Windows(
            graphs.encoder,
            positions=checkpoint.tensor("encoder.embed_positions.weight"),
            n_mels=checkpoint.config.n_mels,
            padded=padded,
        ),
        tokenizer=WhisperTokenizer(checkpoint),
    )


def fastest_compute_type(d_model: int) -> PlainComputeType:
    """What measures fastest on this CPU for a model of this width (table in ``docs/ENGINE.md``).

    INT8 wins wherever reading the weights takes the time, which is every published size, if the
    CPU has instructions for it. Where it multiplies tiles of bfloat16 (AMX), the encoder is
    better off with bfloat16 weights, as expanding INT8 ones takes longer than the products.
    For smaller models bfloat16 is as fast and closer to float32.
    """
    if has_bfloat16() and d_model <= SMALL:
        return "bfloat16"
    if has_int8():
        return "int8_bfloat16" if has_matrix_tiles() else "int8"
    return "bfloat16" if has_bfloat16() else "float32"


@dataclass(frozen=True, slots=True)
class _Precision:
    """What a compute type means for the graphs.

    The precision of activations is always set: the plugin would choose by itself. With INT8
    weights the decoder stays in float32, where it costs nothing and logits are not rounded. Keys
    and values of cross-attention are projections of the encoder's output, made once a window as
    that is: they go with the encoder.
    """

    name: PlainComputeType
    encoder: Literal["f32", "bf16"]
    decoder: Literal["f32", "bf16"]

    @property
    def int8_encoder(self) -> bool:
        return self.name == "int8"

    @property
    def int8_decoder(self) -> bool:
        return self.name.startswith("int8")

    @property
    def cache_kind(self) -> Any:
        """Element type of keys and values outside of the graphs."""
        return types.bf16 if self.decoder == "bf16" else types.f32


def _precision(name: PlainComputeType) -> _Precision:
    if name.startswith("int8"):
        return _Precision(name, "bf16" if has_bfloat16() else "f32", "f32")
    hint: Literal["f32", "bf16"] = "bf16" if name == "bfloat16" else "f32"
    return _Precision(name, hint, hint)


@dataclass(frozen=True, slots=True)
class _Compiler:
    cache: GraphCache
    precision: _Precision
    threads: int
    workers: int
    full: bool  # every window is padded to the model's own length

    def graphs(self, checkpoint: Checkpoint, vocabulary: Vocabulary) -> Graphs:
        p, kind = self.precision, self.precision.cache_kind
        weights = {"int8": p.int8_encoder, "half": p.encoder == "bf16"}
        build = graph.full_encoder if self.full else graph.encoder
        encoder = partial(build, checkpoint, **weights)
        frames = checkpoint.config.max_source_positions if self.full else -1
        cross = partial(
            graph_decoder.cross_attention, checkpoint, **weights, kind=kind, frames=frames
        )
        decoder = partial(
            graph_decoder.decoder, checkpoint, vocabulary, int8=p.int8_decoder, kind=kind
        )
        head = partial(graph_language.language_head, checkpoint)
        variant = "_full" if self.full else ""
        return Graphs(
            self._graph(f"encoder{variant}", encoder, p.encoder),
            self._graph(f"cross_attention{variant}", cross, p.encoder),
            self._graph("decoder", decoder, p.decoder),
            self._graph("language_head", head, "f32") if checkpoint.generation.languages else None,
        )

    def _graph(self, name: str, build: Callable[[], Any], hint: str) -> Graph:
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": self.workers,
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": hint,
            # INT8 weights: activations are quantized on the fly too, in groups along the input.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32 if self.precision.int8_decoder else 0,
            "CPU_RUNTIME_CACHE_CAPACITY": SHAPE_CACHE,
            "ENABLE_CPU_PINNING": False,
        }
        return Graph(self.cache.compile(name, build, config), workers=self.workers)


def _decoder_model(
    checkpoint: Checkpoint, *, vocabulary: Vocabulary, embedding: Embedding, precision: _Precision
) -> DecoderModel:
    c = checkpoint.config
    return DecoderModel(
        embedding=embedding,
        positions=checkpoint.tensor("decoder.embed_positions.weight"),
        # The output projection lives in the graph now.
        vocabulary=replace(vocabulary, weights=np.empty((0, c.d_model), np.float32)),
        layers=c.decoder_layers,
        heads=c.decoder_heads,
        head_size=c.d_model // c.decoder_heads,
        kind=precision.cache_kind if precision.decoder == "bf16" else None,
    )


def _padded(checkpoint: Checkpoint, context: Context) -> int | None:
    """Frames that every window is padded to at least; ``None``: windows keep their length."""
    longest = checkpoint.config.max_source_positions
    if context == "auto":
        return None if checkpoint.config.dynamic_context else longest
    if context == "full":
        return longest
    if isinstance(context, str) or not 0 < context <= longest / FRAMES_PER_SECOND:
        raise InvalidOptionError(
            f"context must be 'auto', 'full' or 1 to {longest // FRAMES_PER_SECOND} seconds, "
            f"not {context!r}"
        )
    return round(context * FRAMES_PER_SECOND)


def _check(compute_type: str, threads: int | None, workers: int) -> None:
    if compute_type not in get_args(ComputeType):
        raise InvalidOptionError(
            f"compute_type must be {', '.join(get_args(ComputeType))}, not {compute_type!r}"
        )
    if workers < 1 or (threads is not None and threads < workers):
        raise InvalidOptionError(
            f"threads ({threads}) must be at least workers ({workers}), and workers at least 1"
        )
