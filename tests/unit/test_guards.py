import numpy as np
import pytest

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import Hypothesis
from whisper_service.policy import TimedWord
from whisper_service.policy.guards import (
    LEAST_BUDGET,
    MOST_BUDGET,
    compression_ratio,
    is_compressible,
    is_no_speech,
    repetition_start,
    rewind_start,
    token_budget,
    trim_repetition,
)


def hypothesis(*, no_speech=0.0, logprob=-0.1):
    return Hypothesis(
        tokens=(1, 2),
        logprobs=(logprob, logprob),
        frames=(0, 1),
        attention=np.zeros((2, 4), np.float32),
        end_logprob=logprob,
        no_speech_prob=no_speech,
        stopped="end",
    )


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, LEAST_BUDGET), (2.0, 28), (1.01, 15), (100.0, MOST_BUDGET)]
)
def test_the_budget_grows_with_the_audio_within_bounds(seconds, expected):
    assert token_budget(seconds, 14.0) == expected


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a b c d e f g h", None),
        ("no no no no no", None),
        ("no no no no no no", 1),
        ("x y no no no no no no", 3),
        ("a b a b a b", None),
        ("a b a b a b a b", 2),
        ("we are here we are here we are here", None),
        ("we are here we are here we are here we are here", 3),
        ("so this is it so this is it so this is it", 4),
        ("so this is it so this is it", None),
        ("a a a a a a b b b b b b", 1),
    ],
)
def test_loops_are_found_where_they_begin_to_repeat(text, start):
    assert repetition_start(text.split()) == start


def test_a_loop_is_found_in_tokens_too():
    sentence = list(range(100, 120))
    assert repetition_start([1, 2, *sentence * 3]) == 2 + 20
    assert repetition_start([*sentence, 120] * 3) is None, "longer than what is looked for"
    assert repetition_start([]) is None


def test_trimming_keeps_one_copy():
    texts = [" Thank", " you.", " thank", " you", " Thank", " you!", " thank", " you,", " bye"]
    words = [
        TimedWord(text=text, tokens=(i,), start=i, end=i + 1, probability=1.0)
        for i, text in enumerate(texts)
    ]
    kept, looping = trim_repetition(words)
    assert [w.text for w in kept] == [" Thank", " you."]
    assert not looping
    assert trim_repetition(words[:5]) == (words[:5], False)


def test_a_loop_that_grows_word_by_word_is_seen_with_what_was_said():
    word = TimedWord(text=" on", tokens=(1,), start=0, end=1, probability=1.0)
    assert trim_repetition([word], said=[" on"] * 3) == ([word], False)
    assert trim_repetition([word], said=[" on"] * 5) == ([], True)
    assert trim_repetition([word] * 5, said=[" on"]) == ([], False), "once is no loop to forget"


def test_compression_ratio_is_whispers():
    assert compression_ratio("") == 0.0
    assert compression_ratio("ha " * 100) > 10
    assert compression_ratio("What a lovely day this is.") < 1.2
    assert is_compressible("ha " * 100, DecodeOptions())
    assert not is_compressible("What a lovely day this is.", DecodeOptions())
    exactly = DecodeOptions(compression_ratio_threshold=compression_ratio("ha " * 100))
    assert not is_compressible("ha " * 100, exactly)


@pytest.mark.parametrize(
    ("no_speech", "logprob", "expected"),
    [
        (0.9, -1.5, True),
        (0.9, -0.2, False),
        (0.3, -1.5, False),
        (0.6, -1.5, False),
        (0.9, -1.0, False),
    ],
)
def test_no_speech_needs_both_signs(no_speech, logprob, expected):
    given = hypothesis(no_speech=no_speech, logprob=logprob)
    assert is_no_speech(given, DecodeOptions()) is expected


def test_a_token_that_attends_far_back_is_found():
    assert rewind_start([100, 103, 40, 104], committed=98, tolerance=25) == 2
    assert rewind_start([100, 80, 104], committed=98, tolerance=25) is None
    assert rewind_start([73], committed=98, tolerance=25) is None
    assert rewind_start([72], committed=98, tolerance=25) == 0
    assert rewind_start([], committed=98, tolerance=25) is None
