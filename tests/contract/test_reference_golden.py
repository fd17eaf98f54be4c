"""The NumPy reference against ``transformers``: a witness that is itself examined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from goldens import NAMES, Case, error, fingerprint, projection, read_golden, request_options
from reference import ReferenceWhisper, Request, greedy

TOLERANCE = 1e-6  # both compute in float64; the files keep float32


@pytest.mark.parametrize("model", NAMES)
def test_the_golden_file_belongs_to_this_checkpoint(
    model: str, reference_of: Callable[[str], ReferenceWhisper]
) -> None:
    meta, _ = read_golden(model)
    assert meta["fingerprint"] == fingerprint(reference_of(model).checkpoint), (
        f"tests/golden/{model}.npz was made of another checkpoint: run scripts/make_golden.py"
    )


@pytest.mark.parametrize("model", NAMES)
def test_encoder_and_language_head(
    model: str, reference_of: Callable[[str], ReferenceWhisper]
) -> None:
    reference = reference_of(model)
    for case in read_golden(model)[1]:
        encoding = reference.encode(case.mel)
        assert encoding.frames == case.frames
        assert error(encoding.states[case["chosen"]], case["states"]) < TOLERANCE, case.name
        projected = encoding.states @ projection(encoding.states.shape[1])
        assert error(projected, case["projected"]) < TOLERANCE, case.name
        for index, span in enumerate(case.spans):
            probabilities = reference.language_probabilities(encoding, span)
            assert error(probabilities, case[f"languages{index}"]) < TOLERANCE, (case.name, span)


@pytest.mark.parametrize("model", NAMES)
def test_greedy_decoding(model: str, reference_of: Callable[[str], ReferenceWhisper]) -> None:
    reference = reference_of(model)
    for case in read_golden(model)[1]:
        encoding = reference.encode(case.mel)
        for decode in case.decodes:
            request = Request(encoding=encoding, **request_options(decode))
            _compare(case, decode, greedy(reference, request, draft=decode["tokens"]))


def _compare(case: Case, decode: dict[str, Any], result: Any) -> None:
    where = decode["key"]
    assert result.tokens == decode["tokens"], where
    assert result.stopped == decode["stopped"], where
    assert error(result.logprobs, case.of(decode, "logprobs")) < TOLERANCE, where
    assert abs(result.end_logprob - case.of(decode, "end")[-1]) < 1e-5, where
    assert abs(result.no_speech_prob / decode["no_speech"] - 1) < 1e-6, where
    sums = [logits @ projection(len(logits)) for logits in result.logits]
    assert error(sums, case.of(decode, "logits")) < TOLERANCE, where
    if decode["tokens"]:
        attention = case.attention(decode)
        start, end = decode["span"] or (0, case.frames)
        ours = result.attention[: len(attention), start:end]
        assert abs(ours - attention[:, : end - start]).max() < 1e-5, where
