import pytest

from whisper_service.evaluation.latency import (
    EmittedWord,
    Erasure,
    SpokenWord,
    laal,
    word_latencies,
)

SPOKEN = [SpokenWord(text="a", end=100), SpokenWord(text="b", end=200)]


def emitted(text, heard, available):
    return EmittedWord(text=text, heard=heard, available=available)


def test_latency_is_from_the_true_end_of_the_word():
    words = [emitted("a", 150, 160), emitted("b", 300, 320)]
    assert word_latencies(SPOKEN, words, computation=False) == [50, 100]
    assert word_latencies(SPOKEN, words, computation=True) == [60, 120]


def test_only_words_recognized_correctly_are_timed():
    words = [emitted("x", 150, 150), emitted("b", 300, 300), emitted("c", 400, 400)]
    assert word_latencies(SPOKEN, words, computation=False) == [100]


def test_laal_of_an_ideal_policy_is_the_delay_of_its_first_word():
    assert laal([250, 500, 750, 1000], source=1000, reference=4) == pytest.approx(250)


def test_laal_does_not_reward_saying_too_much():
    honest = laal([500, 1000], source=1000, reference=2)
    chatty = laal([500, 600, 700, 1000], source=1000, reference=2)
    assert honest == pytest.approx(500)
    assert chatty == pytest.approx((500 + 350 + 200 + 250) / 4)


def test_laal_stops_at_the_first_word_after_the_end():
    assert laal([1000, 1000, 1000], source=1000, reference=3) == pytest.approx(1000)
    assert laal([1200, 1300], source=1000, reference=2) == 1200


def test_erasure_counts_what_was_taken_back():
    erasure = Erasure()
    erasure.show(["a", "b"])
    erasure.show(["a", "c", "d"])  # b taken back
    erasure.end(["a", "c"])  # d taken back
    erasure.show(["e"])
    erasure.end(["e"])
    assert (erasure.erased, erasure.final) == (2, 3)
    assert erasure.normalized == pytest.approx(2 / 3)
