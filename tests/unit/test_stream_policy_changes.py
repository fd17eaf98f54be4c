"""The language policy changed in the middle of an utterance."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from streams import committed, finals, options, pieces, run, stream
from whisper_service import AsyncStream, SessionRestartTranscriber
from whisper_service.errors import InvalidOptionError, StreamClosedError
from whisper_service.events import Committed, Final, LanguageSwitched
from whisper_service.streaming.listening import LanguageListener
from whisper_service.streaming.localise import ChangePoint
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ScriptedEngine, utterance
from whisper_service.types import to_samples

PAIR = [("hello", 0.5), ("world", 0.5)]
SPANISH = [("hola", 0.5), ("mundo", 0.5), ("gracias", 0.5), ("buenos", 0.5)]


class Bilingual(ScriptedEngine):
    """Reads every word in every language."""

    def decode(self, requests):
        truth = self._language
        self._language = dict.fromkeys(truth, requests[0].language)
        said = super().decode(requests)
        self._language = truth
        return said


def forced_into_spanish(transcriber, *, before):
    events = transcriber.feed(utterance([(None, 0.7), *PAIR * before]))
    first = committed(events)
    transcriber.set_language_policy("forced", ["es"])
    events += transcriber.feed(utterance([*SPANISH, (None, 1.2)]))
    return first, events + transcriber.finish()


def test_after_any_time_in_one_breath_another_language_may_be_forced():
    _, events = forced_into_spanish(stream(options("en", "es")), before=22)
    assert finals(events)[-1].language == "es"


def test_what_has_been_committed_is_not_said_again_in_the_language_that_is_forced():
    transcriber = StreamTranscriber(Bilingual(), options("en", "es"), detector=EnergyVad())
    first, events = forced_into_spanish(transcriber, before=4)
    segments = finals(events)
    assert [s.language for s in segments] == ["en", "es"]
    assert segments[0].text.strip() == first.strip()
    assert committed(events).split().count("hello") == 4
    (switched,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert switched.at >= segments[0].words[-1].end


def test_a_policy_with_more_languages_keeps_the_place_of_a_change():
    script = [(None, 0.7), *PAIR * 4, *SPANISH * 2, (None, 1.2)]
    samples, cut = utterance(script), to_samples(5.1)
    _, plain = run(samples, options("en", "es"))
    transcriber = stream(options("en", "es"))
    events = transcriber.feed(samples[:cut])
    transcriber.set_language_policy("code_switch", ["en", "es", "fr"])
    events += transcriber.feed(samples[cut:]) + transcriber.finish()
    assert committed(events) == committed(plain)
    assert committed(events).split()[:8] == ["hello", "world"] * 4


def test_a_policy_set_right_behind_a_change_point_says_no_word_twice(monkeypatch):
    """The point may lie before the end of the newest committed word, and the session with it."""

    def localise(self, change, window, *, places, **_):
        return ChangePoint.given(list(places)[-1] - to_samples(0.3))

    monkeypatch.setattr(LanguageListener, "localise", localise)
    transcriber = stream(options("en", "es"))
    slow = [("hola", 1.6), ("mundo", 1.6), ("gracias", 1.6)]  # no word of it when the policy is set
    events, forced = [], False
    for piece in np.array_split(utterance([(None, 0.7), *PAIR * 3, *slow, (None, 1.2)]), 100):
        events += transcriber.feed(piece)
        if not forced and any(isinstance(e, LanguageSwitched) for e in events):
            transcriber.set_language_policy("forced", ["en"])
            forced = True
    events += transcriber.finish()
    assert forced
    words = [word for e in events if isinstance(e, Committed) for word in e.words]
    assert [w.text.strip() for w in words[:6]] == ["hello", "world"] * 3
    assert words[6:] == []
    assert all(a.end <= b.start for a, b in pairwise(pieces(events)))


def test_an_unknown_policy_is_refused():
    with pytest.raises(InvalidOptionError, match="language policy is 'Forced'"):
        stream(options("en", "es")).set_language_policy("Forced", ["en"])


def test_the_dictionary_api_changes_its_policy_too():
    transcriber = SessionRestartTranscriber(
        engine=ScriptedEngine(), target_languages=["en"], detector=EnergyVad(), mode="fast"
    )
    transcriber.process(utterance([(None, 0.7), *PAIR, (None, 1.2)]))
    transcriber.set_language_policy("forced", ["es"])
    transcriber.process(utterance([*SPANISH, (None, 1.2)]))
    transcriber.finalize()
    assert [s["language"] for s in transcriber.segments] == ["en", "es"]


def test_so_does_the_async_stream():
    async def main():
        async with AsyncStream(stream(options("en"))) as live:
            await live.push(utterance([(None, 0.7), *PAIR, (None, 1.2)]))
            await live.flush()
            await live.set_language_policy("forced", ["es"])
            await live.push(utterance([*SPANISH, (None, 1.2)]))
            await live.end_input()
            events = [event async for event in live]
            found = [e.segment.language for e in events if isinstance(e, Final)]
            with pytest.raises(StreamClosedError):
                await live.set_language_policy("forced", ["en"])
        return found

    assert asyncio.run(main()) == ["en", "es"]
