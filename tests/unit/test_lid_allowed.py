import numpy as np
import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.lid.allowed import AllowedLanguages

HUNDRED = tuple(f"l{i}" for i in range(100))


def test_the_columns_are_the_chosen_languages_and_the_rest():
    allowed = AllowedLanguages(HUNDRED, ["l7", "l3", "l7"])
    assert allowed.columns == ("l7", "l3", "other")
    assert len(allowed) == 2
    assert sum(allowed.shares) == pytest.approx(1.0)


def test_without_a_choice_all_languages_are_kept():
    allowed = AllowedLanguages(HUNDRED, [])
    assert allowed.columns == HUNDRED
    assert not allowed.restricted


def test_equal_probabilities_speak_for_no_column():
    allowed = AllowedLanguages(HUNDRED, ["l7", "l3"])
    assert allowed.restrict(np.full(100, 0.01, np.float32)) == pytest.approx(1 / 3)


def test_a_strong_third_language_is_other():
    probabilities = np.full(100, 0.001, np.float32)
    probabilities[50] = 0.9
    assert AllowedLanguages(HUNDRED, ["l7", "l3"]).restrict(probabilities)[2] > 0.99


def test_an_unknown_language_is_refused():
    with pytest.raises(InvalidOptionError, match="'xx'"):
        AllowedLanguages(HUNDRED, ["xx"])
