import numpy as np
import pytest

from whisper_service.engine.base import Hypothesis
from whisper_service.policy import AlignAttPolicy, TimedWord, stop_frame, timed_words
from whisper_service.policy.align_att import token_frames
from whisper_service.testing.tokenizer import ScriptedTokenizer

TOKENIZER = ScriptedTokenizer(["hello", "everything", "world", "你好"], ("en", "zh"))


def attention(spans, frames):
    rows = np.zeros((len(spans), frames), np.float32)
    for row, (start, end) in zip(rows, spans, strict=True):
        row[start:end] = 1.0 / max(1, end - start)
    return rows


def hypothesis(text, spans, *, frames=50, stopped="end", logprobs=None):
    tokens = tuple(TOKENIZER.encode(text))
    assert len(tokens) == len(spans)
    return Hypothesis(
        tokens=tokens,
        logprobs=logprobs or (-0.1,) * len(tokens),
        frames=tuple((a + b) // 2 for a, b in spans),
        attention=attention(spans, frames),
        end_logprob=-0.1,
        no_speech_prob=0.0,
        stopped=stopped,
    )


def words_of(given, language="en"):
    return timed_words(given, TOKENIZER, language)


def committed(given, *, frontier=50, final=False, language="en"):
    words = words_of(given, language)
    count = AlignAttPolicy().commit(given, words, frontier_frame=frontier, final=final)
    return "".join(word.text for word in words[:count])


def test_words_get_the_frames_of_their_tokens():
    given = hypothesis(" hello everything", [(3, 9), (12, 15), (15, 20)])
    times = [(w.text, w.start, w.end) for w in words_of(given)]
    assert times == [(" hello", 3, 9), (" everything", 12, 20)]


def test_a_word_keeps_its_tokens_and_the_mean_of_their_probabilities():
    given = hypothesis(" everything", [(0, 5), (5, 9)], logprobs=(0.0, float(np.log(0.5))))
    (word,) = words_of(given)
    assert word.tokens == given.tokens
    assert word.probability == pytest.approx(0.75)


def test_an_undecoded_tail_does_not_stretch_the_last_word():
    (word,) = words_of(hypothesis(" hello", [(3, 9)], frames=500))
    assert word.end == 9


def test_a_stray_peak_does_not_break_the_order():
    rows = attention([(3, 9), (12, 18), (22, 30)], 50)
    rows[1, 45] = rows[1].max() * 1.2
    starts, ends = token_frames(rows)
    assert starts.tolist() == [3, 12, 22]
    assert ends.tolist() == [9, 18, 30]


def test_noisy_soft_attention_is_found_within_two_frames():
    rng = np.random.default_rng(0)
    centres = np.arange(12) * 8 + 6
    rows = np.exp(-0.5 * ((np.arange(110) - centres[:, None]) / 2.0) ** 2)
    rows = (rows + 0.1 * rng.random(rows.shape)).astype(np.float32)
    starts, ends = token_frames(rows)
    assert np.abs((starts + ends) / 2 - centres).max() <= 2
    assert (starts[1:] >= ends[:-1]).all()


def test_frames_with_a_quarter_of_the_strongest_attention_are_background():
    rows = np.array([[0, 0.3, 1, 1, 0.3, 0, 0], [0, 0, 0, 0, 0, 1, 0.25]], np.float32)
    starts, ends = token_frames(rows)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(1, 5), (5, 6)]


def test_a_token_that_attends_to_nothing_still_lasts_a_frame():
    given = hypothesis(" hello world", [(3, 9), (9, 9)])
    last = words_of(given)[-1]
    assert last.end == last.start + 1


def test_no_tokens_have_no_frames():
    starts, ends = token_frames(np.empty((0, 40), np.float32))
    assert len(starts) == len(ends) == 0
    assert words_of(hypothesis("", [])) == []


def test_the_newest_word_waits_for_the_next_one():
    given = hypothesis(" hello world", [(0, 5), (6, 10)], stopped="attention")
    assert committed(given) == " hello"


def test_at_the_end_all_words_are_committed():
    given = hypothesis(" hello world", [(0, 5), (6, 10)])
    assert committed(given) == " hello"
    assert committed(given, final=True) == " hello world"


def test_a_final_that_ran_out_of_budget_keeps_its_last_word_back():
    given = hypothesis(" hello world", [(0, 5), (6, 10)], stopped="budget")
    assert committed(given, final=True) == " hello"


def test_no_token_at_or_after_the_frontier_is_committed():
    given = hypothesis(" hello everything world", [(0, 6), (8, 12), (12, 16), (20, 24)])
    assert committed(given, frontier=15) == " hello everything"
    assert committed(given, frontier=14) == " hello"
    assert committed(given, frontier=0) == ""
    assert committed(given, frontier=14, final=True) == " hello"


def test_a_late_word_is_not_overtaken_by_the_one_after_it():
    given = hypothesis(" hello world hello", [(0, 4), (30, 34), (5, 9)])
    assert committed(given, frontier=20) == " hello"


def test_incomplete_characters_are_never_committed():
    given = hypothesis("你好", [(0, 3), (3, 6), (6, 9), (9, 12)])
    assert committed(given, final=True, language="zh") == "你好"
    cut = hypothesis("你好", [(0, 3), (3, 6), (6, 9), (9, 12)])
    cut = Hypothesis(
        tokens=cut.tokens[:3],
        logprobs=cut.logprobs[:3],
        frames=cut.frames[:3],
        attention=cut.attention[:3],
        end_logprob=-0.1,
        no_speech_prob=0.0,
        stopped="end",
    )
    assert words_of(cut, "zh")[-1].text == "\ufffd"
    assert committed(cut, final=True, language="zh") == "你"


def test_in_unspaced_scripts_a_character_is_the_unit():
    given = hypothesis("你好", [(0, 3), (3, 6), (20, 23), (23, 26)], stopped="attention")
    assert committed(given, frontier=15, language="zh") == "你"


@pytest.mark.parametrize(
    ("content", "threshold", "expected"), [(100, 0.4, 80), (100, 0.355, 82), (10, 0.5, 0)]
)
def test_the_stop_frame_lies_the_threshold_before_the_end(content, threshold, expected):
    assert stop_frame(content, threshold) == expected


def test_words_are_values():
    word = TimedWord(text=" a", tokens=(1,), start=0, end=1, probability=1.0)
    with pytest.raises(AttributeError):
        word.text = " b"
