from itertools import pairwise

import numpy as np
import pytest

from whisper_service.config import LanguageOptions
from whisper_service.lid.smoother import (
    LAG_FRAMES,
    NESTED_LIMIT,
    LanguageSmoother,
    log_evidence,
    span_error,
)

HOP = 1600
A, B = np.array([0.0, -4.0]), np.array([-4.0, 0.0])
FLAT = np.zeros(2)


def fed(rows, *, weight=0.1, options=None, shares=None):
    smoother = LanguageSmoother(options or LanguageOptions(), len(rows[0]), shares=shares)
    for index, row in enumerate(rows):
        smoother.feed(row, at=(index + 1) * HOP, weight=weight)
    return smoother


def test_posterior_sums_to_one_and_follows_the_evidence():
    posterior = fed([A] * 10).posterior
    assert posterior.sum() == pytest.approx(1.0)
    assert posterior[0] > 0.95


def test_flat_frames_are_no_evidence():
    smoother = fed([A] * 10)
    before = smoother.posterior[0]
    smoother.feed(FLAT, at=11 * HOP, weight=0.1)
    smoother.feed(FLAT, at=12 * HOP, weight=0.1)
    assert smoother.posterior[0] == pytest.approx(before, abs=0.02)


def test_tempering_scales_the_evidence():
    odds = [np.log(p[0] / p[1]) for p in (fed([A], weight=w).posterior for w in (0.1, 0.2))]
    assert odds[1] == pytest.approx(2 * odds[0])


def test_a_burst_shorter_than_half_the_median_leaves_no_trace():
    clean, noisy = [A] * 20, [A] * 8 + [B] * 2 + [A] * 10
    assert fed(noisy).posterior == pytest.approx(fed(clean).posterior)


def test_change_rate_is_per_second_not_per_frame():
    slow = LanguageSmoother(LanguageOptions(), 2)
    slow.restart(np.array([1.0, 0.0]))
    fast = LanguageSmoother(LanguageOptions(), 2)
    fast.restart(np.array([1.0, 0.0]))
    for index in range(11):
        slow.feed(FLAT, at=index * 16_000, weight=0.1)
    for index in range(101):
        fast.feed(FLAT, at=index * 1600, weight=0.1)
    assert slow.posterior == pytest.approx(fast.posterior, abs=1e-9)
    assert slow.posterior[0] < 0.9


def test_later_evidence_moves_the_belief_about_earlier_frames():
    smoother = fed([A] * 20 + [B] * 16)
    beliefs = smoother.smoothed()
    times = np.array(smoother.times)
    assert beliefs[times == 24 * HOP, 1] > 0.7
    assert beliefs[times == 17 * HOP, 0] > 0.5
    filtered_then = fed([A] * 20 + [B] * 4).posterior[1]
    assert filtered_then < 0.5


def test_the_newest_smoothed_belief_is_the_posterior():
    smoother = fed([A] * 5 + [B] * 7)
    assert smoother.smoothed()[-1] == pytest.approx(smoother.posterior)


def test_smoothing_agrees_with_brute_force_over_all_paths():
    options = LanguageOptions(median=1, seconds_per_change=0.5)
    rng = np.random.default_rng(3)
    rows = list(rng.normal(size=(5, 3)))
    shares = np.array([0.5, 0.3, 0.2])
    smoother = fed(rows, weight=1.0, options=options, shares=shares)
    change = 1 - np.exp(-0.1 / 0.5)
    expected = np.zeros((5, 3))
    for path in np.ndindex(3, 3, 3, 3, 3):
        p = shares[path[0]]
        for before, after in pairwise(path):
            p *= (1 - change) * (before == after) + change * shares[after]
        p *= np.exp(sum(row[k] for row, k in zip(rows, path, strict=True)))
        for t, k in enumerate(path):
            expected[t, k] += p
    expected /= expected.sum(axis=1, keepdims=True)
    assert smoother.smoothed() == pytest.approx(expected)


def test_only_the_lag_is_kept():
    assert len(fed([A] * (LAG_FRAMES + 30)).state.frames) == LAG_FRAMES


def test_a_pause_keeps_the_language_but_not_its_certainty():
    prior = fed([A] * 40).after_pause(0)
    assert prior.sum() == pytest.approx(1.0)
    assert 0.9 < prior[0] < 0.99


def test_a_hundred_languages_do_not_outweigh_the_one_so_far():
    assert LanguageSmoother(LanguageOptions(), 100).after_pause(3)[3] == pytest.approx(0.8)


def test_nested_spans_count_the_same_audio_once():
    once = fed([B], weight=1.0)
    nested = LanguageSmoother(LanguageOptions(seconds_per_change=1e9), 2)
    for index in range(6):
        nested.feed(B, at=(index + 1) * HOP, weight=1.0, nested=index > 0)
    assert nested.posterior == pytest.approx(once.posterior)


def test_a_nested_span_that_turns_round_counts_no_more_than_its_hop():
    turned = fed([A], weight=1.0, options=LanguageOptions(seconds_per_change=1e9))
    for index in range(3):
        turned.feed(A, at=(index + 2) * HOP, weight=1.0, nested=True)
    before = np.log(turned.posterior[0] / turned.posterior[1])
    for index in range(3):
        turned.feed(B, at=(index + 5) * HOP, weight=1.0, nested=True)
    after = np.log(turned.posterior[0] / turned.posterior[1])
    assert before - after <= 3 * NESTED_LIMIT + 1e-6


def test_longer_spans_may_claim_more():
    errors = [span_error(s) for s in (0.3, 0.5, 0.8, 1.0, 5.0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] == pytest.approx(0.06)
    assert errors[3] == errors[4] == pytest.approx(0.01)


@pytest.mark.parametrize("languages", [2, 5, 99])
def test_evidence_is_capped_however_sure_the_network_is(languages):
    sure = log_evidence(np.eye(languages)[0], 0.5)
    assert sure[0] - sure[1] == pytest.approx(np.log(1.06 / 0.06))


def test_uniform_probabilities_give_equal_evidence():
    assert np.ptp(log_evidence(np.full(5, 0.2), 1.0)) == pytest.approx(0.0)
