"""The clip, and the engine whose work is fixed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from whisper_service.engine.base import DecodeRequest, Hypothesis, Span
from whisper_service.evaluation.bench import workload
from whisper_service.evaluation.bench.pipeline import phrases
from whisper_service.evaluation.bench.workload import FixedWorkload, Spoken
from whisper_service.types import SAMPLE_RATE

CLIP = workload.Clip(
    np.zeros(4 * SAMPLE_RATE, np.float32),
    (
        Spoken("en", 8_000, 24_000),
        Spoken("fr", 32_000, 48_000),
        Spoken("fr", 52_000, 60_000),
    ),
)


class RecordingEngine:
    """Remembers what it was asked for and decodes as many tokens as it may."""

    name, languages, tasks = "recording", ("en", "es", "fr"), ("transcribe",)
    dynamic_context, n_mels = True, 80

    def __init__(self):
        self.requests = []
        words = iter(range(1000, 9000))
        self.tokenizer = SimpleNamespace(encode=lambda text: [next(words)])

    def encode(self, mels):
        return [SimpleNamespace(frames=mel.shape[1] // 2) for mel in mels]

    def language_probabilities(self, spans):
        return np.full((len(spans), 3), 1 / 3, np.float32)

    def decode(self, requests):
        self.requests += requests
        return [
            Hypothesis(
                tokens=(7,) * r.max_new_tokens,
                logprobs=(-5.0,) * r.max_new_tokens,
                frames=(0,) * r.max_new_tokens,
                attention=np.zeros((r.max_new_tokens, r.encoded.frames), np.float32),
                end_logprob=-5.0,
                no_speech_prob=0.5,
                stopped="budget",
            )
            for r in requests
        ]


@pytest.fixture
def fixed():
    return FixedWorkload(RecordingEngine(), CLIP)


def request(**more):
    encoded = SimpleNamespace(frames=200)
    return DecodeRequest(encoded=encoded, language="en", stop_frame=190, **more)


def test_an_update_is_a_prefix_of_20_and_exactly_8_new_tokens(fixed):
    fixed.decode([request(prompt=(1, 2), prefix=(3,), max_new_tokens=50)])
    (asked,) = fixed.engine.requests
    assert (len(asked.prefix), asked.prompt, asked.max_new_tokens) == (20, (), 8)
    assert asked.stop_frame is None
    assert not asked.allow_end
    assert fixed.work.decodes == [8]


def test_a_final_has_25_new_tokens(fixed):
    fixed.decode([replace(request(), stop_frame=None)])
    assert fixed.work.decodes == [25]


def test_what_was_said_is_spread_over_the_newest_speech(fixed):
    (hypothesis,) = fixed.decode([request()])
    assert hypothesis.frames == tuple(range(200 - 8 * 6, 200, 6))
    assert len(set(hypothesis.tokens)) == 8  # distinct words: no guard takes them for a loop
    assert hypothesis.attention.shape == (8, 200)
    assert hypothesis.attention.argmax(axis=1).tolist() == list(hypothesis.frames)


def test_consecutive_decodes_say_other_words(fixed):
    first, second = (fixed.decode([request()])[0].tokens for _ in range(2))
    assert set(first).isdisjoint(second)


def test_a_span_ends_what_is_said(fixed):
    (hypothesis,) = fixed.decode([request(span=(0, 60))])
    assert max(hypothesis.frames) < 60


def test_a_short_window_holds_fewer_words(fixed):
    short = replace(request(), encoded=SimpleNamespace(frames=13))
    (hypothesis,) = fixed.decode([short])
    assert hypothesis.frames == (1, 7)


@pytest.mark.parametrize(
    ("heard", "language", "probability"),
    [
        (8_000 + 24_000, "en", workload.SURE),
        (40_000 + 8_000, "fr", workload.DOUBTED),  # half a second after the change
        (60_000 + 8_000, "fr", workload.SURE),
    ],
)
def test_the_language_is_the_one_spoken_half_a_second_ago(fixed, heard, language, probability):
    fixed.heard = lambda: heard
    rows = fixed.language_probabilities([Span(SimpleNamespace(frames=50), 0, 50)] * 2)
    assert rows.shape == (2, 3)
    assert fixed.languages[int(rows[0].argmax())] == language
    assert rows[0].max() == pytest.approx(probability)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-6)


def test_work_is_counted(fixed):
    fixed.encode([np.zeros((80, 100), np.float32), np.zeros((80, 300), np.float32)])
    fixed.language_probabilities([Span(SimpleNamespace(frames=50), 0, 50)] * 3)
    assert fixed.work.encoded == [(1, 100), (1, 300)]
    assert fixed.work.spans == 3


def test_a_clip_knows_its_languages():
    assert CLIP.language(0) == ("en", 0)
    assert CLIP.language(30_000) == ("en", 30_000)
    assert CLIP.language(50_000) == ("fr", 18_000)
    assert CLIP.language(60_000) == ("fr", 28_000)  # from one sentence to the next, no change


def test_a_cut_clip_keeps_what_begins_in_it():
    cut = CLIP.cut(2.5)
    assert len(cut.samples) == 40_000
    assert [s.language for s in cut.spoken] == ["en", "fr"]


def test_without_pauses_only_speech_is_left():
    joined = workload.continuous(CLIP)
    assert [(s.start, s.end) for s in joined.spoken] == [(0, 16000), (16000, 32000), (32000, 40000)]
    assert len(joined.samples) == 40_000 + SAMPLE_RATE


def test_one_language_is_said_throughout():
    clip = workload.in_one_language(CLIP)
    assert {part.language for part in clip.spoken} == {"en"}
    assert clip.language(60_000) == ("en", 60_000)


def test_the_bundled_clip_changes_language():
    clip = workload.bundled_clip()
    assert clip.seconds >= 20
    assert len({part.language for part in clip.spoken}) >= 3


def test_phrases_are_one_to_ten_seconds_in_silence():
    made = phrases(workload.bundled_clip())
    lengths = [(p.spoken[-1].end - p.spoken[0].start) / SAMPLE_RATE for p in made]
    assert len(made) >= 10
    assert 1.0 <= min(lengths) < max(lengths) <= 10.0
    for phrase in made:
        assert not phrase.samples[: phrase.spoken[0].start].any()
        assert not phrase.samples[phrase.spoken[-1].end :].any()
