"""The engine in float32 against the NumPy reference: any length, any request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from checkpoints import LAYOUTS, REAL_SIZES, random_mel
from goldens import Floats, clip, error
from reference import Decoded, ReferenceWhisper, Request, greedy, sequence_logprob
from whisper_service.engine.base import DecodeRequest, Hypothesis, Span
from whisper_service.engine.load import load_engine
from whisper_service.engine.openvino import OpenVinoEngine

TOLERANCE = 1e-4  # of the largest value of a tensor
LEAST_MARGIN = 1e-3  # logits; a choice closer than this may turn with rounding

GRID = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30)  # seconds on which graphs are prepared
BETWEEN = (0.02, 0.3, 1.3, 2.5, 5.0, 7.7, 12.34, 17.0, 25.0, 29.98)  # seconds
EDGES = (79, 80, 81, 127, 128, 129)  # encoder frames around multiples of SIMD widths
ODD = (1, 3, 99, 101, 157, 801)  # mel frames: the last encoder frame is half filled

EngineOf = Callable[..., OpenVinoEngine]
ReferenceOf = Callable[[str], ReferenceWhisper]


def window(model: str, mel_frames: int, seed: int | None = None) -> Floats:
    """Random features for a model, the same for the same arguments."""
    layout = (LAYOUTS | REAL_SIZES)[model]
    return random_mel(layout.n_mels, mel_frames, seed=mel_frames if seed is None else seed)


@pytest.mark.parametrize(
    "mel_frames",
    sorted({*(s * 100 for s in GRID), *(round(s * 100) for s in BETWEEN), *(2 * f for f in EDGES)}),
)
def test_contexts_on_and_off_the_grid(
    mel_frames: int, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    mel = window("dynamic", mel_frames)
    (encoded,) = engine_of("dynamic").encode([mel])
    expected = reference_of("dynamic").encode(mel)
    assert encoded.frames == expected.frames
    assert error(encoded.states, expected.states) < TOLERANCE


@pytest.mark.parametrize("mel_frames", ODD)
def test_an_odd_number_of_mel_frames_is_not_filled_with_silence(
    mel_frames: int, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    mel = window("v3", mel_frames)
    (encoded,) = engine_of("v3").encode([mel])
    assert encoded.frames == (mel_frames + 1) // 2
    assert error(encoded.states, reference_of("v3").encode(mel).states) < TOLERANCE


@pytest.mark.parametrize("mel_frames", [1, 158, 257, 1499])
def test_stock_checkpoints_see_silence_up_to_thirty_seconds(
    mel_frames: int, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    mel = window("stock", mel_frames)
    (encoded,) = engine_of("stock").encode([mel])
    assert encoded.frames == (mel_frames + 1) // 2
    assert encoded.states.shape[0] == 1500
    assert error(encoded.states, reference_of("stock").encode(mel).states) < TOLERANCE


@pytest.mark.parametrize("level", [-0.3, 0.9])
def test_the_level_of_that_silence_follows_the_loudest_value_but_has_a_floor(
    level: float, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    mel = np.full((80, 120), -1.0, np.float32)
    mel[10:20, 30:60] = level
    (encoded,) = engine_of("stock").encode([mel])
    assert error(encoded.states, reference_of("stock").encode(mel).states) < TOLERANCE


@pytest.mark.parametrize("model", ["dynamic", "stock"])
def test_a_batch_of_unequal_windows_gives_each_its_solo_result(
    model: str, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    engine = engine_of(model)
    lengths = (300, 41, 100, 257, 2, 160, 1000, 158, 99, 260, 6)[: 5 if model == "stock" else None]
    mels = [window(model, frames) for frames in lengths]
    together = engine.encode(mels)
    for mel, encoded in zip(mels, together, strict=True):
        (alone,) = engine.encode([mel])
        assert encoded.frames == alone.frames
        assert error(encoded.states, alone.states) < TOLERANCE, mel.shape
        assert error(encoded.states, reference_of(model).encode(mel).states) < TOLERANCE, mel.shape


def test_encoding_leaves_its_input_alone(engine_of: EngineOf) -> None:
    mel = window("dynamic", 100)
    before = mel.copy()
    first = engine_of("dynamic").encode([mel])[0].states.copy()
    mel += 1
    engine_of("dynamic").encode([mel, mel])
    assert np.array_equal(mel - 1, before) or error(mel - 1, before) < 1e-6
    assert error(engine_of("dynamic").encode([before])[0].states, first) == 0


@pytest.mark.parametrize("model", ["dynamic", "v3", "stock", "turbo", "51866"])
def test_language_head_equals_a_full_decoder_step(
    model: str, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    engine, reference = engine_of(model), reference_of(model)
    mels = [window(model, frames) for frames in (100, 254, 500)]
    encoded, expected = engine.encode(mels), [reference.encode(mel) for mel in mels]
    cuts = [(0, 0, 50), (0, 49, 50), (1, 3, 90), (2, 100, 150), (2, 0, 250), (1, 0, 127), (2, 7, 8)]
    probabilities = engine.language_probabilities([Span(encoded[i], a, b) for i, a, b in cuts])
    assert probabilities.shape == (len(cuts), len(engine.languages))
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    for row, (i, a, b) in zip(probabilities, cuts, strict=True):
        assert error(row, reference.language_probabilities(expected[i], (a, b))) < TOLERANCE, (a, b)


def both(
    engine: OpenVinoEngine, reference: ReferenceWhisper, asked: list[tuple[Floats, dict[str, Any]]]
) -> list[tuple[Hypothesis, Decoded]]:
    """Decode the same requests in one call of the engine and one by one in the reference."""
    encoded = engine.encode([mel for mel, _ in asked])
    requests = [
        DecodeRequest(encoded=one, **options)
        for one, (_, options) in zip(encoded, asked, strict=True)
    ]
    pairs = []
    for hypothesis, (mel, options) in zip(engine.decode(requests), asked, strict=True):
        request = Request(encoding=reference.encode(mel), **options)
        pairs.append((hypothesis, greedy(reference, request, draft=hypothesis.tokens)))
    return pairs


def check_same(hypothesis: Hypothesis, expected: Decoded, what: object) -> None:
    """Compare everything a decode tells."""
    assert expected.margin > LEAST_MARGIN, f"{what} is decided by rounding; change the seed"
    assert list(hypothesis.tokens) == expected.tokens, what
    assert hypothesis.stopped == expected.stopped, what
    assert error(hypothesis.logprobs, expected.logprobs, scale=1) < TOLERANCE, what
    assert hypothesis.attention.dtype == np.float32
    assert error(hypothesis.attention, expected.attention) < TOLERANCE, what
    assert abs(np.log(hypothesis.no_speech_prob / expected.no_speech_prob)) < 1e-3, what
    if hypothesis.stopped in ("end", "attention"):
        ends = [hypothesis.end_logprob], [expected.end_logprob]
        assert error(*ends, scale=1) < TOLERANCE, what
    found = zip(hypothesis.frames, expected.frames, expected.attention, strict=True)
    for frame, wanted, row in found:
        assert frame == wanted or abs(row[frame] / row[wanted] - 1) < TOLERANCE, what


REQUESTS: list[tuple[int, dict[str, Any]]] = [
    (100, {"max_new_tokens": 30}),
    (41, {"max_new_tokens": 30, "language": "zh"}),
    (300, {"max_new_tokens": 0}),
    (160, {"max_new_tokens": 1, "prefix": (70, 71)}),
    (254, {"max_new_tokens": 6, "prompt": tuple(range(40, 75))}),
    (500, {"max_new_tokens": 12, "prompt": (45,), "prefix": (60, 61, 62)}),
    (157, {"max_new_tokens": 12, "prefix": tuple(range(40, 52)), "task": "translate"}),
    (500, {"max_new_tokens": 9, "span": (100, 163)}),
    (256, {"max_new_tokens": 9, "span": (127, 128), "language": "fr", "prefix": (80,)}),
    (258, {"max_new_tokens": 7, "allow_end": False, "language": "ja"}),
    (80, {"max_new_tokens": 40, "allow_end": False, "prompt": (40,) * 45}),
    (60, {"max_new_tokens": 20, "allow_end": False, "prompt": (41, 42) * 56, "prefix": (43,) * 9}),
    (98, {"max_new_tokens": 30, "allow_end": False, "prompt": (44,) * 200, "prefix": (45,) * 40}),
    (100, {"max_new_tokens": 10, "allow_end": False, "prompt": (46,) * 300, "prefix": (47,) * 133}),
]  # mel frames of the window, and the request


@pytest.mark.parametrize(("context", "mel_frames"), [("full", 160), (4.0, 150), (4.0, 501)])
def test_a_context_can_be_asked_for(
    context: float | Literal["full"],
    mel_frames: int,
    checkpoint_of: Callable[[str], Path],
    reference_of: ReferenceOf,
) -> None:
    engine = load_engine(
        checkpoint_of("dynamic"), compute_type="float32", context=context, cache=False
    )
    assert not engine.dynamic_context
    mel = window("dynamic", mel_frames)
    other, encoded = engine.encode([window("dynamic", 90), mel])
    assert other.frames == 45
    seconds = 30 if context == "full" else next(s for s in GRID if s * 100 >= max(400, mel_frames))
    expected = reference_of("dynamic").encode(mel, least_frames=seconds * 100)
    assert encoded.frames == expected.frames
    assert error(encoded.states, expected.states) < TOLERANCE


@pytest.mark.parametrize("model", ["dynamic", "v3", "stock"])
def test_a_batch_of_different_requests_decodes_as_the_reference(
    model: str, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    asked = [(window(model, frames), {"language": "en"} | options) for frames, options in REQUESTS]
    for (_, options), pair in zip(
        asked, both(engine_of(model), reference_of(model), asked), strict=True
    ):
        check_same(*pair, options)


def test_the_demo_model_decodes_speech_as_the_reference(
    engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    asked = [
        (clip(language), {"language": language, "span": span})
        for language in ("en", "es", "fr", "de", "zh")
        for span in (None, (0, clip(language).shape[1] // 4))
    ]
    pairs = both(engine_of("demo"), reference_of("demo"), asked)
    clear = [i for i, (_, expected) in enumerate(pairs) if expected.margin > LEAST_MARGIN]
    assert len(clear) > len(pairs) // 2, "rounding decides few of a trained model's tokens"
    for i in clear:
        found, expected = pairs[i]
        if found.stopped == "repetition":  # the reference goes on until it has no room
            assert list(found.tokens) == expected.tokens[: len(found.tokens)]
        else:
            check_same(found, expected, asked[i][1])
    assert all(hypothesis.tokens for hypothesis, _ in pairs[::2]), "speech gives text"


def test_decoding_with_timestamps_gives_the_text_between_them(
    engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    reference = reference_of("dynamic")
    options = {"language": "en", "timestamps": True, "max_new_tokens": 16}
    asked = [(window("dynamic", frames), options) for frames in (100, 302)]
    for hypothesis, expected in both(engine_of("dynamic"), reference, asked):
        first = reference.checkpoint.first_timestamp
        text = [i for i, token in enumerate(expected.tokens) if token < first]
        assert len(text) < len(expected.tokens), "the model writes timestamps"
        assert list(hypothesis.tokens) == [expected.tokens[i] for i in text]
        logprobs = [expected.logprobs[i] for i in text]
        assert error(hypothesis.logprobs, logprobs, scale=1) < TOLERANCE
        assert error(hypothesis.attention, expected.attention[text]) < TOLERANCE


@pytest.mark.parametrize("model", ["dynamic", "stock", "demo"])
def test_stop_frame_stops_before_the_first_token_that_attends_there(
    model: str, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    mel = clip("fr") if model == "demo" else window(model, 500)
    language = {"language": "fr", "max_new_tokens": 40}
    ((free, _),) = both(engine_of(model), reference_of(model), [(mel, language)])
    reached = sorted({frame for frame in free.frames if frame > 0})
    for stop_frame in (1, reached[len(reached) // 2], reached[-1]):
        ((hypothesis, expected),) = both(
            engine_of(model), reference_of(model), [(mel, language | {"stop_frame": stop_frame})]
        )
        kept = [i for i, frame in enumerate(free.frames) if frame >= stop_frame][:1]
        assert hypothesis.tokens == free.tokens[: kept[0] if kept else None]
        assert hypothesis.stopped == ("attention" if kept else free.stopped)
        if model != "demo" or expected.margin > LEAST_MARGIN:
            check_same(hypothesis, expected, stop_frame)


def test_attention_on_the_padding_is_at_the_end(
    engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    engine, reference = engine_of("turbo"), reference_of("turbo")
    mel, request = window("turbo", 60), {"language": "en", "max_new_tokens": 30}
    ((free, expected),) = both(engine, reference, [(mel, request)])
    check_same(free, expected, "free")
    first = free.frames.index(29)  # the last of the content stands for what follows it
    assert 0 < first < len(free.frames)
    ((stopped, expected),) = both(engine, reference, [(mel, request | {"stop_frame": 30})])
    check_same(stopped, expected, "stopped")
    assert stopped.stopped == "attention"
    assert stopped.tokens == free.tokens[:first]


@pytest.mark.parametrize("model", ["dynamic", "demo", "english"])
def test_beam_search_finds_at_least_what_greedy_finds(
    model: str, engine_of: EngineOf, reference_of: ReferenceOf
) -> None:
    engine, reference = engine_of(model), reference_of(model)
    asked = [(window(model, frames), "en") for frames in (100, 158, 302) if model != "demo"]
    asked = asked or [(clip(language), language) for language in ("en", "es", "fr")]
    gains = []
    for (mel, language), encoded in zip(asked, engine.encode([m for m, _ in asked]), strict=True):
        plain, beam = engine.decode(
            [DecodeRequest(encoded=encoded, language=language, beam_size=n) for n in (1, 5)]
        )
        request = Request(encoding=reference.encode(mel), language=language)
        truth = sequence_logprob(reference, request, list(beam.tokens))
        assert plain.stopped == beam.stopped == "end"
        assert error([*beam.logprobs, beam.end_logprob], truth, scale=1) < TOLERANCE
        gains.append(beam.avg_logprob - plain.avg_logprob)
    if model != "demo":  # nothing says that a beam must win, on these seeds it does
        assert min(gains) > -1e-5
        assert max(gains) > 1e-3, "a beam that never wins is not searching"


@pytest.mark.parametrize("model", REAL_SIZES)
def test_published_vocabularies(model: str, engine_of: EngineOf, reference_of: ReferenceOf) -> None:
    engine = engine_of(model)
    expected = {"51865": 99, "51866": 100, "51864": 1}
    assert len(engine.languages) == expected[model]
    assert engine.languages == tuple(reference_of(model).checkpoint.languages)
    asked = [
        (window(model, frames), {"language": engine.languages[-1], "max_new_tokens": 12} | more)
        for frames, more in ((102, {}), (157, {"prefix": (50_000, 7), "prompt": (50_255,)}))
    ]
    for pair in both(engine, reference_of(model), asked):
        check_same(*pair, model)
