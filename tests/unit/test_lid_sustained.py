import numpy as np

from whisper_service.config import LanguageOptions
from whisper_service.lid import SustainedChange

HOP = 1600


def check(p_new, *, old=0, options=None):
    """Candidate for a stream in which the second of two languages has these probabilities."""
    beliefs = np.array([[1 - p, p] for p in p_new])
    times = [HOP * (i + 1) for i in range(len(p_new))]
    return SustainedChange(options or LanguageOptions()).check(times, beliefs, old=old)


def test_six_frames_above_both_thresholds_are_sustained():
    found = check([0.1] * 5 + [0.9] * 6)
    assert found is not None
    assert found.sustained
    assert found.since == 6 * HOP
    assert found.crossing == 5 * HOP + HOP // 2


def test_five_frames_are_a_candidate_only():
    found = check([0.1] * 5 + [0.9] * 5)
    assert found is not None
    assert not found.sustained


def test_a_frame_below_breaks_the_run():
    found = check([0.9] * 6 + [0.3] + [0.9] * 5)
    assert found is not None
    assert not found.sustained


def test_no_candidate_while_the_old_language_leads():
    assert check([0.9] * 6 + [0.4]) is None


def test_the_margin_must_be_exceeded():
    assert check([0.1] + [0.6] * 8, options=LanguageOptions(confidence_margin=0.25)) is None
    assert check([0.1] + [0.6] * 8, options=LanguageOptions(confidence_margin=0.15)) is not None


def test_the_probability_must_be_reached():
    beliefs = np.tile([0.1, 0.55, 0.35], (8, 1))
    times = [HOP * i for i in range(8)]
    assert SustainedChange(LanguageOptions()).check(times, beliefs, old=0) is None
    relaxed = LanguageOptions(min_probability=0.5)
    assert SustainedChange(relaxed).check(times, beliefs, old=0) is not None


def test_the_dwell_in_seconds_counts_too():
    patient = LanguageOptions(min_dwell=0.7)
    short, long = check([0.9] * 7, options=patient), check([0.9] * 8, options=patient)
    assert short is not None
    assert not short.sustained
    assert long is not None
    assert long.sustained


def test_without_a_decided_language_the_second_best_is_the_rival():
    found = check([0.9] * 6, old=None)
    assert found is not None
    assert found.sustained
    assert check([0.55] * 6, old=None) is None


def test_nothing_comes_from_nothing():
    assert SustainedChange(LanguageOptions()).check([], np.empty((0, 2)), old=None) is None
