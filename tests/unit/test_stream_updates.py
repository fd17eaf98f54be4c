"""When a stream updates, from where on it listens and decodes, and what each event says of it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from streams import ENGINE, committed, finals, options, run
from whisper_service.config import LanguageOptions, StreamOptions, VadOptions
from whisper_service.events import (
    AudioSkipped,
    Lag,
    LanguageCandidate,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ManualClock, ScriptedEngine, utterance, word_times
from whisper_service.types import SAMPLE_RATE, to_samples

ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.2)]
SPANISH = [(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos", "sí", "hola")]
IN_ONE_BREATH = [*ENGLISH[:-1], ("everything", 0.5), ("hello", 0.5), *SPANISH, (None, 1.2)]
CHANGE = word_times(IN_ONE_BREATH)[6].start


class Watched(ScriptedEngine):
    """Notes what it is asked to decode, and takes ``seconds`` of a clock for each window."""

    def __init__(self, clock=None, seconds=0.0):
        super().__init__()
        self.clock, self.seconds, self.requests = clock, seconds, []

    def encode(self, mels):
        if self.clock:
            self.clock.advance(self.seconds)
        return super().encode(mels)

    def decode(self, requests):
        self.requests += requests
        return super().decode(requests)


def watched(engine, opts, script, *, size=1600, after=lambda transcriber, events: None, clock=None):
    transcriber = StreamTranscriber(engine, opts, detector=EnergyVad(), clock=clock)
    samples, events = utterance(script), []
    for first in range(0, len(samples), size):
        new = transcriber.feed(samples[first : first + size])
        events += new
        after(transcriber, new)
    return transcriber, events + transcriber.finish()


# falling behind


def margins(seconds):
    """Seconds before the window's end at which the updates of a live stream stop."""
    clock = ManualClock()
    engine = Watched(clock, seconds)
    script = [(None, 0.7), *[("hello", 0.5), ("world", 0.5)] * 8, (None, 1.2)]
    watched(engine, options("en", mode="live"), script, clock=clock)
    stops = [(r.encoded.frames, r.stop_frame) for r in engine.requests if r.stop_frame is not None]
    return {round((frames - stop) * 0.02, 2) for frames, stop in stops}


def test_far_behind_only_what_may_be_committed_is_decoded():
    assert margins(0.1) == {0.1}
    assert margins(3.0) == {0.1, 0.4}, "the first update knows of no delay"


def test_waiting_for_audio_is_not_falling_behind():
    clock, behind = ManualClock(), []

    def pause(transcriber, _):
        behind.append(transcriber.pace.behind)
        clock.advance(5.0)

    transcriber, _ = watched(
        Watched(), options("en", mode="live"), ENGLISH, after=pause, clock=clock
    )
    assert set(behind) == {0.0}
    assert transcriber.get_statistics()["updates_widened"] == 0


def test_what_piles_up_because_work_is_slow_is_lag_too():
    def lags(seconds):
        clock = ManualClock()
        engine, opts = Watched(clock, seconds), options("en", mode="live")
        transcriber, events = watched(engine, opts, ENGLISH, clock=clock)
        return transcriber.pace.behind, [e.samples for e in events if isinstance(e, Lag)]

    behind, slow = lags(3.0)
    assert behind > 2.0
    assert slow[-1] > max(lags(0.0)[1]) + to_samples(2.0)


def test_lag_is_told_when_nothing_is_said_too():
    """All audio comes at once: when speech ends, there is more behind it."""
    _, events = run(utterance([*ENGLISH, (None, 2.0)]), options("en"))
    end = next(i for i, e in enumerate(events) if isinstance(e, SpeechEnded))
    lag = events[end + 1]
    assert isinstance(lag, Lag)
    assert lag.samples == pytest.approx(lag.at - events[end].at - to_samples(0.5), abs=1024)
    assert lag.samples > 0


def test_the_first_update_waits_for_a_chunk_of_speech_pre_roll_not_counted():
    _, events = run(utterance(ENGLISH), options("en"))
    (start,) = [e.at for e in events if isinstance(e, SpeechStarted)]
    first = next(e for e in events if isinstance(e, Partial))
    assert first.end - start == pytest.approx(to_samples(0.5), abs=to_samples(0.06))


# what the language decides


def test_while_the_language_is_unsettled_updates_are_closer():
    opts = {"unsettled_chunk_size": 0.5}
    often, _ = run(utterance(IN_ONE_BREATH), options("en", "es"))
    seldom, _ = run(utterance(IN_ONE_BREATH), options("en", "es", **opts))
    assert seldom.get_statistics()["performance"]["total"]["count"] == 2
    count = [t.metrics.get_statistics()["lid.total"]["count"] for t in (often, seldom)]
    assert count[0] > count[1]


class Foreign(ScriptedEngine):
    """Hears French with probability ``share`` in everything, English with the rest."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def language_probabilities(self, spans):
        row = np.full(len(self.languages), 1e-4, np.float32)
        row[self.languages.index("fr")] = self.share
        row[self.languages.index("en")] = 1.0 - self.share
        return np.tile(row / row.sum(), (len(spans), 1))


@pytest.mark.parametrize(("share", "said"), [(0.6, "hello world please yes"), (0.75, "")])
def test_only_speech_mostly_in_another_language_is_passed_over(share, said):
    """Shares of 0.6 and 0.75 are beliefs of 0.4 and 0.8 once priors have been weighed in."""
    opts = options("en", "es", mode="offline")
    transcriber = StreamTranscriber(Foreign(share), opts, detector=EnergyVad())
    assert committed(transcriber.feed(utterance(ENGLISH)) + transcriber.finish()) == said


def test_what_is_passed_over_begins_behind_the_newest_committed_word():
    foreign = [(w, 0.5) for w in ("bonjour", "merci") * 6]
    _, events = run(utterance([*ENGLISH[:-1], *foreign, (None, 1.2)]), options("en", "es"))
    (segment,) = finals(events)
    skipped = [e for e in events if isinstance(e, AudioSkipped)]
    assert skipped[0].start == segment.end


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_a_change_at_a_pause_is_told_at_the_start_of_its_speech(mode):
    script = [*ENGLISH, *SPANISH, (None, 1.2)]
    transcriber, events = run(utterance(script), options("en", "es", mode=mode))
    (switch,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert switch.at == [e.at for e in events if isinstance(e, SpeechStarted)][1]
    if mode == "offline":
        assert transcriber.get_statistics()["sessions"] == 2, "one for each utterance"


class Mishearing(ScriptedEngine):
    """Hears an English word at the start of whatever holds none."""

    def decode(self, requests):
        heard = super().decode(requests)
        return [self._misheard(h, r) for h, r in zip(heard, requests, strict=True)]

    def _misheard(self, hypothesis, request):
        if hypothesis.tokens or request.prefix or request.language != "en":
            return hypothesis
        attention = np.zeros((1, request.encoded.frames), np.float32)
        attention[0, 3:9] = 0.1
        tokens = tuple(self.tokenizer.encode(" yes"))
        return replace(
            hypothesis, tokens=tokens, logprobs=(-0.1,), frames=(5,), attention=attention
        )


def test_an_utterance_in_another_language_is_never_heard_in_the_one_before():
    script = [*ENGLISH, *SPANISH, (None, 1.2)]
    _, events = watched(Mishearing(), options("en", "es"), script)
    assert [(s.language, len(s.words)) for s in finals(events)] == [("en", 4), ("es", 6)]


def test_a_word_before_the_change_stays_in_its_language():
    script = [*ENGLISH, ("yes", 0.9), *SPANISH, (None, 1.2)]
    _, events = run(utterance(script), options("en", "es"))
    said = [(s.language, len(s.words)) for s in finals(events)]
    assert said == [("en", 4), ("en", 1), ("es", 6)]


def test_a_candidate_is_told_with_where_it_began():
    _, events = run(utterance(IN_ONE_BREATH), options("en", "es"))
    spanish = [e for e in events if isinstance(e, LanguageCandidate) and e.language == "es"]
    assert spanish[0].since == pytest.approx(CHANGE, abs=to_samples(0.4))


def test_a_guess_is_made_when_the_window_is_full_and_no_word_is_lost():
    language = LanguageOptions(policy="code_switch", languages=("en", "es"), max_wait=30.0)
    opts = StreamOptions(mode="fast", language=language, max_context=3.0, hard_context=6.0)
    words = [("hello", 0.5), ("world", 0.5)] * 10
    transcriber = StreamTranscriber(Foreign(0.0), opts, detector=EnergyVad())
    transcriber.tracker._floor = 10**9  # nothing is ever sure enough
    events = transcriber.feed(utterance([(None, 0.7), *words, (None, 1.2)])) + transcriber.finish()
    assert committed(events).split() == [word for word, _ in words]


# from where on


def test_after_a_change_only_what_follows_it_is_evidence():
    floors = []

    def note(transcriber, events):
        if any(isinstance(e, LanguageSwitched) for e in events):
            floors.append(transcriber.utterances.running.listened.floor)

    _, events = watched(ScriptedEngine(), options("en", "es"), IN_ONE_BREATH, after=note)
    assert floors == [e.at for e in events if isinstance(e, LanguageSwitched)]


def test_after_speech_in_another_language_only_what_follows_it_is_evidence():
    floors = []

    def note(transcriber, events):
        if any(isinstance(e, AudioSkipped) for e in events) and transcriber.utterances.is_open:
            floors.append(transcriber.utterances.running.listened.floor)

    script = [(None, 0.7), *[("bonjour", 0.5), ("merci", 0.5)] * 40, (None, 1.2)]
    _, events = watched(ScriptedEngine(), options("en", "es"), script, after=note)
    ends = [e.end for e in events if isinstance(e, AudioSkipped)]
    assert floors == ends[:-1] != []


def test_a_long_window_is_shortened_to_half_of_what_it_may_be():
    longest = []

    def note(transcriber, events):
        if transcriber.utterances.is_open and any(isinstance(e, Partial) for e in events):
            partial = [e for e in events if isinstance(e, Partial)][-1]
            longest.append(partial.end - transcriber.utterances.running.window_start)

    words = np.random.default_rng(5).choice(["hello", "world", "please", "everything", "yes"], 50)
    watched(ScriptedEngine(), options("en"), [(str(w), 0.6) for w in words], size=512, after=note)
    shortened = [after for before, after in pairwise(longest) if after < before]
    assert max(longest) > 9 * SAMPLE_RATE
    assert 4 * SAMPLE_RATE < min(shortened) <= max(shortened) < 7 * SAMPLE_RATE


def test_no_change_before_something_can_be_read_in_the_new_language():
    script = [*IN_ONE_BREATH[:7], ("hola", 3.0), ("mundo", 0.5), (None, 1.2)]
    _, events = run(utterance(script), options("en", "es"))
    (switch,) = [e for e in events if isinstance(e, LanguageSwitched)]
    partials = [e for e in events if isinstance(e, Partial) and e.language == "es"]
    assert "hola" in partials[0].tentative
    assert min(p.start for p in partials) >= switch.at
    assert switch.decided_at > CHANGE + to_samples(3.0)
    assert committed(events).endswith("hola mundo")


class Jumping(ScriptedEngine):
    """Jumps over "everything" unless the window begins with it."""

    def encode(self, mels):
        return [self._jumped(encoded) for encoded in super().encode(mels)]

    def _jumped(self, encoded):
        heard = [r for r in encoded.runs if r.word != "everything" or r.start < 15]
        return replace(encoded, runs=tuple(heard))


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_speech_that_a_decode_jumped_over_is_taken_up_again(mode):
    script = [(None, 0.7), ("hello", 0.5), ("everything", 1.6), ("world", 0.5), ("yes", 0.5)]
    _, events = watched(Jumping(), options("en", mode=mode), [*script, (None, 1.2)])
    assert committed(events).split() == ["hello", "everything", "world", "yes"]


class Late(EnergyVad):
    """Hears speech three windows (0.1 s) late."""

    def __init__(self):
        super().__init__()
        self.loud = 0

    def feed(self, samples):
        return [self._late(p) for p in super().feed(samples)]

    def _late(self, probability):
        self.loud = self.loud + 1 if probability > 0.5 else 0
        return probability if self.loud > 3 or probability <= 0.5 else 0.0


def test_a_word_may_begin_shortly_before_speech_is_detected():
    transcriber = StreamTranscriber(ENGINE, options("en"), detector=Late())
    events = transcriber.feed(utterance(ENGLISH)) + transcriber.finish()
    (started,) = [e.at for e in events if isinstance(e, SpeechStarted)]
    true = word_times(ENGLISH)[0].start
    assert started > true + to_samples(0.06)
    assert finals(events)[0].start == pytest.approx(true, abs=to_samples(0.04))


# ends


def test_the_final_text_is_there_before_the_speech_is_known_to_have_ended():
    engine = Watched()
    decodes = []

    def note(transcriber, events):
        decodes.append(len(engine.requests))
        if any(isinstance(e, SpeechEnded) for e in events):
            decodes.append("end")

    _, events = watched(engine, options("en"), ENGLISH, size=512, after=note)
    shown = [e.end for e in events if isinstance(e, Partial)]
    assert len(shown) == len(set(shown)), "nothing is shown twice"
    end = decodes.index("end")
    assert decodes[end - 1] == decodes[end - 9], "one decode for one possible end"


@pytest.mark.parametrize("count", [0, 1, 159, 160, 319, 320, 400, 512, 700, 1600])
def test_a_stream_of_any_length_comes_to_its_end(count):
    opts = options("en", "es", vad=VadOptions(enabled=False))
    transcriber = StreamTranscriber(ENGINE, opts)
    transcriber.feed(np.zeros(count, np.float32))
    transcriber.finish()
    assert transcriber.account.received == count
    assert transcriber.account.pending == 0


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_what_was_said_before_another_language_in_one_breath_is_kept(mode):
    foreign = [(w, 0.5) for w in ("bonjour", "merci") * 6]
    script = [*ENGLISH[:-1], *foreign, (None, 1.2)]
    _, events = run(utterance(script), options("en", "es", mode=mode))
    assert committed(events) == "hello world please yes"
    (skipped,) = [e for e in events if isinstance(e, AudioSkipped)]
    assert skipped.start == finals(events)[0].end
