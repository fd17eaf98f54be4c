"""What a change of language must show beside its sound: text that fits it."""

from dataclasses import replace

import numpy as np
import pytest

from streams import committed, options
from whisper_service.config import DecodeOptions, VadOptions
from whisper_service.events import LanguageSwitched, SpeechStarted
from whisper_service.features import log_mel
from whisper_service.lid import LanguageChange, LanguageTracker
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming import second_opinion
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.localise import GRID, LOOK, ChangePoint
from whisper_service.streaming.second_opinion import (
    CLEARLY,
    RETURNED,
    SINGLE,
    Verdict,
    is_short,
    judge,
    speaks_against,
)
from whisper_service.streaming.session import (
    CUT,
    DOUBTFUL,
    FRAGMENT,
    LanguageSession,
    Proposal,
)
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.streaming.utterance import UtteranceDecoder
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance, word_times
from whisper_service.types import FRAME, to_samples

FIRST = [(None, 0.7), ("hello", 0.5), ("please", 0.5), ("yes", 0.5), ("hello", 0.5), (None, 1.0)]
MISHEARD = [*FIRST, ("world", 1.6), ("hello", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.2)]
SPANISH = [*FIRST, *[(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos")], (None, 1.2)]


class Misled(ScriptedEngine):
    """Takes the sound of "world" for Spanish, but can read it in English only."""

    def language_probabilities(self, spans):
        truth = self._language
        self._language = truth | {"world": "es"}
        heard = super().language_probabilities(spans)
        self._language = truth
        return heard


def switches(script):
    stream = StreamTranscriber(Misled(), options("en", "es"), detector=EnergyVad())
    events = stream.feed(utterance(script)) + stream.finish()
    return [e for e in events if isinstance(e, LanguageSwitched)], committed(events)


def test_a_language_in_which_nothing_can_be_read_is_not_taken():
    found, text = switches(MISHEARD)
    assert found == []
    assert text == "hello please yes hello world hello please yes"


def heard_in(script):
    stream = StreamTranscriber(ScriptedEngine(), options("en", "es"), detector=EnergyVad())
    events = stream.feed(utterance(script)) + stream.finish()
    return [e.new for e in events if isinstance(e, LanguageSwitched)]


def test_one_word_however_long_changes_no_language(monkeypatch):
    rest = [("world", 0.5), ("hello", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.2)]
    script = [*FIRST[:-1], ("gracias", 1.2), *rest]
    assert heard_in(script) == []
    monkeypatch.setattr(second_opinion, "SINGLE", 0)
    assert heard_in(script) == ["es", "en"]


class Counting(ScriptedEngine):
    """Counts the windows it encodes."""

    encoded = 0

    def encode(self, mels):
        self.encoded += len(mels)
        return super().encode(mels)


def test_offline_a_postponed_change_does_not_hear_all_that_follows_again_and_again():
    rest = [(w, 0.5) for w in ("world", "hello", "please", "yes") * 10]
    encoded = {}
    for mode in ("fast", "offline"):
        engine = Counting()
        stream = StreamTranscriber(engine, options("en", "es", mode=mode), detector=EnergyVad())
        stream.feed(utterance([*FIRST[:-1], ("gracias", 1.2), *rest, (None, 1.2)]))
        stream.finish()
        assert stream.transcript().switches == ()
        encoded[mode] = engine.encoded
    assert encoded["offline"] < 2 * encoded["fast"]


@pytest.mark.parametrize("pre_roll", [0.3, 0.5])
def test_where_all_of_an_utterance_is_in_another_language_one_word_is_enough(pre_roll):
    script = [*FIRST, ("gracias", 0.5), ("mundo", 1.2), (None, 1.2)]
    opts = options("en", "es", vad=VadOptions(pre_roll=pre_roll))
    stream = StreamTranscriber(ScriptedEngine(), opts, detector=EnergyVad())
    events = stream.feed(utterance(script)) + stream.finish()
    (change,) = [e for e in events if isinstance(e, LanguageSwitched)]
    spoken = [e.at for e in events if isinstance(e, SpeechStarted)][-1]
    assert change.decided_at - spoken < to_samples(1.3), "before the second word is complete"


def test_when_a_change_is_taken_the_dispute_is_over(monkeypatch):
    begun, start = [], UtteranceDecoder._start_session

    def noted(self, language, **more):
        begun.append((language, self.running.listened.disputed, self.running.listened.candidate))
        start(self, language, **more)

    monkeypatch.setattr(UtteranceDecoder, "_start_session", noted)
    script = [*FIRST[:-1], *SPANISH[len(FIRST) :]]
    assert heard_in(script) == ["es"]
    assert begun[-1] == ("es", False, None)


def test_a_denial_does_not_lock_the_language():
    opts = options("en", "es")
    opts = replace(opts, language=replace(opts.language, policy="auto_lock"))
    script = [(None, 0.7), ("hello", 0.5), *MISHEARD[len(FIRST) - 1 : -1], (None, 1.0)]
    stream = StreamTranscriber(Misled(), opts, detector=EnergyVad())
    stream.feed(utterance([*script, *SPANISH[len(FIRST) :]]))
    stream.finish()
    text = stream.transcript().text
    assert text.startswith("hello world hello please yes")


def test_without_the_text_the_sound_would_decide(monkeypatch):
    monkeypatch.setattr(LanguageTracker, "looks_twice", False)
    assert switches(MISHEARD)[0]


def test_a_language_that_can_be_read_is_taken():
    found, text = switches(SPANISH)
    assert [(e.old, e.new) for e in found] == [("en", "es")]
    assert text == "hello please yes hello hola mundo gracias buenos"


class Accented(ScriptedEngine):
    """Reads Spanish a little less well than English."""

    def decode(self, requests):
        return [
            replace(h, logprobs=(-0.9,) * len(h.tokens)) if r.language == "es" else h
            for r, h in zip(requests, super().decode(requests), strict=True)
        ]


@pytest.mark.parametrize("mode", ["offline", "fast"])
def test_what_follows_a_change_back_does_not_deny_the_change(mode):
    english = ["hello", "please", "yes", "world", "everything", "hello", "yes", "please"]
    spanish = ["hola", "mundo", "gracias", "buenos", "hola", "gracias"]
    said = [*english[:6], *spanish, *english, *reversed(english)]
    script = [(None, 0.7), *[(word, 0.5) for word in said], (None, 1.2)]
    stream = StreamTranscriber(Accented(), options("en", "es", mode=mode), detector=EnergyVad())
    stream.feed(utterance(script))
    stream.finish()
    assert [s.new for s in stream.transcript().switches] == ["es", "en"]
    assert stream.transcript().text == " ".join(said)


ENGINE = ScriptedEngine()
WORDS = [("hello", 0.5), ("world", 0.5), ("yes", 0.1), (None, 1.0)]
TIMES = word_times(WORDS)


def window():
    samples = utterance(WORDS)
    (encoded,) = ENGINE.encode([log_mel(samples)])
    return Window(0, len(samples), encoded)


def session():
    return LanguageSession(
        engine=ENGINE,
        options=DecodeOptions(),
        metrics=PerformanceMetrics(),
        language="en",
        start=0,
    )


def proposal(*, probability=0.9, logprob=None, words=3):
    made = session().propose(window(), final=True)
    spoken = [replace(w, probability=0.9) for w in made.words]
    spoken[-1] = replace(spoken[-1], probability=probability)
    heard = made.hypothesis
    if logprob is not None:
        heard = replace(heard, logprobs=(logprob,) * len(heard.tokens))
    return replace(made, words=tuple(spoken[:words]), hypothesis=heard)


def silent():
    empty = replace(
        proposal().hypothesis,
        tokens=(),
        logprobs=(),
        frames=(),
        attention=np.zeros((0, 1), np.float32),
    )
    return Proposal(window(), "es", empty, ())


def test_the_clearly_better_text_speaks_against_the_other():
    good, bad = proposal(logprob=-0.2), proposal(logprob=-0.21 - CLEARLY)
    assert speaks_against(good, bad)
    assert not speaks_against(bad, good)
    assert not speaks_against(proposal(logprob=-0.2), proposal(logprob=-0.19 - CLEARLY))
    assert speaks_against(proposal(logprob=-5.0), silent())
    assert not speaks_against(silent(), silent())


def unsure(at):
    """A change at ``at`` of which the sound says nothing."""
    return ChangePoint(at=at, starts=np.zeros(1), evidence=np.zeros((1, 2)))


def against(nats, *, at, point):
    """A change at ``point`` that the sound prefers by ``nats`` to one at ``at``."""
    starts = np.arange(min(at, point) - 2 * LOOK, max(at, point) + LOOK, GRID, dtype=np.float64)
    flat = ChangePoint(at=point, starts=starts, evidence=np.tile([-0.1, -0.2], (len(starts), 1)))
    scale = nats / flat.against(at)
    return replace(flat, evidence=flat.evidence * scale)


@pytest.mark.parametrize(
    ("probability", "late", "nats", "moved"),
    [
        (DOUBTFUL - 0.01, 0, CUT - 0.01, True),
        (DOUBTFUL - 0.01, 0, CUT + 0.01, False),  # the sound says that it was cut
        (DOUBTFUL - 0.01, 0, -1.0, True),
        (DOUBTFUL + 0.01, 0, -1.0, False),  # a word that was understood
        (DOUBTFUL - 0.01, FRAGMENT, -1.0, False),  # longer than a fragment
    ],
)
def test_a_short_doubtful_last_word_belongs_behind_the_change(probability, late, nats, moved):
    said = proposal(probability=probability)
    begins = said.window.sample(said.words[-1].start)
    change = against(nats, at=begins, point=begins + to_samples(0.1) + late)
    expected = begins if moved else change.at
    assert session().before_fragment(said, change) == expected


@pytest.mark.parametrize(("first", "moved"), [(0.3, 2), (0.9, 1)])
def test_several_doubtful_words_belong_behind_the_change(first, moved):
    said = proposal(probability=0.3)
    *before, one, two = said.words
    one = replace(one, start=two.start - 5, end=two.start, probability=first)
    said = replace(said, words=(*before, one, two))
    change = unsure(said.window.sample(two.start) + to_samples(0.1))
    expected = said.window.sample((one if moved == 2 else two).start)
    assert session().before_fragment(said, change) == expected


def test_words_that_belong_behind_a_change_take_no_time_before_it():
    said, s = proposal(probability=0.3), session()
    *before, one, two = said.words
    one = replace(one, start=two.start - 5, end=two.start, probability=0.3)
    said = replace(said, words=(*before, one, two))
    change = unsure(said.window.sample(two.start) + to_samples(0.1))
    point = s.before_fragment(said, change)
    kept = s.accept(said, frontier=point, final=True, until=point)
    assert len(kept) == len(before)
    assert s.state.last_end <= point


def test_a_fragment_does_not_reach_back_behind_committed_words():
    s, said = session(), proposal(probability=0.1)
    point = said.window.sample(said.words[-1].start) + to_samples(0.1)
    s.state.last_end = point - FRAME
    assert s.before_fragment(said, unsure(point)) == point - FRAME


def test_a_cut_that_was_not_looked_for_is_not_moved():
    said = proposal(probability=0.1)
    cut = said.window.sample(said.words[-1].start) + to_samples(0.1)
    assert session().before_fragment(said, ChangePoint.given(cut)) == cut


def test_without_words_a_change_stays_where_it_is():
    change = unsure(to_samples(1.0))
    assert session().before_fragment(silent(), change) == to_samples(1.0)


class Trial:
    """A session that reads what it is told to, by language."""

    def __init__(self, spanish, english):
        self.read = {None: spanish, "en": english}

    def propose(self, window, *, final, language=None):
        assert not final
        return self.read[language]


CHANGE = LanguageChange(old="en", new="es", crossing=0, decided_at=0, probability=0.7)


def opinion(spanish, english, *, whole=False, length=None, back=0.0):
    heard = window() if length is None else replace(window(), end=length)
    point = ChangePoint(at=0, starts=np.zeros(1), evidence=np.array([[0.0, -back * LOOK / GRID]]))
    return judge(CHANGE, Trial(spanish, english), heard, point=point, whole=whole)


@pytest.mark.parametrize(
    ("english", "verdict"), [(-0.1, Verdict.DENIED), (-0.6, Verdict.TAKEN), (-0.4, Verdict.TAKEN)]
)
def test_a_change_is_denied_by_clearly_better_text_in_the_old_language(english, verdict):
    assert opinion(proposal(logprob=-0.5), proposal(logprob=english)) is verdict


def test_a_change_in_whose_language_nothing_can_be_read_is_denied():
    assert opinion(silent(), silent(), whole=True) is Verdict.DENIED
    assert opinion(silent(), silent()) is Verdict.DENIED


def test_text_that_none_can_beat_clearly_is_not_compared():
    assert opinion(proposal(logprob=-CLEARLY), None) is Verdict.TAKEN


def test_of_a_single_word_inside_an_utterance_nothing_is_known_yet():
    one = proposal(logprob=-0.5, words=1)
    assert opinion(one, silent(), length=SINGLE - FRAME) is Verdict.POSTPONED
    assert opinion(one, silent(), length=SINGLE) is Verdict.TAKEN  # no word is so long
    whole = opinion(one, silent(), whole=True, length=SINGLE - FRAME)
    assert whole is Verdict.TAKEN  # an answer of one word
    assert opinion(proposal(logprob=-0.5, words=2), silent()) is Verdict.TAKEN


def test_two_words_behind_which_the_old_language_goes_on_change_nothing_yet():
    two, three = (proposal(logprob=-0.5, words=count) for count in (2, 3))
    early, back = SINGLE - FRAME, RETURNED + 0.01
    assert opinion(two, silent(), back=back, length=early) is Verdict.POSTPONED
    assert opinion(two, silent(), back=RETURNED - 0.01, length=early) is Verdict.TAKEN
    assert opinion(two, silent(), back=back, length=SINGLE) is Verdict.TAKEN  # heard for long
    assert opinion(two, silent(), back=back, length=early, whole=True) is Verdict.TAKEN
    assert opinion(three, silent(), back=back, length=early) is Verdict.TAKEN  # no single word


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", [], 1),
        ("en", [" station"], 1),
        ("en", [" a", " b"], 2),
        ("zh", ["车", "站。"], 1),
        ("zh", ["我", "在", "车"], 2),
        ("zh", ["在车站"], 2),
        ("zh", ["我", "在车", "站"], 2),
        ("zh", ["我", "在车", "站站"], 3),
    ],
)
def test_a_word_of_chinese_has_two_characters(language, text, words):
    word = proposal().words[0]
    said = replace(proposal(), language=language, words=tuple(replace(word, text=t) for t in text))
    assert [is_short(said, words=most) for most in (1, 2, 3)] == [m >= words for m in (1, 2, 3)]
