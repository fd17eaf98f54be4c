"""Greedy decoding, one full forward pass for each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reference.files import Array, Checkpoint
from reference.model import Encoding, ReferenceWhisper, log_softmax, softmax


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a decode gave, and how clear each of its choices was."""

    tokens: list[int]
    logprobs: list[float]
    frames: list[int]  # padding counts as the last frame of the content
    attention: Array  # [tokens, content frames]
    end_logprob: float  # where decoding stopped
    no_speech_prob: float
    stopped: str
    margin: float  # smallest lead of a chosen token over the next best, in logits
    logits: list[Array] = field(repr=False, default_factory=list)  # before masks, one per step


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to decode; names as in the engine's protocol."""

    encoding: Encoding
    language: str
    task: str = "transcribe"
    prompt: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    span: tuple[int, int] | None = None
    stop_frame: int | None = None
    max_new_tokens: int = 224
    timestamps: bool = False
    allow_end: bool = True


def greedy(model: ReferenceWhisper, request: Request, *, draft: Sequence[int] = ()) -> Decoded:
    """Take the likeliest token until the end, the attention's stop or the budget.

    ``draft`` is a guess of the result. It saves forward passes as far as it is right and never
    changes what comes out.
    """
    taken: list[_Step] = []
    guess = list(draft)
    while True:
        steps = _steps(model, request, [*(step.token for step in taken), *guess])
        for step in steps[len(taken) :]:
            stopped = _why_stop(model, request, step=step, position=len(taken))
            if stopped:
                return _decoded(model, request, steps=[*taken, step], stopped=stopped)
            taken.append(step)
            if not guess or guess.pop(0) != step.token:
                guess = []
                break


def _decoded(
    model: ReferenceWhisper, request: Request, *, steps: list[_Step], stopped: str
) -> Decoded:
    *taken, last = steps
    frames = request.encoding.frames
    return Decoded(
        tokens=[step.token for step in taken],
        logprobs=[float(step.distribution[step.token]) for step in taken],
        frames=[min(int(step.row.argmax()), frames - 1) for step in taken],
        attention=np.array([step.row[:frames] for step in taken]).reshape(-1, frames),
        end_logprob=float(last.distribution[model.checkpoint.end]),
        no_speech_prob=last.no_speech_prob,
        stopped=stopped,
        margin=min(step.margin for step in steps),
        logits=[step.logits for step in steps],
    )


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What the network says after some tokens."""

    token: int
    logits: Array  # before masks
    distribution: Array  # log-probabilities under the masks
    margin: float
    row: Array  # attention over every position of the encoding
    no_speech_prob: float


def _steps(model: ReferenceWhisper, request: Request, tokens: list[int]) -> list[_Step]:
    """The choices before each of ``tokens`` and after the last, from one forward pass."""
    start = start_tokens(model.checkpoint, request)
    logits, crossed = model.logits([*start, *tokens], request.encoding, request.span)
    no_speech = _no_speech(model.checkpoint, start, logits)
    steps = []
    for position in range(len(tokens) + 1):
        index = len(start) - 1 + position
        scores = masked(model.checkpoint, logits[index], request, step=position)
        best, second = np.sort(scores)[[-1, -2]]
        steps.append(
            _Step(
                token=int(scores.argmax()),
                logits=logits[index],
                distribution=log_softmax(scores),
                margin=float(best - second),
                row=_row(model.checkpoint, crossed[:, :, index], request),
                no_speech_prob=no_speech,
            )
        )
    return steps


def _why_stop(
    model: ReferenceWhisper, request: Request, *, step: _Step, position: int
) -> str | None:
    if position == request.max_new_tokens:
        return "budget"
    if step.token == model.checkpoint.end:
        return "end"
    if request.stop_frame is not None and step.row.argmax() >= request.stop_frame:
        return "attention"
    return None


def sequence_logprob(model: ReferenceWhisper, request: Request, tokens: list[int]) -> list[float]:
    """Log-probability of each token of a given continuation, end-of-text after it included."""
    start = start_tokens(model.checkpoint, request)
    logits, _ = model.logits([*start, *tokens], request.encoding, request.span)
    wanted = [*tokens, model.checkpoint.end]
    steps = enumerate(zip(logits[len(start) - 1 :], wanted, strict=True))
    return [
        float(log_softmax(masked(model.checkpoint, row, request, step=step))[token])
        for step, (row, token) in steps
    ]


def start_tokens(checkpoint: Checkpoint, request: Request) -> list[int]:
    """``[startofprev, *prompt] startoftranscript, language, task, (notimestamps,) *prefix``."""
    tokens = [checkpoint.token("startofprev"), *request.prompt] if request.prompt else []
    tokens.append(checkpoint.token("startoftranscript"))
    if checkpoint.multilingual:
        tokens += [checkpoint.languages[request.language], checkpoint.token(request.task)]
    if not request.timestamps:
        tokens.append(checkpoint.token("notimestamps"))
    return [*tokens, *request.prefix]


def masked(checkpoint: Checkpoint, logits: Array, request: Request, *, step: int) -> Array:
    """Logits with everything banned at -inf.

    Banned: the checkpoint's own list, at the first token of a decode without prefix also its
    list for beginnings, special tokens, and end-of-text only where the request forbids it.
    """
    out = logits.copy()
    out[checkpoint.suppressed(first=step == 0 and not request.prefix)] = -np.inf
    out[checkpoint.special(timestamps=request.timestamps)] = -np.inf
    if not request.allow_end:
        out[checkpoint.end] = -np.inf
    return out


def _no_speech(checkpoint: Checkpoint, start: list[int], logits: Array) -> float:
    """Share of no-speech in the whole vocabulary after ``<|startoftranscript|>``."""
    first = start.index(checkpoint.token("startoftranscript"))
    return float(softmax(logits[first])[checkpoint.token("nospeech", "nocaptions")])


def _row(checkpoint: Checkpoint, weights: Array, request: Request) -> Array:
    """Mean of the alignment heads over every position of the encoding, 0 outside the span."""
    mean = np.mean([weights[layer, head] for layer, head in checkpoint.alignment_heads], axis=0)
    row = np.zeros(len(request.encoding.states))
    row[slice(*request.span) if request.span else slice(None)] = mean
    return row
