"""Changes of language that the text denies or puts off."""

from lid_speech import EN, ES, LANGUAGES, PAIR, SECOND, changes, frames, say
from whisper_service.config import LanguageOptions
from whisper_service.lid import LanguageTracker
from whisper_service.lid.tracker_state import Contest, TrackerState


def denied_change():
    """A tracker that has taken back a change to Spanish, and the frame after which it did."""
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    tracker.start_utterance(4 * SECOND)
    following = iter(frames(4 * SECOND, (6.0, ES)))
    change = next(c for frame in following for c in tracker.feed([frame]).changes)
    tracker.deny(change)
    return tracker, change, following


def test_a_change_that_is_denied_leaves_the_language_and_holds_text_back():
    tracker, change, _ = denied_change()
    state = tracker.feed([])
    assert (state.language, state.settled) == ("en", False)
    assert state.frontier == change.crossing == 4 * SECOND


def test_after_a_denial_a_change_needs_all_its_evidence_anew():
    tracker, change, following = denied_change()
    again = next(c for frame in following for c in tracker.feed([frame]).changes)
    assert (again.old, again.new) == ("en", "es")
    hop = SECOND // 10
    assert again.decided_at - change.decided_at > PAIR.min_dwell_frames * hop


def test_after_a_denial_a_frame_counts_by_what_is_new_in_it():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    tracker.start_utterance(0)
    following = iter(frames(0, (3.0, EN), (4.0, ES)))
    tracker.deny(next(c for frame in following for c in tracker.feed([frame]).changes))
    tracker.feed([next(following)])  # nine tenths of it were heard before
    assert tracker.best_two[0][0] == "en"


def test_after_a_denial_the_language_can_be_confirmed():
    tracker, change, _ = denied_change()
    rest = [f for f in frames(4 * SECOND, (6.0, EN)) if f.end > change.decided_at]
    states = [tracker.feed([frame]) for frame in rest]
    assert changes(states) == []
    assert states[-1].settled
    assert states[-1].frontier > 9 * SECOND


def test_a_change_denied_after_the_utterance_changes_nothing_more():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    (change,) = changes(say(tracker, 4 * SECOND, (0.5, ES)))
    tracker.deny(change)
    assert tracker.feed([]).language == "en"
    assert tracker.end_utterance().changes == ()


def test_a_denied_change_locks_nothing():
    options = LanguageOptions(policy="auto_lock", languages=("en", "es"))
    tracker = LanguageTracker(LANGUAGES, options)
    say(tracker, 0, (0.5, EN))  # too little to lock
    assert tracker.needs_frames
    tracker.start_utterance(2 * SECOND)
    following = iter(frames(2 * SECOND, (6.0, ES)))
    change = next(c for frame in following for c in tracker.feed([frame]).changes)
    tracker.deny(change)
    assert tracker.needs_frames
    assert [c.new for frame in following for c in tracker.feed([frame]).changes][:1] == ["es"]


def test_a_change_that_is_postponed_is_decided_again_by_the_next_frame():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    tracker.start_utterance(0)
    following = iter(frames(0, (3.0, EN), (4.0, ES)))
    for frame in following:
        before, state = tracker.feed([]), tracker.feed([frame])
        if state.change:
            break
    tracker.postpone(state.change)
    after = tracker.feed([])
    assert (after.language, after.candidate, after.settled) == ("en", "es", False)
    assert (after.frontier, after.candidate_since) == (before.frontier, before.candidate_since)
    again = tracker.feed([next(following)]).change
    assert (again.old, again.new) == ("en", "es")


def test_what_was_postponed_is_over_when_the_old_language_comes_back():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    tracker.start_utterance(0)
    decided = []
    for frame in frames(0, (3.0, EN), (1.5, ES), (4.0, EN)):
        for change in tracker.feed([frame]).changes:
            decided.append(change)
            tracker.postpone(change)
    state = tracker.feed([])
    assert decided
    assert (state.language, state.settled, state.candidate) == ("en", True, None)


def test_what_is_undone_is_all_that_was_settled():
    contest = Contest(language=1, since=5, frozen=3)
    state = TrackerState(language=0, confirmed=False, contest=contest, agreed=7)
    state.settle(1)
    state.agreed, state.locked = 9, True
    assert (state.language, state.confirmed, state.contest) == (1, True, None)
    state.undo()
    assert (state.language, state.confirmed, state.contest) == (0, False, contest)
    assert (state.agreed, state.locked) == (7, False)


def test_only_the_newest_change_can_be_postponed():
    tracker = LanguageTracker(LANGUAGES, PAIR)
    say(tracker, 0, (3.0, EN))
    (change,) = changes(say(tracker, 4 * SECOND, (3.0, ES)))
    tracker.adopt("en")
    tracker.postpone(change)
    assert tracker.feed([]).language == "en"
