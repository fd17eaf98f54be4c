from dataclasses import replace
from itertools import pairwise

import pytest

from lid_speech import (
    EN,
    ES,
    FR,
    LANGUAGES,
    NOISE,
    PAIR,
    SECOND,
    changes,
    frames,
    probabilities,
    say,
)
from whisper_service.config import LanguageOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.lid import EVERYTHING, LanguageTracker
from whisper_service.lid.tracker import CAUTION


def test_the_first_language_is_decided_at_the_evidence_floor():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (2.0, EN))
    decided = next(i for i, s in enumerate(states) if s.language == "en")
    assert states[decided - 1].language is None
    assert frames(0, (2.0, EN))[decided].end == 12_800
    assert changes(states) == []


def test_nothing_may_be_committed_before_the_language_is_known():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, SECOND, (2.0, EN))
    assert {s.frontier for s in states if s.language is None} == {SECOND}
    assert states[-2].frontier == 3 * SECOND - SECOND // 2
    assert states[-1].frontier == EVERYTHING


def test_after_max_wait_the_best_guess_is_used_with_its_low_probability():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    weak = probabilities(en=0.05, es=0.02)
    states = say(tracker, 0, (2.5, weak))
    assert states[10].language is None
    assert states[-2].language == "en"
    assert states[-2].probability < 0.6


def test_another_language_after_a_pause_is_a_change_at_the_utterance_start():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    states = say(tracker, 4 * SECOND, (2.0, ES))
    (change,) = changes(states)
    assert (change.old, change.new, change.crossing) == ("en", "es", 4 * SECOND)
    assert change.decided_at - change.crossing <= SECOND
    before = [s for s in states if s.language == "en"]
    assert {s.frontier for s in before} == {4 * SECOND}


def test_the_same_language_after_a_pause_is_confirmed_at_the_floor():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    states = say(tracker, 4 * SECOND, (2.0, EN))
    assert changes(states) == []
    assert not states[5].settled
    assert states[6].settled


def test_a_change_inside_an_utterance_is_found_near_its_place():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.5, EN), (2.5, ES))  # the frames turn half a window after 3.0 s
    (change,) = changes(states)
    assert (change.old, change.new) == ("en", "es")
    assert abs(change.crossing - 3 * SECOND) <= 0.2 * SECOND
    assert change.decided_at <= 4.6 * SECOND


@pytest.mark.parametrize(("newest", "count"), [(ES, 1), (EN, 0), (NOISE, 0), (None, 1)])
def test_a_change_needs_the_newest_part_to_speak_for_it_too(newest, count):
    tracker = LanguageTracker(LANGUAGES, PAIR)
    tracker.start_utterance(0)
    heard = [
        replace(f, newest=newest if f.end > 3.5 * SECOND else None)
        for f in frames(0, (3.5, EN), (2.5, ES))
    ]
    assert len(changes([tracker.feed([f]) for f in heard])) == count


def test_a_candidate_freezes_the_frontier_at_its_first_frame():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.5, EN), (2.5, ES))
    disputed = [s for s in states if s.candidate == "es"]
    assert disputed
    assert all(s.frontier <= 3.2 * SECOND for s in disputed)
    assert all(s.candidate_since <= 3.2 * SECOND for s in disputed)
    assert not any(s.settled for s in disputed)


def test_a_candidate_that_dies_gives_the_frontier_back():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.5, EN), (0.5, ES), (2.0, EN))
    assert changes(states) == []
    assert any(s.candidate == "es" for s in states)
    assert states[-2].candidate is None
    assert states[-2].frontier == 5.5 * SECOND


def test_a_contest_that_nobody_wins_does_not_hold_text_back_for_ever():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    torn = probabilities(en=0.2, es=0.45)
    states = say(tracker, 0, (3.0, EN), (4.2, torn))[:-1]
    assert changes(states) == []
    contested = [s for s in states if s.candidate == "es"]
    assert contested[20].frontier < contested[20].candidate_since
    assert contested[-1].frontier == 7.2 * SECOND - SECOND // 2


@pytest.mark.parametrize("length", [0.2, 0.4, 0.6])
def test_a_single_word_does_not_flip_the_session(length):
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.0, EN), (length, ES), (3.0, EN))
    assert changes(states) == []


def test_noise_carries_no_evidence():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.0, EN), (30.0, NOISE), (3.0, EN))
    assert changes(states) == []
    assert {s.language for s in states if s.language} == {"en"}


def test_a_third_language_is_not_forced_in():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    states = say(tracker, 4 * SECOND, (4.0, FR))
    assert changes(states) == []
    assert states[-2].other > 0.9
    assert states[-2].probability < 0.1
    assert tracker.columns == ("en", "es", "other")


def test_without_named_languages_all_are_followed():
    tracker = LanguageTracker(LANGUAGES, LanguageOptions(policy="code_switch"))
    say(tracker, 0, (3.0, EN))
    states = say(tracker, 4 * SECOND, (3.0, FR))
    assert [c.new for c in changes(states)] == ["fr"]
    assert states[-1].other == 0.0


def test_a_short_utterance_keeps_the_language_unless_it_is_clearly_another():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    vague = say(tracker, 4 * SECOND, (0.6, probabilities(es=0.5)))
    assert vague[-1].language == "en"
    clear = say(tracker, 6 * SECOND, (0.6, ES))
    assert [(c.new, c.crossing) for c in changes(clear)] == [("es", 6 * SECOND)]
    assert clear[-1].language == "es"


def test_a_short_first_utterance_gets_the_best_guess():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (0.5, ES))
    assert states[-2].language is None
    assert states[-1].language == "es"


def test_auto_lock_decides_once():
    tracker = LanguageTracker(LANGUAGES, LanguageOptions(policy="auto_lock"))
    assert tracker.needs_frames
    states = say(tracker, 0, (2.0, EN))
    assert states[-1].language == "en"
    assert not tracker.needs_frames
    assert 0.5 < states[-1].probability < 1.0
    later = say(tracker, 4 * SECOND, (4.0, ES))
    assert {s.language for s in later} == {"en"}
    assert {s.frontier for s in later} == {EVERYTHING}
    assert changes(later) == []


def test_auto_lock_does_not_lock_on_too_little():
    tracker = LanguageTracker(LANGUAGES, LanguageOptions(policy="auto_lock"))
    say(tracker, 0, (0.5, ES))
    assert tracker.needs_frames
    states = say(tracker, 2 * SECOND, (3.0, EN))
    assert states[-1].language == "en"
    assert not tracker.needs_frames


def test_forced_needs_no_frames():
    options = LanguageOptions(policy="forced", languages=("es",))
    tracker = LanguageTracker(LANGUAGES, options)
    state = tracker.feed([])
    assert not tracker.needs_frames
    assert (state.language, state.frontier, state.settled) == ("es", EVERYTHING, False)
    tracker.start_utterance(0)
    assert tracker.feed([]).settled
    assert (
        LanguageTracker(LANGUAGES, LanguageOptions(policy="forced"), initial="fr").feed([]).language
        == "fr"
    )


def test_the_initial_language_is_a_hint_that_speech_can_overrule():
    tracker = LanguageTracker(LANGUAGES, PAIR, initial="es")
    assert tracker.feed([]).language == "es"
    assert [c.new for c in changes(say(tracker, 0, (2.0, EN)))] == ["en"]


def test_grouping_frames_changes_nothing():
    one, all_at_once = LanguageTracker(LANGUAGES, PAIR), LanguageTracker(LANGUAGES, PAIR)
    parts = [(3.0, EN), (3.0, ES), (3.0, EN)]
    singly = changes(say(one, 0, *parts))
    all_at_once.start_utterance(0)
    state = all_at_once.feed(frames(0, *parts))
    assert len(state.changes) == 2
    assert list(state.changes) == singly
    assert state.change == singly[-1]


def test_uncertain_between_two_close_languages():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (1.0, probabilities(en=0.41, es=0.4)))
    assert tracker.uncertain
    assert {code for code, _ in tracker.best_two} == {"en", "es"}
    say(tracker, 3 * SECOND, (3.0, EN))
    assert not tracker.uncertain
    assert tracker.best_two[0][0] == "en"


def test_the_timeline_holds_restricted_probabilities_at_the_centres():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (1.0, EN))
    timeline = tracker.timeline
    assert [at for at, _ in timeline] == [f.centre for f in frames(0, (1.0, EN))]
    assert all(row.sum() == pytest.approx(1.0, abs=1e-5) for _, row in timeline)
    assert all(len(row) == len(tracker.columns) for _, row in timeline)


def test_the_policy_can_change_while_running():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    tracker.set_policy("forced", ["fr"])
    assert tracker.feed([]).language == "fr"
    tracker.set_policy("code_switch", ["fr", "de"])
    assert tracker.feed([]).language == "fr"
    tracker.set_policy("code_switch", ["en", "es"])
    assert tracker.feed([]).language is None
    assert say(tracker, 4 * SECOND, (2.0, ES))[-1].language == "es"


def test_a_policy_change_inside_an_utterance_keeps_its_place():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    tracker.start_utterance(SECOND)
    both = frames(SECOND, (2.0, EN))
    tracker.feed(both[:8])
    tracker.set_policy("auto_lock", ["en", "es"])
    assert tracker.feed(both[8:]).language == "en"
    assert not tracker.needs_frames


def test_reset_forgets_the_stream():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    tracker.reset()
    assert tracker.feed([]).language is None
    assert not tracker.timeline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LanguageOptions(languages=("xx",)), "'xx'"),
        (LanguageOptions(policy="forced", languages=("en", "es")), "exactly one"),
        (LanguageOptions(policy="forced"), "exactly one"),
    ],
)
def test_impossible_languages_are_refused(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        LanguageTracker(LANGUAGES, options)


def test_a_model_with_one_language_needs_no_frames():
    tracker = LanguageTracker(("en",), LanguageOptions())
    assert not tracker.needs_frames
    assert tracker.feed([]).language == "en"


@pytest.mark.parametrize("right_first", [0.0, 0.1, 1.0, 3.0])
def test_a_burst_of_wrong_frames_as_long_as_the_dwell_changes_nothing(right_first):
    tracker = LanguageTracker(LANGUAGES, PAIR, initial="en")
    parts = [(0.1 + right_first, EN), (0.6, ES), (3.0, EN)]  # the first frame comes at 0.2 s
    states = say(tracker, 0, *parts)
    assert changes(states) == []


def test_a_language_chosen_by_the_decoder_is_adopted():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (0.5, EN))
    tracker.adopt("es")
    assert tracker.feed([]).language == "es"
    tracker.start_utterance(2 * SECOND)
    assert tracker.best_two[0][0] == "es"
    with pytest.raises(InvalidOptionError, match="'fr'"):
        tracker.adopt("fr")


def test_in_a_contest_the_newest_agreeing_frames_are_not_trusted():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    states = say(tracker, 0, (3.0, EN), (3.0, ES))
    before, contested = next(
        (a, b) for a, b in pairwise(states) if a.candidate is None and b.candidate == "es"
    )
    assert contested.frontier <= before.frontier - CAUTION + SECOND // 10
