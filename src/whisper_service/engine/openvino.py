"""The OpenVINO engine: Whisper on a CPU behind :class:`whisper_service.engine.base.Engine`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from whisper_service.engine.base import (
    DecodeRequest,
    Encoded,
    Hypothesis,
    Mel,
    Span,
    Tokenizer,
    check_span,
)
from whisper_service.engine.graph import MASKED
from whisper_service.engine.openvino_batch import PREFIX_LENGTHS, DecoderModel, RowInput
from whisper_service.engine.openvino_encoder import (
    BATCHES,
    FRAMES_PER_SECOND,
    OpenVinoEncoded,
    Windows,
    fit,
    padded_states,
)
from whisper_service.engine.openvino_graph import Graph
from whisper_service.engine.openvino_runtime import release_free_memory
from whisper_service.engine.openvino_search import Search, Special
from whisper_service.errors import InvalidOptionError
from whisper_service.models.checkpoint import Checkpoint
from whisper_service.types import FloatArray, Task

MAX_BATCH = BATCHES[-1]


@dataclass(frozen=True, slots=True)
class Graphs:
    """The compiled graphs of one checkpoint."""

    encoder: Graph
    cross_attention: Graph
    decoder: Graph
    language_head: Graph | None  # None: English-only

    def all(self) -> Iterable[Graph]:
        graphs = (self.encoder, self.cross_attention, self.decoder, self.language_head)
        return (graph for graph in graphs if graph is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine was loaded as."""

    name: str
    compute_type: str
    threads: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes an engine holds for weights, as the compiled graphs keep them."""

    encoder: int
    decoder: int  # with cross-attention and the output projection
    language_head: int  # always float32
    embeddings: int  # of tokens and positions, on the NumPy side

    @property
    def graphs(self) -> int:
        return self.encoder + self.decoder + self.language_head

    @property
    def total(self) -> int:
        return self.graphs + self.embeddings


class OpenVinoEngine:
    """A loaded model (``engine.base.Engine``); make one with ``engine.load.load_engine``.

    Thread-safe: each call borrows one of ``workers`` infer requests per graph.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        graphs: Graphs,
        *,
        info: EngineInfo,
        decoder: DecoderModel,
        windows: Windows,
        tokenizer: Tokenizer,
    ) -> None:
        self._checkpoint, self._graphs, self._info = checkpoint, graphs, info
        self._windows, self._decoder, self._tokenizer = windows, decoder, tokenizer
        special = checkpoint.generation
        self._search = Search(decoder, Special(special.eot, special.timestamp_begin))

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._checkpoint.generation.languages) or ("en",)

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self._checkpoint.generation.tasks

    @property
    def longest_window(self) -> float:
        return self._checkpoint.config.longest_window

    @property
    def dynamic_context(self) -> bool:
        """Whether windows keep their real length here (``context='full'`` switches it off)."""
        return self._windows.padded is None

    @property
    def n_mels(self) -> int:
        return self._checkpoint.config.n_mels

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    @property
    def compute_type(self) -> str:
        """``float32``, ``bfloat16``, ``int8`` or ``int8_bfloat16``; never ``auto``."""
        return self._info.compute_type

    @property
    def threads(self) -> int:
        return self._info.threads

    @property
    def memory(self) -> Memory:
        """Bytes of weights after compiling."""
        graphs, decoder = self._graphs, self._decoder
        head = graphs.language_head
        return Memory(
            encoder=graphs.encoder.weight_bytes,
            decoder=graphs.decoder.weight_bytes + graphs.cross_attention.weight_bytes,
            language_head=head.weight_bytes if head else 0,
            embeddings=decoder.embedding.nbytes
            + decoder.positions.nbytes
            + self._windows.positions.nbytes,
        )

    def encode(self, mels: Sequence[Mel]) -> list[Encoded]:
        """Encode windows of any lengths up to 30 s; raises ``InvalidAudioError`` for others."""
        return list(self._windows.encode(mels))

    def language_probabilities(self, spans: Sequence[Span]) -> FloatArray:
        """Probabilities ``[spans, languages]`` of the audio in each span."""
        for span in spans:
            check_span(span.encoded, (span.start, span.end))
        head = self._graphs.language_head
        if head is None:
            return np.ones((len(spans), 1), np.float32)
        result = np.empty((len(spans), len(self.languages)), np.float32)
        order = sorted(range(len(spans)), key=lambda i: spans[i].end - spans[i].start)
        for first in range(0, len(spans), MAX_BATCH):
            chosen = order[first : first + MAX_BATCH]
            result[chosen] = self._language_batch(head, [spans[i] for i in chosen])
        return result

    def _language_batch(self, head: Graph, spans: Sequence[Span]) -> FloatArray:
        """One call: reading the head's weights costs more than rows of padding."""
        size = fit(len(spans), BATCHES)
        longest = fit(max(s.end - s.start for s in spans), self._windows.grid)
        states = np.zeros((size, longest, self._checkpoint.config.d_model), np.float32)
        mask = np.full((size, 1, longest), MASKED, np.float32)
        for row, span in enumerate(spans):
            length = span.end - span.start
            states[row, :length] = cast(OpenVinoEncoded, span.encoded).states[span.start : span.end]
            mask[row, :, :length] = 0
        return head.run({"states": states, "mask": mask})[0][: len(spans)]

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode each request as if it were alone; beam searches run one after the other.

        Raises ``InvalidOptionError`` before any decoding for a language, task, span or beam size
        that cannot work, and for tokens that do not fit into the decoder's positions.
        """
        rows = [self._row(request) for request in requests]
        results: dict[int, Hypothesis] = {}
        greedy = [i for i, request in enumerate(requests) if request.beam_size == 1]
        greedy.sort(key=lambda i: (rows[i].encoded.context, len(rows[i].tokens)))
        with self._graphs.decoder.session() as session:
            for first in range(0, len(greedy), MAX_BATCH):
                chosen = greedy[first : first + MAX_BATCH]
                hypotheses = self._search.greedy(
                    session, [requests[i] for i in chosen], [rows[i] for i in chosen]
                )
                results.update(zip(chosen, hypotheses, strict=True))
            for i, request in enumerate(requests):
                if request.beam_size > 1:
                    results[i] = self._search.beam(session, request, rows[i])
        return [results[i] for i in range(len(requests))]

    def warm_up(
        self,
        progress: Callable[[float], None] | None = None,
        *,
        max_seconds: float = 10.0,
        max_batch: int = 1,
        max_prefix: int = 32,
    ) -> None:
        """Run every shape that windows up to ``max_seconds`` in batches up to ``max_batch`` need.

        The CPU plugin prepares each new shape once (5-30 ms); after this no update pays for it.
        ``max_prefix`` is the longest decoder input in tokens that will occur, special tokens
        included. ``progress`` is told the fraction done. Memory that only loading and preparing
        needed is given back to the system.
        """
        longest = max(round(max_seconds * FRAMES_PER_SECOND), self._windows.padded or 0)
        sizes = [size for size in BATCHES if size <= max_batch]
        jobs = [
            *(partial(self._warm_windows, n, sizes) for n in self._windows.lengths_up_to(longest)),
            partial(self._warm_languages, FRAMES_PER_SECOND),
            *(
                partial(self._warm_decoder, frames, tokens, size)
                for frames in self._windows.decoder_lengths_up_to(longest)
                for tokens in PREFIX_LENGTHS[1:]
                if tokens <= fit(max_prefix, PREFIX_LENGTHS)
                for size in sizes
            ),
            *(partial(self._warm_cache, longest, size) for size in sizes),
        ]
        for done, job in enumerate(jobs, 1):
            job()
            if progress is not None:
                progress(done / len(jobs))
        for compiled in self._graphs.all():
            compiled.release_pages()
        release_free_memory()

    def _warm_windows(self, frames: int, sizes: Sequence[int]) -> None:
        mel = np.zeros((self.n_mels, 2 * frames), np.float32)
        for size in sizes[:1] if self._windows.full else sizes:
            encoded = self.encode([mel] * size)
        self.language_probabilities([Span(encoded[0], 0, frames)])

    def _warm_languages(self, frames: int) -> None:
        """All batches of the one-second spans of language identification."""
        states = np.zeros((frames, self._checkpoint.config.d_model), np.float32)
        encoded = OpenVinoEncoded(frames, states, frames)
        for size in BATCHES:
            self.language_probabilities([Span(encoded, 0, frames)] * size)

    def _warm_cache(self, longest: int, size: int) -> None:
        """Steps over the second length of the cache: one beyond what fits into the first."""
        prefix = PREFIX_LENGTHS[-2]
        steps = self._decoder.cache_grid[0] - prefix + 2
        frames = self._windows.decoder_lengths_up_to(longest)[0]
        self._warm_decoder(frames, prefix, size, new_tokens=steps)

    def _warm_decoder(self, frames: int, tokens: int, size: int, *, new_tokens: int = 2) -> None:
        states = np.zeros((frames, self._checkpoint.config.d_model), np.float32)
        request = DecodeRequest(
            encoded=OpenVinoEncoded(frames, states, frames),
            language=self.languages[0],
            task=self.tasks[0],
            prefix=(0,) * max(0, tokens - 4),
            max_new_tokens=new_tokens,
            allow_end=False,
        )
        self.decode([request] * size)

    def _row(self, request: DecodeRequest) -> RowInput:
        """Check a request and lay out its tokens; fills the encoding's cross-attention."""
        encoded = cast(OpenVinoEncoded, request.encoded)
        generation = self._checkpoint.generation
        self._check(request)
        tokens = [generation.sot_prev, *request.prompt] if request.prompt else []
        start = len(tokens)
        tokens.append(generation.sot)
        if generation.languages:
            tokens.append(generation.languages[request.language])
            translate = request.task == "translate" and generation.translate is not None
            tokens.append(cast(int, generation.translate) if translate else generation.transcribe)
        if not request.timestamps:
            tokens.append(generation.no_timestamps)
        tokens += request.prefix
        longest = len(self._decoder.positions)
        if len(tokens) + request.max_new_tokens > longest:
            raise InvalidOptionError(
                f"prompt, prefix and max_new_tokens need {len(tokens) + request.max_new_tokens} "
                f"positions with the special tokens, the decoder has {longest}; shorten the prompt"
            )
        self._fill_cross(encoded)
        return RowInput(encoded, request.span or (0, encoded.attended), tokens, start, 0)

    def _check(self, request: DecodeRequest) -> None:
        if request.language not in self.languages:
            raise InvalidOptionError(
                f"{self.name} does not know the language {request.language!r}; "
                f"it knows {', '.join(self.languages)}"
            )
        if request.task not in self.tasks:
            raise InvalidOptionError(
                f"{self.name} cannot {request.task}; it was trained to {' and '.join(self.tasks)}"
            )
        if not 1 <= request.beam_size <= MAX_BATCH:
            raise InvalidOptionError(f"beam_size must be 1 to {MAX_BATCH}, not {request.beam_size}")
        if request.max_new_tokens < 0:
            raise InvalidOptionError("max_new_tokens must not be negative")
        size = self._checkpoint.config.vocab_size
        if any(not 0 <= token < size for token in (*request.prompt, *request.prefix)):
            raise InvalidOptionError(
                f"prompt and prefix must be token ids below {size}; encode text with the tokenizer"
            )
        if request.span is not None:
            check_span(request.encoded, request.span)

    def _fill_cross(self, encoded: OpenVinoEncoded) -> None:
        with encoded.lock:
            if encoded.cross is None:
                cross = self._decoder.cross(encoded.context)
                self._graphs.cross_attention.fill(
                    {"states": padded_states(encoded)}, cross, self._decoder.kind
                )
                encoded.cross = cross
