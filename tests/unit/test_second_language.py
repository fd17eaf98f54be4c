"""Unsure at the end of speech: the runner-up is decoded too, and the better text is taken."""

from dataclasses import replace

import numpy as np
import pytest

from streams import committed, finals, options
from whisper_service.engine.base import Hypothesis
from whisper_service.events import LanguageDetected, LanguageSwitched
from whisper_service.streaming.session import Proposal
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance

SHORT = [(None, 0.7), ("hola", 0.5), (None, 1.2)]  # too short to be sure of anything


class Unsure(ScriptedEngine):
    """Takes all speech for English with ``english`` and for Spanish with the rest."""

    def __init__(self, english):
        super().__init__()
        self.english = english
        self.tried = []

    def language_probabilities(self, spans):
        row = np.full(len(self.languages), 1e-4, np.float32)
        row[self.languages.index("en")] = self.english
        row[self.languages.index("es")] = 1.0 - self.english
        return np.tile(row / row.sum(), (len(spans), 1))

    def decode(self, requests):
        self.tried += [r.language for r in requests]
        return super().decode(requests)


class Bilingual(Unsure):
    """Hears the same words in both languages, with these log-probabilities."""

    def __init__(self, english, **logprobs):
        super().__init__(english)
        self.logprobs = logprobs

    def decode(self, requests):
        heard = super().decode([replace(r, language="es") for r in requests])
        return [self._as_likely(h, r.language) for h, r in zip(heard, requests, strict=True)]

    def _as_likely(self, hypothesis, language):
        logprob = self.logprobs[language]
        logprobs = (logprob,) * len(hypothesis.tokens)
        return replace(hypothesis, logprobs=logprobs, end_logprob=logprob)


def heard(engine, script, *, mode="fast", languages=("en", "es")):
    transcriber = StreamTranscriber(engine, options(*languages, mode=mode), detector=EnergyVad())
    events = transcriber.feed(utterance(script)) + transcriber.finish()
    return transcriber, events


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_the_language_that_has_words_for_it_is_taken(mode):
    _, events = heard(Unsure(0.53), SHORT, mode=mode)
    assert [(s.language, s.text) for s in finals(events)] == [("es", "hola")]


def test_a_sure_language_is_decoded_alone():
    engine = Unsure(0.9)
    _, events = heard(engine, SHORT)
    assert set(engine.tried) == {"en"}
    assert finals(events) == []


@pytest.mark.parametrize(("spanish", "language"), [(-0.50, "en"), (-0.44, "en"), (-0.05, "es")])
def test_text_and_language_are_weighed_together(spanish, language):
    """A little more likely as a text does not outweigh being less likely as a language."""
    _, events = heard(Bilingual(0.58, en=-0.50, es=spanish), SHORT)
    (segment,) = finals(events)
    assert segment.language == language
    margin = -0.50 - spanish + 0.5 * np.log(0.58 / 0.42)  # of the scores, for English
    sure = 1 / (1 + np.exp(-abs(margin)))
    assert segment.language_probability == pytest.approx(sure, abs=0.02)


def test_the_next_utterance_begins_with_the_language_taken():
    engine = Unsure(0.53)
    transcriber = StreamTranscriber(engine, options("en", "es"), detector=EnergyVad())
    events = transcriber.feed(utterance(SHORT))
    assert transcriber.language == "es"
    engine.english = 0.5
    events = transcriber.feed(utterance(SHORT)) + transcriber.finish()
    assert [(s.language, s.text.strip()) for s in finals(events)] == [("es", "hola")]
    assert not [e for e in events if isinstance(e, LanguageSwitched)]


def test_what_is_committed_keeps_its_language():
    """Words said in the language taken cannot be said again in another one."""
    words = [("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5)] * 2
    script = [(None, 0.7), *words, ("hola", 0.5), ("mundo", 0.5), (None, 1.2)]
    transcriber, events = heard(Unsure(0.502), script)
    assert len(committed(events).split()) == 8
    assert {s.language for s in finals(events)} == {"en"}
    assert transcriber.switches == ()


def test_the_score_is_the_texts_and_half_the_languages():
    hypothesis = Hypothesis(
        tokens=(1, 2),
        logprobs=(-0.3, -0.5),
        frames=(0, 1),
        attention=np.zeros((2, 4), np.float32),
        end_logprob=-9.0,
        no_speech_prob=0.0,
        stopped="budget",
    )
    proposal = Proposal(None, "en", hypothesis, ())
    assert proposal.score(1.0) == pytest.approx(-0.4)
    assert proposal.score(np.exp(-1)) == pytest.approx(-0.9)
    assert proposal.score(0.0) == pytest.approx(-0.4 + 0.5 * np.log(1e-3))


def test_what_the_runner_up_says_is_committed_once_and_in_its_language():
    """Long enough for a decision by default: the possible end of speech must commit nothing."""
    words = [("hola", 0.5), ("mundo", 0.5), ("gracias", 0.5), ("buenos", 0.5)] * 2
    _, events = heard(Unsure(0.502), [(None, 0.7), *words, (None, 1.2)])
    assert committed(events).split() == [word for word, _ in words]
    assert {s.language for s in finals(events)} == {"es"}


def test_a_language_that_nothing_was_said_in_is_not_told():
    transcriber, events = heard(Unsure(0.53), SHORT)
    assert [e.language for e in events if isinstance(e, LanguageDetected)] == ["es"]
    assert transcriber.switches == ()
