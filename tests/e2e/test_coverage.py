"""Every second of speech is in exactly one segment or in a gap with a reason: it adds up."""

from itertools import pairwise

import numpy as np
import pytest

from streams import options as tone_options
from streams import pieces, utterances
from streams import run as run_tones
from whisper_service.config import DecodeOptions, LanguageOptions, StreamOptions
from whisper_service.evaluation.replay import replay
from whisper_service.evaluation.score import coverage, speech_intervals
from whisper_service.evaluation.switching import Stretch
from whisper_service.events import AudioSkipped
from whisper_service.testing import utterance, word_times
from whisper_service.types import to_samples

EDGE = to_samples(0.08)  # a word of tones may be timed so much short at either end
SHORT = to_samples(0.3)  # the last word of a caption may be timed so much short by the model

PAUSED = [(None, 0.7), *[(w, 0.5) for w in ("hello", "world", "please", "yes")], (None, 1.2)]
PAUSED += [*[(w, 0.5) for w in ("hola", "mundo", "gracias")], (None, 1.2)]
JOINED = [(None, 0.7), *[(w, 0.5) for w in ("hello", "world", "please", "everything", "yes")]]
JOINED += [*[(w, 0.5) for w in ("hola", "mundo", "gracias", "buenos", "sí")], (None, 1.2)]
FOREIGN = [*PAUSED, *[(w, 0.6) for w in ("bonjour", "merci", "bonjour", "merci")], (None, 1.2)]
SCRIPTS = {"pauses": PAUSED, "no pause": JOINED, "not allowed": FOREIGN}


def places(segments, gaps, at):
    """In how many segments and gaps a sample is."""
    return sum(p.start <= at < p.end for p in (*segments, *gaps))


def skipped(events):
    return [e for e in events if isinstance(e, AudioSkipped)]


@pytest.mark.parametrize("mode", ["fast", "offline"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_each_word_through_a_change_is_in_exactly_one_place(name, mode):
    script = SCRIPTS[name]
    stream, events = run_tones(utterance(script), tone_options("en", "es", mode=mode))
    words, gaps = word_times(script), skipped(events)
    for word in words:
        inside = range(word.start + EDGE, word.end - EDGE, 320)
        assert {places(stream.segments, gaps, at) for at in inside} == {1}, word
    assert [g.reason for g in gaps] == (["other_language"] if name == "not allowed" else [])
    speech = [Stretch(start=w.start, end=w.end, language=w.language) for w in words]
    lost, twice = coverage(speech, stream.segments, gaps)
    assert twice == 0
    assert lost <= 2 * EDGE * len(words)


def live(demo, samples, policy="align_att"):
    language = LanguageOptions(policy="code_switch", languages=("en", "es", "fr", "de", "zh"))
    decode = DecodeOptions(policy=policy)
    return replay(demo, samples, StreamOptions(mode="fast", language=language, decode=decode))


@pytest.fixture(scope="module")
def heard(demo, recording):
    return live(demo, recording)


@pytest.mark.parametrize("policy", ["align_att", "local_agreement"])
def test_a_change_in_one_breath_leaves_nothing_between_two_segments(demo, recording, truth, policy):
    english, spanish = (
        recording[to_samples(s["start"]) : to_samples(s["end"])] for s in truth[3:5]
    )
    silence = np.zeros(to_samples(1.0), np.float32)
    run = live(demo, np.concatenate([silence, english, spanish, silence]), policy)
    events = [t.event for t in run.events]
    ((started, ended),) = utterances(events)
    before, after = run.transcript.segments
    (switch,) = run.transcript.switches
    assert (before.language, after.language) == ("en", "es")
    assert switch.at <= before.end == after.start
    assert before.start <= started
    assert after.end >= ended


def test_each_stretch_of_speech_in_the_bundled_recording_is_covered_once(heard):
    events = [t.event for t in heard.events]
    places = pieces(events)
    assert all(a.end <= b.start for a, b in pairwise(places))
    for started, ended in utterances(events):
        held = sum(max(0, min(p.end, ended) - max(p.start, started)) for p in places)
        assert held == ended - started


def test_the_bundled_recording_is_covered_once(heard, truth):
    speech = [
        Stretch(start=to_samples(s["start"]), end=to_samples(s["end"]), language=s["language"])
        for s in truth
    ]
    segments, gaps = heard.transcript.segments, skipped(t.event for t in heard.events)
    middles = [to_samples((w["start"] + w["end"]) / 2) for s in truth for w in s["words"]]
    assert {places(segments, gaps, at) for at in middles} == {1}
    for stretch in speech:
        lost, twice = coverage([stretch], segments, gaps)
        assert twice == 0
        assert lost <= SHORT, stretch


def test_every_sample_is_decoded_or_skipped_for_silence_and_the_sum_is_the_recording(
    heard, recording
):
    account = heard.transcript.audio
    assert account.received == len(recording) == account.decoded + account.skipped_silence
    intervals = speech_intervals(heard, len(recording))
    assert sum(end - start for start, end in intervals) <= account.decoded


def test_a_lost_segment_and_a_doubled_one_are_noticed(heard, truth):
    segments = heard.transcript.segments
    middles = [to_samples((w["start"] + w["end"]) / 2) for s in truth for w in s["words"]]
    assert 0 in {places(segments[1:], [], at) for at in middles}
    assert 2 in {places([*segments, segments[0]], [], at) for at in middles}
