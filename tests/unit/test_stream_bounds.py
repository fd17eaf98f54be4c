"""Bounds of a stream: loops, lag, third languages, prompts, and work not to be done twice."""

import pytest

from streams import ENGINE, committed, finals, options, run
from whisper_service.config import DecodeOptions, VadOptions
from whisper_service.events import AudioSkipped, SpeechEnded
from whisper_service.streaming.news import LanguageNews, Started
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ManualClock, ScriptedEngine, silence, utterance
from whisper_service.types import SAMPLE_RATE

ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.2)]
SPANISH = [("hola", 0.5), ("mundo", 0.5), ("gracias", 0.5), (None, 1.2)]
WORDS = "hello world please yes"


class PrefixEngine(ScriptedEngine):
    """Notes the prefix of every decode."""

    def __init__(self):
        super().__init__()
        self.prefixes = []

    def decode(self, requests):
        self.prefixes += [r.prefix for r in requests]
        return super().decode(requests)


def test_a_prefix_never_carries_a_loop():
    engine = PrefixEngine()
    script = [(None, 0.5), *[("hello", 0.4)] * 20, ("world", 0.5), ("please", 0.5), (None, 1.0)]
    transcriber = StreamTranscriber(engine, options("en"), detector=EnergyVad())
    events = transcriber.feed(utterance(script)) + transcriber.finish()
    assert max(len(p) for p in engine.prefixes) <= 6
    assert committed(events).split()[-2:] == ["world", "please"]


def test_the_newest_segments_can_be_all_that_is_kept():
    transcriber, events = run(utterance(ENGLISH * 4), options("en", max_segments=2))
    assert len(finals(events)) == 4
    assert [s.id for s in transcriber.segments] == [2, 3]
    assert transcriber.get_statistics()["segments"] == 4


def test_a_stream_keeps_as_many_switches_as_segments():
    script = [*ENGLISH, *SPANISH, *ENGLISH, *SPANISH]
    transcriber, _ = run(utterance(script), options("en", "es", max_segments=2))
    assert len(transcriber.switches) == 2
    assert transcriber.get_statistics()["switches"] == 3


def test_the_newest_switches_can_be_all_that_is_kept():
    news = LanguageNews(lambda _: None, keep=2)
    for at, language in enumerate(("en", "es", "en", "es")):
        news.start(Started(language=language, at=at, decided_at=at))
        news.tell(1.0)
    assert [switch.at for switch in news.switches] == [2, 3]
    assert news.switched == 3


class SlowEngine(ScriptedEngine):
    """Takes ``seconds`` of the clock for every window it encodes."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def encode(self, mels):
        self.clock.advance(self.seconds)
        return super().encode(mels)


def test_live_mode_gives_way_when_it_falls_behind():
    def updates(seconds):
        clock = ManualClock()
        transcriber = StreamTranscriber(
            SlowEngine(clock, seconds),
            options("en", mode="live"),
            clock=clock.now,
            detector=EnergyVad(),
        )
        samples = utterance([(None, 0.5)] + [("hello", 0.5), ("world", 0.5)] * 10 + [(None, 1.0)])
        events = []
        for first in range(0, len(samples), 1600):
            events += transcriber.feed(samples[first : first + 1600])
        events += transcriber.finish()
        widened = transcriber.get_statistics()["updates_widened"]
        return transcriber.encodings.passes, widened, committed(events).split()

    on_time, none_widened, words = updates(0.1)
    behind, widened, late_words = updates(1.5)
    assert behind < on_time
    assert (none_widened, widened > 0) == (0, True)
    assert late_words == words == ["hello", "world"] * 10


@pytest.mark.parametrize("mode", ["fast", "offline"])
@pytest.mark.parametrize("known", [True, False])
def test_a_minute_of_a_third_language_is_marked_and_the_stream_goes_on(mode, known):
    script = [(w, 0.5) for w in ["bonjour", "merci"] * 70]
    before = ENGLISH if known else [(None, 0.7)]
    samples = utterance([*before, *script, (None, 1.0), *SPANISH])
    transcriber, events = run(samples, options("en", "es", mode=mode))
    heard = committed(events).split()
    assert heard == [*(WORDS.split() if known else []), "hola", "mundo", "gracias"]
    marked = [e for e in events if isinstance(e, AudioSkipped)]
    assert {e.reason for e in marked} == {"other_language"}
    assert sum(e.end - e.start for e in marked) > 65 * SAMPLE_RATE
    assert transcriber.account.pending == 0


def test_a_minute_without_anything_to_hear_and_no_detector():
    opts = options("en", "es", vad=VadOptions(enabled=False))
    transcriber = StreamTranscriber(ENGINE, opts)
    events = transcriber.feed(silence(70.0))
    events += transcriber.feed(utterance(ENGLISH)) + transcriber.finish()
    assert committed(events).split() == WORDS.split()


class PromptEngine(ScriptedEngine):
    """Notes language and prompt of every decode."""

    def __init__(self):
        super().__init__()
        self.prompts = set()

    def decode(self, requests):
        self.prompts |= {(r.language, r.prompt) for r in requests}
        return super().decode(requests)


def test_a_prompt_is_given_in_its_own_language_only():
    engine = PromptEngine()
    opts = options("en", "es", decode=DecodeOptions(prompt="hello"))
    transcriber = StreamTranscriber(engine, opts, detector=EnergyVad())
    transcriber.feed(utterance([*ENGLISH, *SPANISH]))
    transcriber.finish()
    assert {language for language, prompt in engine.prompts if prompt} == {"en"}
    assert ("es", ()) in engine.prompts


def test_with_no_language_named_the_prompt_goes_to_the_one_detected():
    engine = PromptEngine()
    opts = options(decode=DecodeOptions(prompt="hola"))
    transcriber = StreamTranscriber(engine, opts, detector=EnergyVad())
    transcriber.feed(utterance(SPANISH))
    transcriber.finish()
    assert {(language, bool(prompt)) for language, prompt in engine.prompts} == {("es", True)}


def test_the_end_of_speech_needs_no_further_encoding():
    transcriber = StreamTranscriber(ENGINE, options("en"), detector=EnergyVad())
    samples = utterance(ENGLISH)
    for first in range(0, len(samples), 512):
        passes = transcriber.encodings.passes
        events = transcriber.feed(samples[first : first + 512])
        if any(isinstance(e, SpeechEnded) for e in events):
            assert finals(events)
            assert transcriber.encodings.passes == passes
            break
    else:
        pytest.fail("speech did not end")
