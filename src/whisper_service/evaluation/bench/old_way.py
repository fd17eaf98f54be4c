"""The service as it was described before this one, on our fastest engine.

``np.concatenate`` buffers, one for each of VAD, LID and Whisper; every 100 ms a LID frame of
100 ms padded to 30 s with a full encoder pass of its own; a cache keyed by the hash of the
samples, which on live audio never hits; the features of the whole padded window computed anew for
every chunk. Speech detection, the decoder and its stop rule are ours on both sides, so a ratio
shows the design and not a straw man.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import Engine, Span
from whisper_service.evaluation.bench.micro_cache import old_key
from whisper_service.evaluation.bench.micro_metrics import OldMetrics
from whisper_service.evaluation.bench.workload import LANGUAGES
from whisper_service.events import Committed
from whisper_service.features import log_mel
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.front_end import SpeechDetector
from whisper_service.streaming.session import LanguageSession
from whisper_service.types import FRAME, SAMPLE_RATE, FloatArray, Word, to_samples
from whisper_service.vad.segmenter import SpeechSegmenter
from whisper_service.vad.silero import SpeechProbabilities

LID_FRAME = SAMPLE_RATE // 10
FULL = 30 * SAMPLE_RATE
KEPT = 50  # entries of the old cache
DWELL = 6  # frames of another language until the session restarts
COMMIT_MARGIN = to_samples(0.4)


@dataclass(slots=True)
class OldState:
    """All that changes while the old way runs; buffers hold samples."""

    vad: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    lid: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    whisper: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    speaking: bool = False
    heard: deque[str] = field(default_factory=lambda: deque(maxlen=DWELL))
    language: str = LANGUAGES[0]
    session: LanguageSession | None = None
    hits: int = 0
    lid_frames: int = 0
    chunks: int = 0


class OldWay:
    """Chunks in, committed words out; ``metrics`` knows what LID and everything took."""

    def __init__(self, engine: Engine, detector: SpeechDetector | None = None) -> None:
        self._languages = [code for code in LANGUAGES if code in engine.languages]
        self._columns = [engine.languages.index(code) for code in self._languages]
        self.state = OldState(language=self._languages[0])
        self.metrics = OldMetrics()
        self._engine = engine
        self._detector = detector or SpeechProbabilities()
        self._segmenter = SpeechSegmenter()
        self._cache: OrderedDict[str, Any] = OrderedDict()

    def feed(self, chunk: FloatArray) -> list[Committed]:
        """Take in ``chunk`` (float32 mono at 16 kHz) and return what it committed."""
        with self.metrics.measure("total"):
            state = self.state
            state.vad = np.concatenate((state.vad, chunk))[-FULL:]
            ended = self._detect(chunk)
            if not (state.speaking or ended):
                return []
            state.chunks += 1
            state.lid = np.concatenate((state.lid, chunk))
            state.whisper = np.concatenate((state.whisper, chunk))[-FULL:]
            with self.metrics.measure("lid.total"):
                self._follow_language()
            words = self._decode(final=ended)
            if ended:
                state.whisper, state.session = np.empty(0, np.float32), None
        return [Committed(words=tuple(words), language=state.language)] if words else []

    def _detect(self, chunk: FloatArray) -> bool:
        """Whether speech ended in this chunk."""
        was = self.state.speaking
        self._segmenter.feed(self._detector.feed(chunk))
        self.state.speaking = self._segmenter.speaking
        return was and not self.state.speaking

    def _follow_language(self) -> None:
        state = self.state
        while len(state.lid) >= LID_FRAME:
            frame, state.lid = state.lid[:LID_FRAME], state.lid[LID_FRAME:].copy()
            state.heard.append(self._language_of(frame))
            others = [code for code in state.heard if code != state.language]
            if len(others) == DWELL and len(set(others)) == 1:
                state.language, state.session = others[0], None
                state.whisper = state.whisper[-LID_FRAME * DWELL :]

    def _language_of(self, frame: FloatArray) -> str:
        self.state.lid_frames += 1
        key = old_key(frame)
        if key in self._cache:
            self.state.hits += 1
            encoded = self._cache[key]
        else:
            encoded = self._encode(frame)
            self._cache[key] = encoded
            if len(self._cache) > KEPT:
                self._cache.popitem(last=False)
        spans = [Span(encoded, 0, encoded.frames)]
        probabilities = self._engine.language_probabilities(spans)[0, self._columns]
        return self._languages[int(np.argmax(probabilities))]

    def _encode(self, samples: FloatArray) -> Any:
        padded = np.pad(samples, (0, FULL - len(samples)))
        mel = log_mel(padded, self._engine.n_mels)[:, : FULL // 160]
        return self._engine.encode([mel])[0]

    def _decode(self, *, final: bool) -> list[Word]:
        state = self.state
        end = len(state.whisper) // FRAME * FRAME
        if end < FRAME:
            return []
        if state.session is None:
            state.session = LanguageSession(
                engine=self._engine,
                options=DecodeOptions(),
                metrics=PerformanceMetrics(enabled=False),
                language=state.language,
                start=0,
            )
        window = Window(0, end, self._encode(state.whisper[:end]))
        proposal = state.session.propose(window, final=final, until=end)
        return state.session.accept(proposal, frontier=end - COMMIT_MARGIN, final=final)
