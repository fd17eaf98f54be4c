"""Hand-made fixtures of the switch clock and of LD-DER: every number is worked out by hand."""

import pytest

from whisper_service.evaluation.switching import (
    Decision,
    Stretch,
    diarization_error,
    score_switches,
    true_switches,
)

S = 16_000
TRUTH = [
    Stretch(start=0, end=4 * S, language="en"),
    Stretch(start=5 * S, end=9 * S, language="fr"),
    Stretch(start=10 * S, end=14 * S, language="en"),
]


def decision(old, new, available, at=None):
    return Decision(old=old, new=new, at=int((at or available) * S), available=int(available * S))


def score(*decisions):
    return score_switches(true_switches(TRUTH), list(decisions))


def test_true_switches_start_with_the_first_speech_sample_of_the_new_language():
    assert [(s.old, s.new, s.at) for s in true_switches(TRUTH)] == [
        ("en", "fr", 5 * S),
        ("fr", "en", 10 * S),
    ]


def test_perfect_run():
    got = score(decision("en", "fr", 5.8, 5.1), decision("fr", "en", 11.0, 9.9))
    assert got.lags == (int(0.8 * S), S)
    assert got.errors == (int(5.1 * S) - 5 * S, 10 * S - int(9.9 * S))
    assert got.recall(S) == 1.0
    assert (got.missed, got.false, got.reversals) == ((), (), 0)


def test_recall_counts_only_switches_in_time():
    got = score(decision("en", "fr", 5.8), decision("fr", "en", 12.5))
    assert got.recall(S) == 0.5


def test_a_decision_before_the_change_is_false_and_the_switch_missed():
    got = score(decision("en", "fr", 4.9), decision("fr", "en", 11.0))
    assert len(got.false) == 1
    assert [m.new for m in got.missed] == ["fr"]
    assert got.lags == (S,)


def test_a_miss_has_no_lag():
    got = score(decision("fr", "en", 11.0))
    assert got.lags == (S,)
    assert got.recall(S) == 0.5


def test_wrong_direction_does_not_match():
    got = score(decision("en", "de", 5.5), decision("de", "en", 10.5))
    assert [m.new for m in got.missed] == ["fr"]
    assert [f.new for f in got.false] == ["de"]


def test_one_decision_matches_one_switch():
    got = score(decision("en", "fr", 5.5), decision("en", "fr", 6.0), decision("fr", "en", 10.5))
    assert len(got.lags) == 2
    assert len(got.false) == 1


def test_reversal_is_a_false_switch_undone_within_two_seconds():
    got = score(
        decision("en", "fr", 5.5),
        decision("fr", "de", 7.0),
        decision("de", "fr", 8.0),
        decision("fr", "en", 10.5),
    )
    assert got.reversals == 1
    assert len(got.false) == 2


def test_no_switches_at_all_is_full_recall():
    assert score_switches([], []).recall(S) == 1.0


def test_late_decision_after_the_language_ended_is_false():
    got = score(decision("en", "fr", 10.5), decision("fr", "en", 11.0))
    assert [m.new for m in got.missed] == ["fr"]


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [
        (TRUTH, (0, 0, 0)),
        ([], (12 * S, 0, 0)),
        ([Stretch(start=0, end=14 * S, language="en")], (0, 2 * S, 4 * S)),
        ([Stretch(start=S, end=4 * S, language="en")], (9 * S, 0, 0)),
        ([Stretch(start=0, end=4 * S, language="de"), *TRUTH[1:]], (0, 0, 4 * S)),
        ([*TRUTH, Stretch(start=14 * S, end=15 * S, language="en")], (0, S, 0)),
    ],
)
def test_diarization_error_by_hand(hypothesis, expected):
    got = diarization_error(TRUTH, hypothesis)
    assert (got.missed, got.false_alarm, got.wrong_language) == expected
    assert got.speech == 12 * S
    assert got.rate == sum(expected) / (12 * S)
