"""Where a change inside an utterance is put, and what both sessions say around it."""

from itertools import pairwise

import numpy as np
import pytest

from streams import committed, finals, options, pieces, run
from whisper_service.config import DecodeOptions, VadOptions
from whisper_service.events import AudioSkipped, Committed, Final, LanguageSwitched, Partial
from whisper_service.lid import LanguageTracker
from whisper_service.streaming.listening import LanguageListener
from whisper_service.streaming.localise import GRID, LOOK, ChangePoint
from whisper_service.streaming.second_opinion import Verdict, judge
from whisper_service.streaming.session import LanguageSession
from whisper_service.streaming.utterance import OVERSHOT
from whisper_service.streaming.voicing import Voicing
from whisper_service.testing import utterance, word_times
from whisper_service.types import to_samples

ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5)]
SPANISH = [(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos", "sí", "hola")]
IN_ONE_BREATH = [*ENGLISH, ("everything", 0.5), ("hello", 0.5), *SPANISH, (None, 1.2)]
CHANGE = word_times(IN_ONE_BREATH)[6].start
LONG_SPANISH = [(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos", "sí", "hola") * 2]
UNHEARD = ("bonjour", 0.5)  # speech in which neither language has words
UNHEARD_BETWEEN = [*ENGLISH, ("everything", 0.5), ("hello", 0.5), UNHEARD, *SPANISH, (None, 1.2)]


def test_a_change_point_is_offered_the_dips_of_its_own_speech(monkeypatch):
    offered = {}

    def localise(self, change, window, *, floor, places):
        offered.update(places=list(places), floor=floor)
        return ChangePoint.given(change.crossing)

    monkeypatch.setattr(LanguageListener, "localise", localise)
    monkeypatch.setattr(Voicing, "dips", lambda self, *, below: [CHANGE])
    run(utterance(IN_ONE_BREATH), options("en", "es"))
    assert offered["places"][0] == CHANGE


def test_a_change_point_may_lie_a_little_before_the_newest_committed_word(monkeypatch):
    offered = {}

    def localise(self, change, window, *, floor, places):
        offered.update(floor=floor, said=list(places)[-1])
        return ChangePoint.given(offered["said"] - to_samples(0.3))

    monkeypatch.setattr(LanguageListener, "localise", localise)
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    assert offered["floor"] == offered["said"] - OVERSHOT
    words = [word for e in events if isinstance(e, Committed) for word in e.words]
    assert all(a.end <= b.start for a, b in pairwise(words))
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert switched.at == offered["said"] - to_samples(0.3)


def test_words_after_such_a_point_are_placed_behind_the_committed_ones(monkeypatch):
    begun, said = [], []

    def localise(self, change, window, *, floor, places):
        said.append(list(places)[-1])
        return ChangePoint.given(said[0] - to_samples(0.3))

    class Session(LanguageSession):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            begun.append((self.start, self.state.last_end))

    monkeypatch.setattr(LanguageListener, "localise", localise)
    monkeypatch.setattr("whisper_service.streaming.session_maker.LanguageSession", Session)
    run(utterance(IN_ONE_BREATH), options("en", "es"))
    assert begun[-1] == (said[0] - to_samples(0.3), said[0])


def test_a_change_point_at_the_windows_start_leaves_the_old_session_nothing_to_say(monkeypatch):
    monkeypatch.setattr(
        LanguageListener,
        "localise",
        lambda self, change, window, **_: ChangePoint.given(window.start),
    )
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    assert "hola mundo" in committed(events)


def test_a_change_at_the_start_of_a_session_with_words_ends_its_segment(monkeypatch):
    monkeypatch.setattr(
        LanguageListener,
        "localise",
        lambda self, change, window, **_: ChangePoint.given(window.start),
    )
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    languages = [(s.language, {w.language for w in s.words}) for s in finals(events)]
    assert languages == [("en", {"en"}), ("es", {"es"})]
    assert switched.new == "es"


def test_a_fragment_of_the_next_language_moves_the_change(monkeypatch):
    localised, asked = noted_points(monkeypatch), []

    def before_fragment(self, proposal, change):
        asked.append(change)
        return change.at - to_samples(0.1)

    monkeypatch.setattr(LanguageSession, "before_fragment", before_fragment)
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert asked[0] is localised[-1]
    assert switched.at == asked[0].at - to_samples(0.1)


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_a_change_of_two_words_waits_while_the_old_language_seems_to_go_on(monkeypatch, mode):
    heard = []

    def noted(change, trial, window, **more):
        words = len(trial.propose(window, final=False).words)
        heard.append((words, judge(change, trial, window, **more)))
        return heard[-1][1]

    script = [*ENGLISH, ("everything", 0.5), ("hello", 0.5), *LONG_SPANISH, (None, 1.2)]
    _, plain = run(utterance(script), options("en", "es", mode=mode))
    noted_points(monkeypatch, back=5.0, times=3)
    monkeypatch.setattr("whisper_service.streaming.utterance.judge", noted)
    _, events = run(utterance(script), options("en", "es", mode=mode))
    assert (2, Verdict.POSTPONED) in heard
    assert heard[-1][1] is Verdict.TAKEN
    assert committed(events) == committed(plain)
    assert [e.new for e in events if isinstance(e, LanguageSwitched)] == ["es"]


def noted_points(monkeypatch, *, back=0.0, times=0):
    """The points that are localised from now on; the first ``times`` speak for a return."""
    localise, points = LanguageListener.localise, []

    def noted(self, change, window, **more):
        assert window.end <= change.decided_at
        point = localise(self, change, window, **more)
        if len(points) < times:
            evidence = np.array([[0.0, -back * LOOK / GRID]])
            point = ChangePoint(point.at, starts=np.array([point.at]), evidence=evidence)
        points.append(point)
        return point

    monkeypatch.setattr(LanguageListener, "localise", noted)
    return points


@pytest.mark.parametrize("policy", ["align_att", "local_agreement"])
def test_two_segments_meet_at_a_change_wherever_their_words_end_and_begin(policy):
    opts = options("en", "es", decode=DecodeOptions(policy=policy))
    _, events = run(utterance(UNHEARD_BETWEEN), opts)
    english, spanish = finals(events)
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert english.words[-1].end < switched.at < spanish.words[0].start
    assert english.end == switched.at == spanish.start


def test_speech_without_words_that_is_too_long_for_a_segment_is_left_out_up_to_the_change():
    script = [*ENGLISH, (None, 2.5), *SPANISH, (None, 1.2)]
    _, events = run(utterance(script), options("en", "es", vad=VadOptions(enabled=False)))
    english, gap, *_ = pieces(events)
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert english.end == english.words[-1].end
    assert gap == AudioSkipped(start=english.end, end=switched.at, reason="no_words")


def test_a_running_segment_is_shown_to_begin_where_it_does_when_it_is_complete():
    _, events = run(utterance(UNHEARD_BETWEEN), options("en", "es"))
    shown = {(e.language, e.start) for e in events if isinstance(e, Partial)}
    assert shown == {(s.language, s.start) for s in finals(events)}


def test_behind_words_that_reach_past_the_change_the_new_segment_begins_where_they_end(monkeypatch):
    def localise(self, change, window, *, places, **_):
        return ChangePoint.given(list(places)[-1] - to_samples(0.3))

    monkeypatch.setattr(LanguageListener, "localise", localise)
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    english, spanish = finals(events)
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert switched.at < english.words[-1].end == english.end == spanish.start


@pytest.mark.parametrize("later", [-0.3, 0.3])
def test_a_segment_complete_before_the_change_was_found_is_followed_at_its_end(monkeypatch, later):
    """The old session says no more before the change: the next segment takes what is left."""

    def localise(self, change, window, *, places, **_):
        return ChangePoint.given(list(places)[-1] + to_samples(later))

    monkeypatch.setattr(LanguageListener, "localise", localise)
    monkeypatch.setattr("whisper_service.streaming.segments.LONGEST", to_samples(2.2))
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    told = [e for e in events if isinstance(e, Final | LanguageSwitched)]
    assert [type(e) for e in told[:3]] == [Final, LanguageSwitched, Final]
    english, spanish = told[0].segment, told[2].segment
    assert (english.language, spanish.language) == ("en", "es")
    assert english.words[-1].end == english.end == spanish.start
    assert told[1].at - english.end == to_samples(later)


def test_a_second_choice_behind_words_that_reach_past_the_change_is_placed_behind_them(monkeypatch):
    script = [*ENGLISH, ("everything", 0.5), ("hello", 0.5)]
    script += [(w, 0.4) for w in ("hola", "mundo", "gracias")]

    def localise(self, change, window, *, places, **_):
        return ChangePoint.given(list(places)[-1] - to_samples(0.3))

    def english(session, proposal, *, likely):
        return session.propose(proposal.window, final=True, language="en")

    monkeypatch.setattr(LanguageListener, "localise", localise)
    monkeypatch.setattr(LanguageTracker, "uncertain", True)
    monkeypatch.setattr("whisper_service.streaming.utterance.better_language", english)
    _, events = run(utterance([*script, (None, 1.2)]), options("en", "es"))
    assert len(finals(events)) == 2
    assert all(a.end <= b.start for a, b in pairwise(pieces(events)))
