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


def test_since_when_no_allowed_language_is_heard(short):
    for i, other in enumerate([0.9, 0.1, 0.8, 0.7]):
        short.add(1600 * i, np.array([1 - other, other]))
    assert short.other_since(0) == 1600 * 2
    assert short.other_since(1600 * 3) == 1600 * 3
    short.add(6400, np.array([0.9, 0.1]))
    assert short.other_since(0) is None
