"""The newest LID frames in a circle, against a plain list."""

import numpy as np
import pytest

from whisper_service.lid import timeline as module
from whisper_service.lid.timeline import LanguageTimeline


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(module, "FRAMES", 5)
    return LanguageTimeline()


def noted(timeline, count, *, first=0):
    kept = []
    for i in range(first, first + count):
        row = np.array([i / 100, 1 - i / 100], np.float64)
        timeline.add(1600 * i, row)
        kept.append((1600 * i, row))
    return kept


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 13])
def test_the_newest_frames_are_kept_in_order(short, count):
    expected = noted(short, count)[-5:]
    assert len(short) == len(expected)
    assert bool(short) == bool(expected)
    for (at, row), (centre, kept) in zip(expected, short, strict=True):
        assert at == centre
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, row, atol=1e-7)


def test_what_was_read_does_not_change(short):
    noted(short, 5)
    before = list(short)
    noted(short, 5, first=5)
    assert [row[0] for _, row in before] == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04])


def test_after_clearing_frames_may_have_other_columns(short):
    noted(short, 7)
    short.clear()
    assert list(short) == []
    short.add(8000, np.array([0.2, 0.3, 0.5]))
    assert [len(row) for _, row in short] == [3]


def test_the_least_probability_within_bounds(short):
    noted(short, 8)  # frames 3 to 7 are left
    assert short.least(0, 1600 * 4, 1600 * 6) == pytest.approx(0.04)
    assert short.least(1, 1600 * 4, 1600 * 6) == pytest.approx(0.94)
    assert short.least(0, 0, 1600 * 2) == 0.0, "no frame is left there"


def since(*heard, at=0):
    """Number of the frame since which no allowed language was heard, of frames 0.1 s apart."""
    timeline = LanguageTimeline()
    for i, other in enumerate(heard):
        timeline.add(1600 * i, np.array([1 - other, other]))
    found = timeline.other_since(at * 1600)
    return None if found is None else found // 1600


def test_since_when_no_allowed_language_is_heard():
    allowed, other = [0.1] * 10, [0.9] * 4
    assert since(*other, *allowed, *other) == 14
    assert since(*other, *allowed, *other, at=16) == 16
    assert since(*other, *allowed) is None


def test_a_word_that_sounds_like_an_allowed_language_ends_no_stretch_of_another():
    word, other = [0.1] * 8, [0.9] * 4
    assert since(0.1, *other, *word, *other) == 1
    assert since(*other, *word) == 0
