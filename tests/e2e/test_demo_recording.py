"""The main job on the bundled recording, with the embedded model and the real detector."""

import itertools

import numpy as np
import pytest

from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.evaluation.switching import (
    Decision,
    Stretch,
    diarization_error,
    score_switches,
    true_switches,
)
from whisper_service.evaluation.wer import mixed_errors
from whisper_service.events import Lag, LanguageCandidate, LanguageSwitched
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.types import SAMPLE_RATE, to_samples

LANGUAGES = ("en", "es", "fr", "de", "zh")
MODES = ("live", "fast", "offline")


def options(mode="fast", languages=LANGUAGES):
    policy = "code_switch" if len(languages) > 1 else "auto_lock"
    return StreamOptions(mode=mode, language=LanguageOptions(policy=policy, languages=languages))


def run(engine, samples, opts, size=1600):
    stream = StreamTranscriber(engine, opts)
    events = []
    for first in range(0, len(samples), size):
        events += stream.feed(samples[first : first + size])
        a = stream.account
        assert a.received == a.decoded + a.skipped_silence + a.dropped + a.pending
    return stream, events + stream.finish()


@pytest.fixture(scope="module")
def runs(demo, recording):
    return {mode: run(demo, recording, options(mode)) for mode in MODES}


def errors(stream, truth):
    return mixed_errors(
        [(s["text"], s["language"]) for s in truth],
        [(s.text, s.language) for s in stream.segments],
    )


def stretches(truth):
    return [
        Stretch(start=to_samples(s["start"]), end=to_samples(s["end"]), language=s["language"])
        for s in truth
    ]


def test_the_recording_is_what_it_claims(recording, truth):
    assert len(recording) >= 20 * SAMPLE_RATE
    languages = [s["language"] for s in truth]
    assert len(set(languages)) == 5
    assert sum(a != b for a, b in itertools.pairwise(languages)) == 6


@pytest.mark.parametrize("mode", MODES)
def test_every_caption_carries_the_right_language(runs, truth, mode):
    stream, _ = runs[mode]
    spoken = [(s.language, round((s.start + s.end) / 2)) for s in stream.segments]
    for language, middle in spoken:
        true = next(
            s["language"]
            for s in truth
            if to_samples(s["start"]) - 8000 <= middle <= to_samples(s["end"]) + 8000
        )
        assert language == true
    assert len(stream.segments) == len(truth)


def test_live_is_as_good_as_offline(runs, truth):
    offline = errors(runs["offline"][0], truth).rate
    assert errors(runs["live"][0], truth).rate <= offline + 0.015
    assert errors(runs["fast"][0], truth).rate <= offline + 0.015


@pytest.mark.parametrize("mode", ["live", "fast"])
def test_changes_are_heard_in_time_and_in_the_right_place(runs, truth, mode):
    stream, _ = runs[mode]
    decisions = [
        Decision(old=e.old, new=e.new, at=e.at, available=e.decided_at)
        for e in runs[mode][1]
        if type(e).__name__ == "LanguageSwitched"
    ]
    score = score_switches(true_switches(stretches(truth)), decisions)
    assert score.recall(to_samples(1.6)) == 1.0
    assert score.false == ()
    assert max(score.errors) <= to_samples(0.25)
    assert len(stream.switches) == 6


def test_little_time_is_in_the_wrong_language(runs, truth):
    stream, _ = runs["fast"]
    heard = [Stretch(start=s.start, end=s.end, language=s.language) for s in stream.segments]
    assert diarization_error(stretches(truth), heard).wrong_rate <= 0.02


@pytest.mark.parametrize("size", [320, 7_777, 400_000])
def test_any_chunks_give_the_same_events(demo, recording, runs, size):
    stream, events = run(demo, recording, options(), size=size)
    whole = [e for e in runs["fast"][1] if not isinstance(e, Lag)]
    assert [e for e in events if not isinstance(e, Lag)] == whole
    assert stream.account == runs["fast"][0].account


def test_word_times_are_near_the_truth(runs, truth):
    true = {
        (s["language"], w["word"].strip(" .,?!¿¡").lower()): w["start"]
        for s in truth
        for w in s["words"]
    }
    off = [
        abs(w.start / SAMPLE_RATE - true[key])
        for s in runs["offline"][0].segments
        for w in s.words
        if (key := (w.language, w.text.strip(" .,?!¿¡").lower())) in true
        and abs(w.start / SAMPLE_RATE - true[key]) < 2.0  # the same word said elsewhere
    ]
    assert len(off) > 25
    assert np.median(off) <= 0.12


def test_a_candidate_is_told_with_its_own_probability(demo, recording, truth):
    english, spanish = (
        recording[to_samples(s["start"]) : to_samples(s["end"])] for s in truth[3:5]
    )
    _, events = run(demo, np.concatenate((english, spanish)), options())
    told = [e for e in events if isinstance(e, LanguageCandidate) and e.language == "es"]
    (change,) = [e for e in events if isinstance(e, LanguageSwitched)]
    assert told
    # English still leads when Spanish is first told of, and stands at nearly 1.
    assert 0.0 < told[-1].probability < change.probability


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_a_long_stretch_without_a_pause_keeps_its_words(demo, recording, truth, mode):
    parts = [recording[to_samples(s["start"]) : to_samples(s["end"])] for s in truth[2:4]]
    pause = np.zeros(to_samples(0.3), np.float32)
    samples = np.concatenate([p for _ in range(10) for part in parts for p in (part, pause)])
    language = LanguageOptions(policy="forced", languages=("en",))
    stream, _ = run(demo, samples, StreamOptions(mode=mode, language=language))
    spoken = 10 * sum(len(s["words"]) for s in truth[2:4])
    heard = sum(len(s.words) for s in stream.segments)
    assert abs(heard - spoken) <= spoken // 30  # a word may be heard as two, or two as one


def test_without_languages_the_first_one_is_kept(demo, recording):
    stream, _ = run(demo, recording[: 8 * SAMPLE_RATE], options(languages=()))
    assert {s.language for s in stream.segments} == {"fr"}
    assert stream.switches == ()


def test_silence_and_noise_give_no_word(demo):
    noise = np.random.default_rng(3).normal(0, 0.01, 20 * SAMPLE_RATE).astype(np.float32)
    for samples in (np.zeros(10 * SAMPLE_RATE, np.float32), noise):
        stream, _ = run(demo, samples, options())
        assert not stream.segments
        assert stream.account.pending == 0
