import pytest

from whisper_service.evaluation.wer import Errors, align, count, errors, mixed_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c", "a b c", (3, 0, 0, 0)),
        ("a b c", "a x c", (3, 1, 0, 0)),
        ("a b c", "a c", (3, 0, 1, 0)),
        ("a c", "a b c", (2, 0, 0, 1)),
        ("", "a b", (0, 0, 0, 2)),
        ("a b", "", (2, 0, 2, 0)),
        ("a b c d", "b c d e", (4, 0, 1, 1)),
    ],
)
def test_counts_by_hand(reference, hypothesis, expected):
    assert count(align(reference.split(), hypothesis.split())) == Errors(*expected)


def test_alignment_pairs_the_indices():
    steps = align(["a", "b", "c"], ["a", "c"])
    assert [(s.operation, s.reference, s.hypothesis) for s in steps] == [
        ("equal", 0, 0),
        ("delete", 1, None),
        ("equal", 2, 1),
    ]


def test_punctuation_and_case_do_not_count():
    assert errors("Good morning, Anna!", "good morning anna", "en").total == 0


def test_chinese_is_scored_in_characters():
    got = errors("会议三点开始。", "会议五点开始", "zh")
    assert (got.reference, got.total) == (6, 1)


def test_mixed_rate_joins_words_and_characters():
    got = mixed_errors([("good day", "en"), ("你好", "zh")], [("good day", "en"), ("你", "zh")])
    assert (got.reference, got.deletions) == (4, 1)
    assert got.rate == 0.25
