"""The engine in float32 against what ``transformers`` made of the same checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from goldens import NAMES, Case, error, projection, read_golden, request_options
from whisper_service.engine.base import DecodeRequest, Hypothesis, Span
from whisper_service.engine.openvino import OpenVinoEngine

TOLERANCE = 1e-4  # of the largest value of a tensor

EngineOf = Callable[..., OpenVinoEngine]


@pytest.mark.parametrize("model", NAMES)
def test_encoder(model: str, engine_of: EngineOf) -> None:
    engine = engine_of(model)
    for case in read_golden(model)[1]:
        (encoded,) = engine.encode([case.mel])
        assert encoded.frames == case.frames
        assert error(encoded.states[case["chosen"]], case["states"]) < TOLERANCE, case.name
        projected = encoded.states.astype(np.float64) @ projection(encoded.states.shape[1])
        assert error(projected, case["projected"]) < TOLERANCE, case.name


@pytest.mark.parametrize("model", NAMES)
def test_language_head(model: str, engine_of: EngineOf) -> None:
    engine, (_, cases) = engine_of(model), read_golden(model)
    encoded = engine.encode([case.mel for case in cases])
    spans = [
        Span(one, start, end)
        for one, case in zip(encoded, cases, strict=True)
        for start, end in case.spans
    ]
    expected = [case[f"languages{index}"] for case in cases for index in range(len(case.spans))]
    assert error(engine.language_probabilities(spans), np.stack(expected)) < TOLERANCE


@pytest.mark.parametrize("model", NAMES)
def test_greedy_decoding(model: str, engine_of: EngineOf) -> None:
    engine, (_, cases) = engine_of(model), read_golden(model)
    encoded = engine.encode([case.mel for case in cases])
    pairs = [(one, case) for one, case in zip(encoded, cases, strict=True)]
    requests = [
        DecodeRequest(encoded=one, **request_options(decode))
        for one, case in pairs
        for decode in case.decodes
    ]
    expected = [(case, decode) for _, case in pairs for decode in case.decodes]
    for hypothesis, (case, decode) in zip(engine.decode(requests), expected, strict=True):
        _compare(case, decode, hypothesis)


def _compare(case: Case, decode: dict[str, Any], result: Hypothesis) -> None:
    where = decode["key"]
    assert list(result.tokens) == decode["tokens"], where
    assert result.stopped == decode["stopped"], where
    assert error(result.logprobs, case.of(decode, "logprobs"), scale=1) < TOLERANCE, where
    if result.stopped == "end":
        end = case.of(decode, "end")[-1:]
        assert error([result.end_logprob], end, scale=1) < TOLERANCE, where
    assert abs(np.log(result.no_speech_prob / decode["no_speech"])) < 1e-3, where
    attention = case.attention(decode)
    if len(attention):
        start, end = decode["span"] or (0, case.frames)
        ours = result.attention[: len(attention), start:end]
        assert error(ours, attention[:, : end - start], scale=0.1) < TOLERANCE, where
        assert not result.attention[:, :start].any(), where
        assert not result.attention[:, end:].any(), where
        _same_frames(result.frames, decode, case)


def _same_frames(frames: tuple[int, ...], decode: dict[str, Any], case: Case) -> None:
    """Frames count from the window's start; positions in the padding count as the last frame."""
    offset = decode["span"][0] if decode["span"] else 0
    expected = [min(frame + offset, case.frames - 1) for frame in decode["frames"]]
    assert list(frames) == expected, decode["key"]
