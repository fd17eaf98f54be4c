"""What every engine promises (``engine/base.py``): the shipped fake and the real one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from checkpoints import random_mel
from goldens import Floats, clip
from whisper_service.engine.base import DecodeRequest, Encoded, Engine, Hypothesis, Span
from whisper_service.engine.openvino import OpenVinoEngine
from whisper_service.errors import InvalidAudioError, InvalidOptionError
from whisper_service.features import log_mel
from whisper_service.testing import ScriptedEngine, utterance

EngineOf = Callable[..., OpenVinoEngine]

SENTENCES = (
    [("hello", 0.3), ("world", 0.4), ("please", 0.3), (None, 0.4)],
    [(None, 0.2), ("hola", 0.5), ("mundo", 0.4), ("gracias", 0.5), (None, 0.31)],
    [("hello", 0.3), ("hola", 0.3), (None, 0.2), ("world", 0.3), ("yes", 0.4), (None, 0.2)],
)  # words and seconds, for the fake


@dataclass(frozen=True)
class Subject:
    """An engine and windows in which it finds text."""

    engine: Engine
    mels: list[Floats]
    languages: tuple[str, ...]  # one to ask for in each window

    def requests(self, **options: object) -> list[DecodeRequest]:
        encoded = self.engine.encode(self.mels)
        return [
            DecodeRequest(encoded=one, language=language, **options)  # type: ignore[arg-type]
            for one, language in zip(encoded, self.languages, strict=True)
        ]


@pytest.fixture(params=["scripted", "demo", "dynamic", "stock", "english"])
def subject(request: pytest.FixtureRequest, engine_of: EngineOf) -> Subject:
    if request.param == "scripted":
        mels = [log_mel(utterance(sentence), 80) for sentence in SENTENCES]
        return Subject(ScriptedEngine(), mels, ("en", "es", "en"))
    engine = engine_of(request.param)
    if request.param == "demo":
        return Subject(engine, [clip(c) for c in ("en", "es", "fr")], ("en", "es", "fr"))
    mels = [random_mel(engine.n_mels, frames, seed=frames) for frames in (100, 254, 77)]
    return Subject(engine, mels, (engine.languages[0], engine.languages[-1], engine.languages[0]))


def same(one: Hypothesis, other: Hypothesis) -> bool:
    """Equal tokens and reasons; numbers within what batching may change."""
    return (
        (one.tokens, one.frames, one.stopped) == (other.tokens, other.frames, other.stopped)
        and np.allclose(one.logprobs, other.logprobs, atol=1e-4)
        and np.allclose(one.attention, other.attention, atol=1e-4)
        and np.isclose(one.end_logprob, other.end_logprob, atol=1e-3)
    )


def test_what_an_engine_says_about_itself(subject: Subject) -> None:
    engine = subject.engine
    assert engine.name
    assert engine.languages
    assert len(set(engine.languages)) == len(engine.languages)
    assert "transcribe" in engine.tasks
    assert isinstance(engine.dynamic_context, bool)
    assert engine.n_mels in (80, 128)
    assert set(engine.languages) <= {*engine.tokenizer.languages, "en"}
    assert engine.tokenizer.decode(engine.tokenizer.encode(" a b")).strip() == "a b"


def test_encodings_count_content_in_frames_of_20_ms(subject: Subject) -> None:
    encoded = subject.engine.encode(subject.mels)
    assert [one.frames for one in encoded] == [(m.shape[1] + 1) // 2 for m in subject.mels]
    assert all(one.nbytes > 0 for one in encoded)
    assert subject.engine.encode([]) == []


@pytest.mark.parametrize("shape", [(80, 0), (80, 3002), (79, 100), (80,)])
def test_windows_of_another_shape_are_refused(subject: Subject, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidAudioError):
        subject.engine.encode([np.zeros(shape, np.float32)])


def test_language_probabilities_are_a_distribution_for_each_span(subject: Subject) -> None:
    engine = subject.engine
    spans = [
        Span(one, *cut)
        for one in engine.encode(subject.mels)
        for cut in ((0, one.frames), (one.frames // 3, one.frames // 2), (0, 1))
    ]
    probabilities = engine.language_probabilities(spans)
    assert probabilities.shape == (len(spans), len(engine.languages))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    for row, span in zip(probabilities, spans, strict=True):
        assert np.allclose(engine.language_probabilities([span])[0], row, atol=1e-4)


def test_a_hypothesis_is_complete(subject: Subject) -> None:
    requests = subject.requests(max_new_tokens=20)
    for request, result in zip(requests, subject.engine.decode(requests), strict=True):
        count, frames = len(result.tokens), request.encoded.frames
        assert len(result.logprobs) == len(result.frames) == count
        assert result.attention.shape == (count, frames)
        assert result.attention.dtype == np.float32
        assert (result.attention.sum(axis=1) <= 1 + 1e-4).all()
        assert all(0 <= frame < frames for frame in result.frames)
        assert all(value <= 1e-6 for value in (*result.logprobs, result.end_logprob))
        assert 0 <= result.no_speech_prob <= 1
        assert result.avg_logprob <= 1e-6
        assert result.stopped in ("end", "budget", "repetition")
        assert "<|" not in subject.engine.tokenizer.decode(result.tokens)


def test_windows_hold_text(subject: Subject) -> None:
    results = subject.engine.decode(subject.requests())
    assert all(subject.engine.tokenizer.decode(result.tokens) for result in results)


def test_each_request_is_decoded_as_if_it_were_alone(subject: Subject) -> None:
    engine = subject.engine
    plain = subject.requests(max_new_tokens=20)
    tokens = engine.decode(plain)[0].tokens
    mixed = [
        *plain,
        *subject.requests(max_new_tokens=3),
        *subject.requests(max_new_tokens=9, prefix=tokens[:1], prompt=tokens[:2]),
        *subject.requests(stop_frame=12),
        *subject.requests(span=(5, 25)),
    ]
    together = engine.decode(mixed)
    for request, result in zip(mixed, together, strict=True):
        assert same(engine.decode([request])[0], result), request
    for result, reversed_result in zip(together, engine.decode(mixed[::-1])[::-1], strict=True):
        assert same(result, reversed_result)
    assert engine.decode([]) == []


def test_the_prefix_is_forced_and_not_repeated(subject: Subject) -> None:
    engine, requests = subject.engine, subject.requests(max_new_tokens=20)
    for request, free in zip(requests, engine.decode(requests), strict=True):
        forced = DecodeRequest(
            encoded=request.encoded,
            language=request.language,
            prefix=free.tokens[:2],
            max_new_tokens=18,
        )
        assert engine.decode([forced])[0].tokens == free.tokens[2:]


def test_budgets_are_kept(subject: Subject) -> None:
    for budget in (0, 1, 2):
        for result in subject.engine.decode(subject.requests(max_new_tokens=budget)):
            assert len(result.tokens) <= budget
            assert result.stopped in ("budget", "end")
    assert len(subject.engine.decode(subject.requests(max_new_tokens=1))[0].tokens) == 1


def test_without_an_end_every_token_of_the_budget_is_written(subject: Subject) -> None:
    for result in subject.engine.decode(subject.requests(max_new_tokens=25, allow_end=False)):
        assert len(result.tokens) == 25
        assert result.stopped == "budget"


def test_stop_frame_ends_before_the_token_that_attends_there(subject: Subject) -> None:
    free = subject.engine.decode(subject.requests(max_new_tokens=20))
    for stop_frame in (0, 10, 20):
        stopped = subject.engine.decode(subject.requests(max_new_tokens=20, stop_frame=stop_frame))
        for whole, part in zip(free, stopped, strict=True):
            late = [i for i, frame in enumerate(whole.frames) if frame >= stop_frame]
            assert part.tokens == whole.tokens[: late[0] if late else None]
            assert part.stopped == ("attention" if late else whole.stopped)


def test_a_span_confines_attention(subject: Subject) -> None:
    for result in subject.engine.decode(subject.requests(span=(5, 25), max_new_tokens=8)):
        assert all(5 <= frame < 25 for frame in result.frames)
        assert not result.attention[:, :5].any()
        assert not result.attention[:, 25:].any()


def test_beams_are_decoded_too(subject: Subject) -> None:
    requests = subject.requests(beam_size=3, max_new_tokens=12)
    for request, result in zip(requests, subject.engine.decode(requests), strict=True):
        assert len(result.tokens) == len(result.logprobs) == len(result.frames) <= 12
        assert result.attention.shape == (len(result.tokens), request.encoded.frames)


@pytest.mark.parametrize(
    "options",
    [
        {"language": "xx"},
        {"task": "translate", "language": "nowhere"},
        {"prompt": (40,) * 300, "prefix": (41,) * 150},
        {"max_new_tokens": 448},
        {"prompt": (40,) * 224},
    ],
    ids=["language", "task", "prompt and prefix", "budget", "prompt and budget"],
)
def test_requests_that_cannot_work_are_refused(
    subject: Subject, options: dict[str, object]
) -> None:
    encoded = subject.engine.encode(subject.mels[:1])[0]
    given = {"language": subject.languages[0]} | options
    with pytest.raises(InvalidOptionError, match=r"\S+"):
        subject.engine.decode([DecodeRequest(encoded=encoded, **given)])  # type: ignore[arg-type]


def test_the_longest_request_that_fits_is_decoded(subject: Subject) -> None:
    special = 5 if len(subject.engine.languages) > 1 else 3
    room = 448 - special - 200 - 100
    word = subject.engine.tokenizer.encode("a")[0]
    options = {"prompt": (word,) * 200, "prefix": (word,) * 100}
    assert len(subject.engine.decode(subject.requests(**options, max_new_tokens=room))) == 3
    if special == 5:
        with pytest.raises(InvalidOptionError):
            subject.engine.decode(subject.requests(**options, max_new_tokens=room + 1))


def test_a_task_the_model_cannot_do_is_refused(subject: Subject) -> None:
    if "translate" in subject.engine.tasks:
        assert subject.engine.decode(subject.requests(task="translate", max_new_tokens=2))
        return
    with pytest.raises(InvalidOptionError, match="translate"):
        subject.engine.decode(subject.requests(task="translate"))


def test_threads_share_an_engine(subject: Subject) -> None:
    def work(index: int) -> tuple[Encoded, Hypothesis, Floats]:
        mel, language = subject.mels[index % 3], subject.languages[index % 3]
        (encoded,) = subject.engine.encode([mel])
        span = Span(encoded, 0, encoded.frames)
        request = DecodeRequest(encoded=encoded, language=language, max_new_tokens=10)
        return (
            encoded,
            subject.engine.decode([request])[0],
            subject.engine.language_probabilities([span])[0],
        )

    alone = [work(index) for index in range(3)]
    with ThreadPoolExecutor(4) as pool:
        for index, (encoded, result, probabilities) in enumerate(pool.map(work, range(12))):
            expected = alone[index % 3]
            assert encoded.frames == expected[0].frames
            assert same(result, expected[1])
            assert np.allclose(probabilities, expected[2], atol=1e-4)
