"""Greedy and beam search over a batch of decoder rows, and the rules that end a decode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from whisper_service.engine.base import DecodeRequest, Hypothesis, StopReason
from whisper_service.engine.graph_vocabulary import FIRST, NO_END, TIMESTAMPS
from whisper_service.engine.openvino_batch import Batch, DecoderModel, RowInput, Step
from whisper_service.engine.openvino_runtime import Session
from whisper_service.types import FloatArray

LONGEST_PERIOD = 32  # tokens of a phrase whose repetition is recognised
LOOP_REPEATS, LOOP_TOKENS = 4, 12  # a phrase said 4 times over at least 12 tokens is a loop


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible next token of a row."""

    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Special:
    """Token ids that end or structure a decode."""

    end: int
    timestamps: int  # first timestamp


class Continuation:
    """What one row has produced so far, and whether it is done.

    All produced tokens are fed back; only text tokens are part of the result. A request that does
    not allow an end is a fixed workload: a loop does not end it either.
    """

    def __init__(self, request: DecodeRequest, special: Special) -> None:
        self.request, self._special = request, special
        self.sequence: list[int] = []
        self.score = 0.0  # sum of log-probabilities, that of the end included once it is reached
        self.stopped: StopReason | None = None
        self.end_logprob = 0.0
        self._text: list[tuple[int, float, int, FloatArray]] = []
        self._runs = [0] * LONGEST_PERIOD

    def copy(self) -> Continuation:
        other = Continuation(self.request, self._special)
        other.__dict__.update(
            self.__dict__,
            sequence=self.sequence.copy(),
            _text=self._text.copy(),
            _runs=self._runs.copy(),
        )
        return other

    @property
    def rule(self) -> int:
        """Number of the vocabulary rule for the next token."""
        request = self.request
        first = not self.sequence and not request.prefix
        return TIMESTAMPS * request.timestamps + FIRST * first + NO_END * (not request.allow_end)

    @property
    def mean_logprob(self) -> float:
        """Length-normalised score of beam search."""
        return self.score / max(1, len(self.sequence) + (self.stopped == "end"))

    def offer(self, candidate: Candidate, end_logprob: float, attention: FloatArray) -> None:
        """Take the next token, unless it ends the decode; sets ``stopped`` when it does.

        ``attention [context]`` is that of the position which predicts the token: its maximum is
        where the token is spoken (AlignAtt, arXiv 2305.11408).
        """
        self.end_logprob = end_logprob
        if self.exhausted:
            self.stopped = "budget"
        elif candidate.token == self._special.end:
            self.stopped = "end"
            self.score += candidate.logprob
        elif candidate.token >= self._special.timestamps:
            self._append(candidate)
        else:
            self._offer_text(candidate, attention)
        if self.stopped is None and self.exhausted:
            self.stopped = "budget"

    @property
    def exhausted(self) -> bool:
        return len(self.sequence) >= self.request.max_new_tokens

    def _append(self, candidate: Candidate) -> None:
        self.sequence.append(candidate.token)
        self.score += candidate.logprob

    def _offer_text(self, candidate: Candidate, attention: FloatArray) -> None:
        frame, frames = int(attention.argmax()), self.request.encoded.frames
        limit = self.request.stop_frame
        if limit is not None and frame >= limit:
            self.stopped = "attention"
            return
        self._append(candidate)
        entry = candidate.token, candidate.logprob, min(frame, frames - 1), attention[:frames]
        self._text.append(entry)
        if self.request.allow_end and (loop := self._loop()):
            del self._text[-loop:]
            self.stopped = "repetition"

    def _loop(self) -> int:
        """Number of text tokens to drop if the text ends in a loop: all repeats but the first."""
        text, runs = self._text, self._runs
        newest = text[-1][0]
        for period in range(1, min(LONGEST_PERIOD, len(text) - 1) + 1):
            repeated = newest == text[-1 - period][0]
            runs[period - 1] = runs[period - 1] + 1 if repeated else 0
            if runs[period - 1] + period >= max(LOOP_TOKENS, LOOP_REPEATS * period):
                return runs[period - 1]
        return 0

    def hypothesis(self, no_speech_logprob: float) -> Hypothesis:
        frames = self.request.encoded.frames
        rows = [entry[3] for entry in self._text]
        return Hypothesis(
            tokens=tuple(entry[0] for entry in self._text),
            logprobs=tuple(entry[1] for entry in self._text),
            frames=tuple(entry[2] for entry in self._text),
            attention=np.stack(rows) if rows else np.zeros((0, frames), np.float32),
            end_logprob=self.end_logprob,
            no_speech_prob=float(np.exp(no_speech_logprob)),
            stopped=self.stopped or "budget",
        )


@dataclass(frozen=True, slots=True)
class Search:
    """Decodes requests with one infer request of the decoder graph."""

    model: DecoderModel
    special: Special

    def greedy(
        self, session: Session, requests: Sequence[DecodeRequest], rows: Sequence[RowInput]
    ) -> list[Hypothesis]:
        """Best token at each step, for up to eight requests side by side."""
        everyone = [Continuation(request, self.special) for request in requests]
        rows = [replace(row, rule=c.rule) for row, c in zip(rows, everyone, strict=True)]
        batch = Batch(self.model, session, rows, candidates=1)
        step = batch.prefill(rows)
        no_speech = step.no_speech
        alive = everyone
        while alive:
            for i, continuation in enumerate(alive):
                self._advance(continuation, step, i)
            going = [i for i, continuation in enumerate(alive) if continuation.stopped is None]
            if 0 < len(going) < len(alive):
                batch.keep(going)
            alive = [alive[i] for i in going]
            if alive:
                step = batch.step([c.sequence[-1] for c in alive], [c.rule for c in alive])
        return [c.hypothesis(float(no_speech[i])) for i, c in enumerate(everyone)]

    def _advance(self, continuation: Continuation, step: Step, row: int) -> None:
        (best,) = self._candidates(step, row, continuation.rule)
        continuation.offer(best, self._end(step, row, continuation), step.attention[row])

    def _candidates(self, step: Step, row: int, rule: int) -> list[Candidate]:
        tokens = self.model.vocabulary.tokens[rule]
        return [
            Candidate(int(tokens[c]), float(p))
            for c, p in zip(step.classes[row], step.logprobs[row], strict=True)
        ]

    def _end(self, step: Step, row: int, continuation: Continuation) -> float:
        """Log-probability of end-of-text; where it is suppressed, as if it were not."""
        value = float(step.end_logprob[row])
        return value if continuation.request.allow_end else -float(np.logaddexp(0.0, -value))

    def beam(self, session: Session, request: DecodeRequest, row: RowInput) -> Hypothesis:
        """Keep the ``beam_size`` best; the result has the highest mean log-probability.

        Ends when as many hypotheses have ended as there are beams (openai/whisper
        ``BeamSearchDecoder`` with patience 1). All continuations of one beam share the attention
        of the position that predicts them, so AlignAtt ends the beam as a whole.
        """
        size = request.beam_size
        alive = [Continuation(request, self.special)]
        row = replace(row, rule=alive[0].rule)
        batch = Batch(self.model, session, [row], candidates=size + 1)
        step = batch.prefill([row])
        no_speech = float(step.no_speech[0])
        finished: list[Continuation] = []
        expanded = False
        while alive and len(finished) < size:
            alive, parents, ended = self._extend(alive, step, size)
            finished += ended
            if alive and len(finished) < size:
                if not expanded:
                    batch.expand(size)
                    expanded = True
                batch.reorder(parents)
                step = batch.step([c.sequence[-1] for c in alive], [c.rule for c in alive])
        best = max(finished, key=lambda c: c.mean_logprob)
        return best.hypothesis(no_speech)

    def _extend(
        self, alive: Sequence[Continuation], step: Step, size: int
    ) -> tuple[list[Continuation], list[int], list[Continuation]]:
        """One round: the surviving beams, the row each continues, and those that ended."""
        options = [
            (beam.score + candidate.logprob, parent, candidate)
            for parent, beam in enumerate(alive)
            for candidate in self._candidates(step, parent, beam.rule)
        ]
        options.sort(key=lambda option: -option[0])
        kept: list[Continuation] = []
        parents: list[int] = []
        ended: list[Continuation] = []
        stopped: set[int] = set()
        for _, parent, candidate in options:
            if parent in stopped:
                continue
            beam = alive[parent].copy()
            beam.offer(candidate, self._end(step, parent, beam), step.attention[parent])
            if beam.stopped is None:
                kept.append(beam)
                parents.append(parent)
            else:
                ended.append(beam)
            if beam.stopped == "attention":
                stopped.add(parent)
            if len(kept) == size:
                break
        return kept, parents, ended
