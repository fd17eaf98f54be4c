"""The whole stream over the scripted engine: tones are words, so text and times are exact."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from streams import ENGINE, committed, finals, options, run, stream
from whisper_service.config import DecodeOptions, LanguageOptions, StreamOptions, VadOptions
from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Final,
    Lag,
    LanguageDetected,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.streaming.pace import Pace
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.streaming.utterance import UtteranceDecoder
from whisper_service.testing import (
    silence,
    utterance,
    word_times,
)
from whisper_service.types import SAMPLE_RATE, to_samples

ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.2)]
SPANISH = [("hola", 0.5), ("mundo", 0.5), ("gracias", 0.5), (None, 1.2)]
WORDS = "hello world please yes"
TALK = list(np.random.default_rng(5).choice(["hello", "world", "please", "everything", "yes"], 80))
MODES = ("live", "fast", "offline")


@pytest.mark.parametrize("mode", MODES)
def test_one_utterance(mode):
    transcriber, events = run(utterance(ENGLISH), options("en", mode=mode))
    (segment,) = finals(events)
    assert segment.text.split() == WORDS.split()
    assert segment.language == "en"
    assert transcriber.transcript().text == WORDS


@pytest.mark.parametrize("mode", MODES)
def test_word_times_are_on_the_sample_clock(mode):
    script = [(None, 3.3), *ENGLISH, (None, 2.1), *ENGLISH]
    _, events = run(utterance(script), options("en", mode=mode))
    heard = [w for s in finals(events) for w in s.words]
    for got, true in zip(heard, word_times(script), strict=True):
        assert abs(got.start - true.start) <= to_samples(0.06)
        assert abs(got.end - true.end) <= to_samples(0.08)


@pytest.mark.parametrize("mode", MODES)
def test_change_at_a_pause_restarts_from_the_first_sample(mode):
    samples = utterance([*ENGLISH, *SPANISH, *ENGLISH])
    transcriber, events = run(samples, options("en", "es", mode=mode))
    assert [(s.language, s.text.split()) for s in finals(events)] == [
        ("en", WORDS.split()),
        ("es", ["hola", "mundo", "gracias"]),
        ("en", WORDS.split()),
    ]
    switches = [e for e in events if isinstance(e, LanguageSwitched)]
    assert [(s.old, s.new) for s in switches] == [("en", "es"), ("es", "en")]
    onset = word_times([*ENGLISH, *SPANISH])[4].start
    assert abs(switches[0].at - onset) < to_samples(0.1)
    assert len(transcriber.switches) == 2


@pytest.mark.parametrize("mode", MODES)
def test_change_without_a_pause_loses_and_doubles_no_word(mode):
    script = [(None, 0.7)]
    script += [(w, 0.5) for w in ("hello", "world", "please", "everything", "yes", "hello")]
    script += [(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos", "sí", "hola")]
    script += [(None, 1.0)]
    _, events = run(utterance(script), options("en", "es", mode=mode))
    heard = [(w.language, w.text.strip()) for s in finals(events) for w in s.words]
    assert heard == [(w.language, w.text) for w in word_times(script)]
    (switch,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert abs(switch.at - word_times(script)[6].start) <= to_samples(0.25)


def test_lag_is_what_is_not_committed_yet():
    transcriber = stream(options("en"))
    samples = utterance(ENGLISH)
    newest = 0
    lags = []
    for first in range(0, len(samples), 320):
        for event in transcriber.feed(samples[first : first + 320]):
            if isinstance(event, Committed):
                newest = event.words[-1].end
            if isinstance(event, Lag) and newest and not lags:
                assert event.samples == event.at - newest
                lags.append(event)
    assert lags
    assert transcriber.finish() is not None


def test_a_partial_starts_where_its_segment_does():
    words = TALK[:60]
    script = [(None, 0.5), *((w, 0.6) for w in words), (None, 1.0)]
    _, events = run(utterance(script), options("en"))
    ended = 0
    for event in events:
        if isinstance(event, Final):
            ended = event.segment.end
        if isinstance(event, Partial):
            assert event.start >= ended


def test_auto_lock_decides_once():
    _, events = run(utterance([*ENGLISH, *SPANISH]), options())
    assert [e.language for e in events if isinstance(e, LanguageDetected)] == ["en"]
    assert not [e for e in events if isinstance(e, LanguageSwitched)]
    assert {s.language for s in finals(events)} == {"en"}


def test_speech_in_no_allowed_language_is_marked_and_not_forced():
    script = [*ENGLISH, ("bonjour", 0.6), ("merci", 0.6), ("bonjour", 0.6), (None, 1.2)]
    _, events = run(utterance(script), options("en", "es"))
    assert committed(events) == WORDS
    skipped = [e for e in events if isinstance(e, AudioSkipped)]
    assert [e.reason for e in skipped] == ["other_language"]


def test_committed_words_are_the_transcript():
    transcriber, events = run(utterance([*ENGLISH, *SPANISH]), options("en", "es"))
    assert committed(events) == "".join(s.text for s in transcriber.segments)


def test_partials_continue_what_is_committed():
    _, events = run(utterance(ENGLISH), options("en"))
    said = ""
    for event in events:
        if isinstance(event, Partial):
            assert event.committed.startswith(said.strip()) or said == ""
            said = event.committed
    assert said


def test_a_long_utterance_moves_its_window_and_keeps_every_word():
    words = TALK[:60]
    script = [(None, 0.5), *((w, 0.6) for w in words), (None, 1.0)]
    transcriber, events = run(utterance(script), options("en"))
    assert committed(events).split() == words
    longest = transcriber.get_statistics()["encoded_seconds"] / transcriber.encodings.passes
    assert longest < 12.0
    assert len(finals(events)) > 1


def test_offline_cuts_an_utterance_longer_than_the_model_takes():
    words = TALK
    script = [(None, 0.5), *((w, 0.6) for w in words), (None, 1.0)]
    _, events = run(utterance(script), options("en", mode="offline"))
    assert committed(events).split() == words


def test_silence_is_never_decoded():
    transcriber, events = run(silence(6.0), options("en"))
    assert events == [] or not finals(events)
    assert transcriber.encodings.passes == 0
    account = transcriber.account
    assert (account.skipped_silence, account.pending) == (6 * SAMPLE_RATE, 0)


def test_no_audio_at_all():
    transcriber, events = run(np.zeros(0, np.float32), options())
    assert finals(events) == []
    assert transcriber.transcript().text == ""
    assert transcriber.transcript().language == ""


def test_speech_up_to_the_last_sample_is_kept():
    script = ENGLISH[:-1]
    _, events = run(utterance(script)[: -to_samples(0.02)], options("en"))
    assert committed(events).split() == WORDS.split()
    assert [type(e) for e in events if isinstance(e, SpeechStarted | SpeechEnded)] == [
        SpeechStarted,
        SpeechEnded,
    ]


def test_a_chunk_longer_than_every_ring():
    script = ENGLISH * 20
    _, events = run(utterance(script), options("en"))
    assert committed(events).split() == WORDS.split() * 20


def test_dropped_audio_is_counted_and_time_goes_on():
    transcriber = stream(options("en"))
    events = transcriber.feed(utterance(ENGLISH))
    events += transcriber.drop(5 * SAMPLE_RATE)
    events += transcriber.feed(utterance(ENGLISH))
    events += transcriber.finish()
    assert transcriber.account.dropped == 5 * SAMPLE_RATE
    assert transcriber.account.pending == 0
    first, second = finals(events)
    length = len(utterance(ENGLISH)) + 5 * SAMPLE_RATE
    assert second.start - first.start == pytest.approx(length, abs=320)
    assert [e.reason for e in events if isinstance(e, AudioSkipped)] == ["overload"]


def test_nan_is_replaced_and_counted():
    samples = utterance(ENGLISH)
    samples[100:200] = np.nan
    transcriber, events = run(samples, options("en"))
    assert committed(events) == WORDS
    assert transcriber.get_statistics()["invalid_samples"] == 100


def test_stereo_says_how_to_mix_down():
    with pytest.raises(InvalidAudioError, match="mean"):
        stream(options()).feed(np.zeros((1600, 2), np.float32))


def test_a_finished_stream_takes_no_more():
    transcriber, _ = run(silence(1.0), options())
    with pytest.raises(StreamClosedError):
        transcriber.feed(silence(1.0))
    with pytest.raises(StreamClosedError):
        transcriber.finish()


def test_vad_off_leaves_a_working_transcriber():
    opts = options("en", vad=VadOptions(enabled=False))
    transcriber = StreamTranscriber(ENGINE, opts)
    events = transcriber.feed(utterance(ENGLISH)) + transcriber.finish()
    assert committed(events).split() == WORDS.split()
    assert transcriber.account.skipped_silence == 0


def test_metrics_and_cache_off_leave_a_working_transcriber():
    opts = options("en", metrics=False, cache=False)
    transcriber, events = run(utterance(ENGLISH), opts)
    assert committed(events).split() == WORDS.split()
    statistics = transcriber.get_statistics()
    assert statistics["performance"]["total"]["count"] == 0
    assert statistics["encoder_cache"]["hit_rate"] == 0.0


@pytest.mark.parametrize("policy", ["align_att", "local_agreement"])
def test_both_policies_say_the_same(policy):
    opts = options("en", decode=DecodeOptions(policy=policy))
    _, events = run(utterance(ENGLISH * 2), opts)
    assert committed(events).split() == WORDS.split() * 2


def test_language_policy_can_change_while_it_runs():
    transcriber = stream(options("en"))
    events = transcriber.feed(utterance(ENGLISH))
    transcriber.set_language_policy("code_switch", ["en", "Spanish"])
    events += transcriber.feed(utterance(SPANISH)) + transcriber.finish()
    assert [s.language for s in finals(events)] == ["en", "es"]


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (options("xx"), "xx"),
        (options("en", decode=DecodeOptions(task="translate")), "translate"),
        (StreamOptions(language=LanguageOptions(policy="forced")), "forced"),
        (StreamOptions(online_chunk_size=0.0), "online_chunk_size"),
        (StreamOptions(max_context=40.0), "max_context"),
        (StreamOptions(max_context=20.0, hard_context=15.0), "below hard_context"),
        (StreamOptions(mode="slow"), "mode is 'slow'"),
        (StreamOptions(language=LanguageOptions(policy="guess")), "policy is 'guess'"),
        (StreamOptions(language=LanguageOptions(hop=0.0)), "hop is 0.0; give 0.02 to 1"),
        (StreamOptions(language=LanguageOptions(confidence_margin=5.0)), "confidence_margin"),
        (StreamOptions(language=LanguageOptions(min_dwell_frames=0)), "min_dwell_frames"),
        (StreamOptions(decode=DecodeOptions(beam_size=99)), "beam_size is 99; give 1 to 8"),
        (StreamOptions(decode=DecodeOptions(policy="x")), "align_att, local_agreement"),
    ],
)
def test_what_cannot_work_is_refused_before_any_audio(opts, message):
    with pytest.raises(InvalidOptionError, match=message):
        stream(opts)


def test_speech_is_decoded_with_its_pre_roll_and_padding():
    transcriber, events = run(utterance([(None, 2.0), *ENGLISH[1:-1], (None, 2.0)]), options("en"))
    (started,) = [e.at for e in events if isinstance(e, SpeechStarted)]
    (ended,) = [e.at for e in events if isinstance(e, SpeechEnded)]
    expected = ended - started + to_samples(0.3) + to_samples(0.2)
    assert transcriber.account.decoded == pytest.approx(expected, abs=640)


def test_while_the_language_is_unsettled_updates_end_where_lid_frames_do(monkeypatch):
    ends, update = [], UtteranceDecoder.update

    def noted(self, end, **more):
        if not self.settled and not more:
            ends.append(end)
        update(self, end, **more)

    monkeypatch.setattr(UtteranceDecoder, "update", noted)
    words = [(None, 0.63), *[("hello", 0.5)] * 4, *[("hola", 0.5)] * 4, (None, 1.0)]
    _, events = run(utterance(words), options("en", "es"))
    hop = to_samples(0.1)
    assert ends
    assert all(end % hop == 0 for end in ends)
    spoken = next(e.at for e in events if isinstance(e, SpeechStarted))
    assert 0 <= ends[0] - spoken - to_samples(0.8) < hop
    assert all(b - a >= hop for a, b in pairwise(ends))


def due(opts, *, updated_to=None):
    """Where updates end that are due, by hundredths of a second that are ready, unsettled."""
    transcriber = stream(opts)
    transcriber.utterances.open(0, 0)
    if updated_to is not None:
        transcriber.utterances.running.language = SimpleNamespace(settled=False)
        transcriber._updated_to = to_samples(updated_to)
    ends = [(ready, transcriber._due(160 * ready)) for ready in range(300)]
    return [(ready, end / 16_000) for ready, end in ends if end is not None]


@pytest.mark.parametrize(("chunk", "widened", "at"), [(0.1, 1, 210), (0.1, 3, 230), (0.5, 1, 250)])
def test_an_unsettled_update_is_due_a_chunk_behind_the_last_or_rarer(
    monkeypatch, chunk, widened, at
):
    monkeypatch.setattr(Pace, "widen", lambda _, samples: widened * samples)
    first, *_ = due(options("en", "es", unsettled_chunk_size=chunk), updated_to=2.0)
    assert first == (at, at / 100)


def test_the_first_update_waits_for_the_first_decision_and_not_for_a_chunk():
    first, *_ = due(options("en", "es", unsettled_chunk_size=0.5))
    assert first == (80, 0.8)


class Told:
    """A speech detector that says what it is told to, a window at a time."""

    def __init__(self, *runs):
        self._left = [p for p, n in runs for _ in range(n)]

    def feed(self, samples):
        said, self._left = self._left[: len(samples) // 512], self._left[len(samples) // 512 :]
        return said

    def finish(self):
        return []


@pytest.mark.parametrize(("dip", "decoded"), [(4, False), (8, True)])
def test_a_dip_shorter_than_the_padding_starts_no_final_decode(monkeypatch, dip, decoded):
    speculative, update = [], UtteranceDecoder.update

    def noted(self, end, **more):
        speculative.append(more.get("speculative", False))
        update(self, end, **more)

    monkeypatch.setattr(UtteranceDecoder, "update", noted)
    unsure = Told((0.99, 60), (0.6, 8), (0.1, dip), (0.99, 30))
    transcriber = StreamTranscriber(ENGINE, options("en", "es"), detector=unsure)
    for piece in np.split(utterance([("hello", 0.5)] * 8)[: 512 * 100], 100):
        transcriber.feed(piece)
    assert speculative
    assert any(speculative) == decoded


def test_nothing_is_shown_before_the_language_of_an_utterance_is_known():
    _, events = run(utterance([*ENGLISH, *SPANISH]), options("en", "es"))
    onset = word_times([*ENGLISH, *SPANISH])[4].start
    shown = [e for e in events if isinstance(e, Partial) and e.start > onset - SAMPLE_RATE // 2]
    assert shown
    assert {e.language for e in shown} == {"es"}
    assert min(e.end for e in shown) >= onset + to_samples(0.7)


def test_the_cache_saves_encoder_passes():
    samples = utterance([*ENGLISH, *SPANISH])
    cached, _ = run(samples, options("en", "es"))
    uncached, _ = run(samples, options("en", "es", cache=False))
    assert cached.encodings.passes < uncached.encodings.passes


def test_statistics_are_plain_values():
    import json

    transcriber, _ = run(utterance([*ENGLISH, *SPANISH]), options("en", "es"))
    statistics = transcriber.get_statistics()
    json.dumps(statistics)
    assert statistics["performance"]["lid.total"]["p95"] > 0
    assert 0 <= statistics["buffer_utilization"] <= 1
    assert statistics["switches"] == 1
    assert set(statistics["languages"]) == {"en", "es"}
