"""Following replayed from recorded posteriors, and the sweep over it."""

import numpy as np
import pytest

from streams import ENGINE
from whisper_service.config import LanguageOptions
from whisper_service.evaluation.posteriors import (
    LENGTHS,
    STEP,
    HeardUtterance,
    PosteriorRecorder,
    replay_language,
    utterances_of,
)
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.suites import SUITES
from whisper_service.evaluation.sweep import Outcome, Recorded, chart, evaluate_options, pareto
from whisper_service.evaluation.switching import Stretch
from whisper_service.lid import LanguageChange
from whisper_service.streaming.listening import LanguageListener
from whisper_service.testing import tone

PAIR = LanguageOptions(policy="code_switch", languages=("en", "es"))
SECOND = 16_000


def stretch(start, end, language):
    return Stretch(start=round(start * SECOND), end=round(end * SECOND), language=language)


def row(code, best=0.98):
    p = np.full(len(ENGINE.languages), (1 - best) / (len(ENGINE.languages) - 1), np.float32)
    p[ENGINE.languages.index(code)] = best
    return p


def heard(*truth, lie=None):
    """An utterance in which each span sounds like the language of its middle."""
    start, end = truth[0].start, truth[-1].end
    hops = tuple(range(-(-(start + LENGTHS[0]) // STEP) * STEP, end, STEP))

    def sounds(hop, length):
        middle = max(hop - length // 2, start)
        if lie and lie[0] <= middle / SECOND < lie[1]:
            return row(lie[2])
        return row(next(s.language for s in reversed(truth) if s.start <= middle))

    rows = np.array([[sounds(h, n) for n in LENGTHS] for h in hops])
    return HeardUtterance(start=start, end=end, truth=truth, hops=hops, shared=rows, own=rows)


def test_a_change_within_an_utterance_is_replayed():
    utterance = heard(stretch(0, 4, "en"), stretch(4, 8, "es"))
    changes = replay_language(ENGINE, [utterance], PAIR)
    assert [c.change.new for c in changes] == ["es"]
    assert 4.5 * SECOND < changes[0].at < 6 * SECOND


def test_a_change_at_a_pause_is_replayed_from_the_start_of_the_utterance():
    utterances = [heard(stretch(0, 3, "en")), heard(stretch(4, 7, "es"))]
    changes = replay_language(ENGINE, utterances, PAIR)
    assert [(c.change.new, c.change.crossing) for c in changes] == [("es", 4 * SECOND)]


def test_a_change_that_is_replayed_ends_the_dispute(monkeypatch):
    entered, follow = [], LanguageListener.follow

    def noted(self, listened, **more):
        entered.append((listened.disputed, listened.candidate))
        state = follow(self, listened, **more)
        entered.append(state.change)
        return state

    monkeypatch.setattr(LanguageListener, "follow", noted)
    replay_language(ENGINE, [heard(stretch(0, 4, "en"), stretch(4, 8, "es"))], PAIR)
    (at,) = [i for i, each in enumerate(entered) if isinstance(each, LanguageChange)]
    assert entered[at + 1] == (False, None)


def test_one_language_makes_no_change():
    assert replay_language(ENGINE, [heard(stretch(0, 9, "en"))], PAIR) == []


def recorded(*utterances):
    speech = tuple(s for u in utterances for s in u.truth)
    made = Recording(
        name="made",
        suite="switches-no-pause",
        languages=("en", "es"),
        samples=np.zeros(speech[-1].end + SECOND, np.float32),
        speech=speech,
    )
    return Recorded(recording=made, utterances=utterances)


def test_outcomes_count_lags_misses_and_false_switches():
    good = recorded(heard(stretch(0, 4, "en"), stretch(4, 8, "es")))
    fooled = recorded(heard(stretch(0, 9, "en"), lie=(3, 6, "es")))
    deaf = recorded(heard(stretch(0, 4, "en"), stretch(4, 8, "es"), lie=(0, 9, "en")))
    outcome = evaluate_options(ENGINE, [good, fooled, deaf], PAIR, chosen={})
    assert (outcome.switches, outcome.missed) == (2, 1)
    assert outcome.false_switches == 2  # there and back
    assert outcome.hours == pytest.approx(25 / 3600)
    assert outcome.lag_p95 > 3.0  # the missed one counts as 4 s


def outcome(false, p95):
    return Outcome(
        options={"min_dwell_frames": 6},
        lag_p50=1.0,
        lag_p95=p95,
        switches=10,
        missed=0,
        false_switches=false,
        hours=1.0,
    )


def test_the_front_holds_what_nothing_beats():
    outcomes = [outcome(0, 2.0), outcome(1, 2.5), outcome(3, 1.5), outcome(3, 1.9), outcome(9, 1.5)]
    assert [(o.false_switches, o.lag_p95) for o in pareto(outcomes)] == [(0, 2.0), (3, 1.5)]


def test_the_chart_marks_every_outcome_and_the_chosen_one():
    outcomes = [outcome(0, 2.0), outcome(3, 1.5)]
    svg = chart(outcomes, chosen=outcomes[0])
    assert svg.count('class="all"') == 2
    assert svg.count('class="chosen"') == 1


def test_recording_hears_every_hop_at_every_length():
    samples = np.concatenate([np.zeros(SECOND // 2, np.float32), tone("hello", seconds=1.0)])
    samples = np.concatenate([samples, np.zeros(SECOND // 2, np.float32)]).astype(np.float32)
    truth = [stretch(0.5, len(samples) / SECOND - 0.5, "en")]
    recorder = PosteriorRecorder(ENGINE)
    (utterance,) = recorder.record(samples, truth)
    shape = (len(utterance.hops), len(LENGTHS), len(ENGINE.languages))
    assert utterance.own.shape == utterance.shared.shape == shape
    np.testing.assert_allclose(utterance.own.sum(axis=2), 1.0, rtol=1e-4)
    assert recorder.cost.encodings["own"] > 0


def test_utterances_end_at_long_pauses_only():
    truth = [stretch(0, 1, "en"), stretch(1.4, 2, "es"), stretch(2.6, 3, "en")]
    assert [len(group) for group in utterances_of(truth)] == [2, 1]


def test_suite_names_are_those_of_the_command():
    from whisper_service.cli.evaluate import SuiteName

    assert [s.value for s in SuiteName if s is not SuiteName.everything] == list(SUITES)
