"""Which spans the tracker is shown, and how they are encoded."""

import numpy as np
import pytest

from streams import ENGINE
from whisper_service.config import LanguageOptions
from whisper_service.lid import LanguageTracker, LidFrame
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.listening import Heard, LanguageListener
from whisper_service.types import to_samples


class Notebook:
    """Stands in for the encodings: writes down which spans were asked for, and how."""

    def __init__(self, best=0.99):
        self.shared, self.own, self.best = [], [], best

    def window(self, start, end, *, needs=1, stage=""):
        return Window(start, end, None)

    def shared_frames(self, window, spans):
        self.shared += spans
        return [self.frame(s) for s in spans]

    def own_frames(self, spans):
        self.own += spans
        return [self.frame(s) for s in spans]

    def frame(self, span):
        p = np.full(len(ENGINE.languages), (1 - self.best) / (len(ENGINE.languages) - 1))
        p[ENGINE.languages.index("en")] = self.best
        return LidFrame(start=span.start, end=span.end, probabilities=p.astype(np.float32))


def listen(notes, heard, *, end=2.0, start=0.0, final=False, **options):
    opts = LanguageOptions(policy="code_switch", languages=("en", "es"), **options)
    listener = LanguageListener(
        engine=ENGINE,
        options=opts,
        encodings=notes,
        tracker=LanguageTracker(ENGINE.languages, opts),
        metrics=PerformanceMetrics(),
    )
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
    state = listen(notes, Heard(until=0, floor=0), end=0.25, final=True)
    assert [(s.start, s.end) for s in notes.shared] == [(0, to_samples(0.25))]
    assert state.language == "en"
