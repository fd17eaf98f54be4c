"""Which spans the tracker is shown, and how they are encoded."""

import numpy as np
import pytest

from streams import ENGINE
from whisper_service.config import LanguageOptions
from whisper_service.lid import LanguageChange, LanguageTracker, LidFrame
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.listening import UNDOUBTED, Heard, LanguageListener
from whisper_service.streaming.localise import LOOK
from whisper_service.types import Word, to_samples


class Notebook:
    """Stands in for the encodings: writes down which spans were asked for, and how."""

    def __init__(self, best=0.99):
        self.shared, self.own, self.closer, self.best = [], [], [], best

    def window(self, start, end, *, needs=1, stage=""):
        return Window(start, end, None)

    def shared_frames(self, window, spans):
        self.shared += spans
        return [self.frame(s) for s in spans]

    def own_frames(self, spans, *, needs=None):
        self.own += spans[:needs]
        self.closer += spans[len(spans) if needs is None else needs :]
        return [self.frame(s) for s in spans]

    def frame(self, span):
        p = np.full(len(ENGINE.languages), (1 - self.best) / (len(ENGINE.languages) - 1))
        p[ENGINE.languages.index("en")] = self.best
        return LidFrame(start=span.start, end=span.end, probabilities=p.astype(np.float32))


def listener_of(notes, **options):
    opts = LanguageOptions(policy="code_switch", languages=("en", "es"), **options)
    return LanguageListener(
        engine=ENGINE,
        options=opts,
        encodings=notes,
        tracker=LanguageTracker(ENGINE.languages, opts),
        metrics=PerformanceMetrics(),
    )


def listen(notes, heard, *, end=2.0, start=0.0, final=False, **options):
    listener = listener_of(notes, **options)
    return listener.follow(heard, start=to_samples(start), end=to_samples(end), final=final)


def test_no_evidence_from_before_the_last_change():
    notes, floor = Notebook(), to_samples(1.1)
    listen(notes, Heard(until=to_samples(1.4), floor=floor))
    assert notes.shared
    assert min(s.start for s in notes.shared) == floor


def test_each_hop_is_heard_once():
    notes, heard = Notebook(), Heard(until=0, floor=0)
    listen(notes, heard, end=1.0)
    listen(notes, heard, end=2.0)
    ends = [s.end for s in notes.shared]
    assert ends == sorted(set(ends))
    assert ends[-1] == to_samples(2.0)


@pytest.mark.parametrize(
    ("evidence", "best", "own"),
    [("checked", 0.99, False), ("checked", 0.7, True), ("shared", 0.7, False), ("own", 0.99, True)],
)
def test_doubtful_spans_are_encoded_alone(evidence, best, own):
    notes = Notebook(best)
    listen(notes, Heard(until=0, floor=0), evidence=evidence)
    assert bool(notes.own) == own
    assert bool(notes.shared) == (evidence != "own")


def test_an_utterance_shorter_than_a_frame_is_heard_at_its_end():
    notes = Notebook()
    state = listen(notes, Heard(until=0, floor=0), end=0.15, final=True)
    assert [(s.start, s.end) for s in notes.shared] == [(0, to_samples(0.15))]
    assert state.language == "en"


class Bilingual(Notebook):
    """Hears Spanish in spans whose middle lies after ``change``, English before."""

    def __init__(self, change):
        super().__init__()
        self.change = to_samples(change)

    def frame(self, span):
        language = "es" if span.centre >= self.change else "en"
        p = np.full(len(ENGINE.languages), 0.01 / (len(ENGINE.languages) - 1))
        p[ENGINE.languages.index(language)] = 0.99
        return LidFrame(start=span.start, end=span.end, probabilities=p.astype(np.float32))


@pytest.mark.parametrize("window", [(0.0, 3.2), (1.6, 3.2), (1.6, 2.3)])
def test_a_change_is_localised_in_the_windows_own_encoding(window):
    notes, decided = Bilingual(change=2.0), to_samples(window[1])
    start, end = map(to_samples, window)
    change = LanguageChange(
        old="en", new="es", crossing=to_samples(2.1), decided_at=decided, probability=0.9
    )
    point = listener_of(notes).localise(
        change, notes.window(start, end), floor=start, places=[to_samples(1.95)]
    )
    assert point.at == to_samples(1.95)
    assert notes.own == notes.closer == []  # the window is encoded already
    assert min(s.start for s in notes.shared) >= start
    assert end - LOOK < max(s.end for s in notes.shared) <= end


@pytest.mark.parametrize("step", [0.1, 0.2, 0.5, 4.0])
def test_spans_are_cut_where_another_language_seems_to_begin(step):
    notes, heard = Bilingual(change=2.0), Heard(until=0, floor=0)
    opts = LanguageOptions(policy="code_switch", languages=("en", "es"))
    listener = LanguageListener(
        engine=ENGINE,
        options=opts,
        encodings=notes,
        tracker=LanguageTracker(ENGINE.languages, opts),
        metrics=PerformanceMetrics(),
    )
    change = None
    for end in np.arange(1, round(4.0 / step) + 1) * step:
        state = listener.follow(heard, start=0, end=to_samples(float(end)), final=False)
        change = change or state.change
    assert change is not None
    suspected = [s for s in notes.own if s.end <= change.decided_at]
    assert suspected
    cut = [s.start for s in suspected if s.end - s.start < to_samples(1.0)]
    assert cut
    assert all(abs(start - to_samples(2.0)) <= to_samples(0.1) for start in cut)
    assert change.decided_at <= to_samples(3.2)
    assert {s.end for s in notes.closer} == {s.end for s in notes.own}
    assert all(s.end - s.start <= to_samples(0.4) for s in notes.closer)


def test_a_suspicion_that_passes_cuts_nothing_more():
    notes, heard = Bilingual(change=2.0), Heard(until=0, floor=0, candidate=to_samples(1.0))
    notes.change = to_samples(100.0)
    listen(notes, heard, end=3.0)
    assert heard.candidate is None
    assert notes.shared[-1].start == to_samples(2.0)


def test_doubt_about_the_start_of_an_utterance_cuts_nothing():
    notes, heard = Bilingual(change=2.0), Heard(until=0, floor=0)
    opts = LanguageOptions(policy="code_switch", languages=("en", "es"))
    tracker = LanguageTracker(ENGINE.languages, opts)
    listener = LanguageListener(
        engine=ENGINE,
        options=opts,
        encodings=notes,
        tracker=tracker,
        metrics=PerformanceMetrics(),
    )
    listener.follow(heard, start=0, end=to_samples(1.8), final=True)
    heard, notes.own = Heard(until=to_samples(4.0), floor=to_samples(4.0)), []
    tracker.start_utterance(to_samples(4.0))
    for end in (4.5, 5.0, 5.2, 6.0):
        listener.follow(heard, start=to_samples(4.0), end=to_samples(end), final=False)
    assert notes.own == []
    assert notes.closer  # but what was spoken last is heard alone
    assert all(s.start >= to_samples(4.0) for s in notes.closer)
    assert tracker.feed(()).language == "es"


@pytest.mark.parametrize(
    ("best", "language", "start", "asked"),
    [
        (UNDOUBTED + 0.01, "en", 0.5, False),
        (0.85, "en", 0.5, True),
        (UNDOUBTED + 0.01, "es", 0.5, True),  # the frames speak for another language
        (UNDOUBTED + 0.01, "fr", 0.5, True),  # not allowed any more
        (UNDOUBTED + 0.01, "en", 3.5, True),  # heard by no frame
    ],
)
def test_a_word_among_frames_without_doubt_is_not_heard_again(best, language, start, asked):
    notes = Notebook(best)
    listener = listener_of(notes, doubt=0.5)
    listener.follow(Heard(until=0, floor=0), start=0, end=to_samples(2.0), final=False)
    notes.shared.clear()
    at = {"start": to_samples(start), "end": to_samples(start + 0.4)}
    word = Word(text=" a", probability=0.9, language=language, tokens=(1,), **at)
    tagged = listener.tag([word], Window(0, to_samples(4.0), None))
    assert bool(notes.shared) == asked
    assert [w.text for w in tagged] == [" a"]


def test_one_doubted_word_is_enough_to_ask():
    notes = Notebook()
    listener = listener_of(notes)
    listener.follow(Heard(until=0, floor=0), start=0, end=to_samples(2.0), final=False)
    notes.shared.clear()
    words = [
        Word(text=text, start=to_samples(at), end=to_samples(at + 0.3), probability=0.9,
             language="en", tokens=(1,))
        for text, at in ((" a", 0.5), (" b", 3.5))
    ]  # fmt: skip
    listener.tag(words, Window(0, to_samples(4.0), None))
    assert len(notes.shared) == 2
