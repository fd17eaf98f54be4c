"""What keeps one decode of a session in order: rewinds, budgets, margins, times, loops."""

from dataclasses import replace

import pytest
from test_session import TIMES, session, texts, window

from streams import ENGINE
from whisper_service.lid import EVERYTHING
from whisper_service.streaming.session import LanguageSession
from whisper_service.testing import ScriptedEngine, word_times
from whisper_service.types import FRAME, SAMPLE_RATE, to_samples

BEFORE = [(w, 0.5) for w in ("hello", "world", "please", "yes", "hello")]
AFTER = [("please", 0.5), ("everything", 0.5), ("yes", 0.5)]


class Rewinding(ScriptedEngine):
    """Its new token ``at`` attends to ``frame`` (20 ms)."""

    def __init__(self, at, frame):
        super().__init__()
        self.at, self.frame = at, frame

    def decode(self, requests):
        return [self._rewound(h) for h in super().decode(requests)]

    def _rewound(self, hypothesis):
        frames = list(hypothesis.frames)
        frames[self.at] = self.frame
        return replace(hypothesis, frames=tuple(frames))


def proposed(at, *, back, final=False):
    """What is said after five words if token ``at`` attends ``back`` frames before the fifth."""
    heard = window([*BEFORE, *AFTER, (None, 1.0)])
    s = session()
    frontier = word_times([*BEFORE, *AFTER])[len(BEFORE)].start
    words = s.accept(s.propose(heard, final=False), frontier=frontier, final=False)
    assert len(words) == len(BEFORE)
    s._engine = Rewinding(at, heard.frame(words[-1].start) - back)
    return texts(s.propose(heard, final=final).words)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (0, []),
        (1, ["please"]),
        (2, ["please"]),  # the second half of the word
        (3, ["please", "everything"]),
    ],
)
def test_words_end_before_the_first_that_attends_far_back(at, words):
    assert proposed(at, back=51) == words


def test_a_second_before_the_newest_word_is_not_far_back():
    assert proposed(1, back=50) == ["please", "everything", "yes"]


def test_a_final_text_may_attend_anywhere():
    assert proposed(1, back=90, final=True) == ["please", "everything", "yes"]


def test_before_anything_is_committed_nothing_is_far_back():
    s = session()
    s._engine = Rewinding(3, 0)
    assert texts(s.propose(window(), final=False).words) == ["hello", "world", "please", "yes"]


def test_the_budget_is_for_the_audio_behind_the_newest_committed_word():
    s = session(max_tokens_per_second=20.0)
    assert s.request(window(), final=True).max_new_tokens == 3 * 20
    assert s.request(window(), final=True, until=SAMPLE_RATE).max_new_tokens == 20
    s.accept(s.propose(window(), final=True), frontier=EVERYTHING, final=True)
    left = 3 * SAMPLE_RATE - s.state.last_end
    assert s.request(window(), final=True).max_new_tokens == -(-20 * left // SAMPLE_RATE) < 22


def test_a_preview_goes_further_than_what_may_be_committed():
    s = session(frame_threshold=0.4, preview_threshold=0.1)
    content = window().encoded.frames
    assert s.request(window(), final=False).stop_frame == content - 5
    assert s.request(window(), final=False, preview=False).stop_frame == content - 20
    assert s.request(window(), final=True).stop_frame is None
    assert s.request(window([(None, 0.04)]), final=False).stop_frame == 1


def test_of_a_long_prompt_the_end_is_kept():
    s = LanguageSession(
        engine=ENGINE,
        options=replace(session()._options, max_prompt_tokens=2),
        metrics=session()._metrics,
        language="en",
        start=0,
        prompt="hello world please yes",
    )
    assert list(s.request(window(), final=True).prompt) == ENGINE.tokenizer.encode(" please yes")


@pytest.mark.parametrize(("pause", "lasts"), [(0.24, True), (0.36, False)])
def test_a_word_lasts_until_the_next_one_unless_a_pause_lies_between(pause, lasts):
    script = [("hello", 0.5), (None, pause), ("world", 0.5), (None, 1.0)]
    s = session()
    first, second = s.accept(s.propose(window(script), final=True), frontier=0, final=True)
    assert (first.end == second.start) is lasts
    if not lasts:
        assert first.end == pytest.approx(to_samples(0.44), abs=FRAME)


def test_no_word_begins_before_the_speech_or_the_word_before_it():
    speech = to_samples(0.2)
    s = session()
    s.state.last_end = speech
    words = s.accept(s.propose(window(), final=True), frontier=0, final=True)
    assert words[0].start == speech
    s.go_on_from(0)
    again = s.accept(s.propose(window(), final=True), frontier=0, final=True)
    assert all(w.start >= words[-1].end for w in again)


def test_a_session_is_untouched_until_a_word_is_committed_whatever_the_prefix():
    s = session()
    assert s.untouched
    s.accept(s.propose(window(), final=True), frontier=0, final=True)
    assert not s.untouched
    s.go_on_from(s.state.last_end)
    assert s.state.committed == []
    assert not s.untouched


def test_a_loop_up_to_the_end_of_the_window_leaves_a_frame_to_go_on_from():
    s, heard = session(), window()
    words = s.accept(s.propose(heard, final=True), frontier=0, final=True)
    s.state.committed, s.state.last_end = words[:1] * 6, heard.end
    s.propose(heard, final=False)
    assert (s.state.window_start, s.state.committed) == (heard.end - FRAME, [])


def test_the_oldest_word_leaves_however_much_is_to_be_kept():
    s = session()
    s.accept(s.propose(window(), final=True), frontier=EVERYTHING, final=True)
    assert texts(s.shorten(keep=10**9)) == ["hello"]
    assert s.state.window_start == pytest.approx(TIMES[1].start, abs=2 * FRAME)


def test_a_word_that_left_is_not_in_the_window_however_soon_the_next_one_began():
    s = session()
    words = s.accept(s.propose(window(), final=True), frontier=EVERYTHING, final=True)
    first = replace(words[0], start=25 * FRAME)
    soon = replace(words[1], start=25 * FRAME + 100)
    s.state.committed = [first, soon, *words[2:]]
    assert s.shorten(keep=10**9) == [first]
    assert s.state.window_start == first.start
