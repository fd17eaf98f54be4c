"""The baseline faster-whisper, on a module that stands in for it: the real one is optional."""

import inspect
import itertools
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from whisper_service.evaluation.converted import (
    WEIGHTS,
    converted_folder,
    read_source,
    write_source,
)
from whisper_service.evaluation.corpus import SpokenWord
from whisper_service.evaluation.faster_whisper import faster_whisper, why_not
from whisper_service.evaluation.goals import figures
from whisper_service.evaluation.harness import run_system, warm_up
from whisper_service.evaluation.recording import Recording, stretches
from whisper_service.evaluation.score import score
from whisper_service.events import Committed, Final, LanguageDetected, LanguageSwitched

SECOND = 16_000
SAID = [  # windows: language, then segments of (word, start, end)
    ("en", [[(" Good", 1.0, 1.4), (" morning.", 1.4, 2.0)]]),
    ("es", [[(" Hola", 3.1, 3.5)], [(" amigo", 3.5, 4.0)]]),
]


@dataclass
class Fake:
    """What a test reads of the stand-in."""

    made: dict = field(default_factory=dict)
    asked: dict = field(default_factory=dict)
    seeds: list = field(default_factory=list)


@pytest.fixture
def fake(monkeypatch):
    """A faster-whisper that says :data:`SAID`, window by window, as the real one does."""
    seen = Fake()

    class WhisperModel:
        def __init__(self, folder, **options):
            seen.made = {"folder": folder, **options}

        def generate_with_fallback(self, encoded, prompt, tokenizer, options):
            return "decoded"

        def transcribe(self, samples, **options):
            seen.asked = options
            return self._segments(), SimpleNamespace(language="en")

        def _segments(self):
            for language, segments in SAID:
                tokenizer = SimpleNamespace(language_code=language)
                assert self.generate_with_fallback(None, [], tokenizer, None) == "decoded"
                for words in segments:
                    said = [
                        SimpleNamespace(word=w, start=a, end=b, probability=0.9)
                        for w, a, b in words
                    ]
                    yield SimpleNamespace(
                        words=said, avg_logprob=-0.2, no_speech_prob=0.0, compression_ratio=1.0
                    )

    module, runtime = ModuleType("faster_whisper"), ModuleType("ctranslate2")
    module.WhisperModel = WhisperModel
    runtime.set_random_seed = seen.seeds.append
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    monkeypatch.setitem(sys.modules, "ctranslate2", runtime)
    return seen


def truth():
    words = [("good", 1.0, 1.4, "en"), ("morning", 1.4, 2.0, "en")]
    words += [("hola", 3.0, 3.5, "es"), ("amigo", 3.5, 4.0, "es")]
    spoken = tuple(
        SpokenWord(t, round(a * SECOND), round(b * SECOND), code) for t, a, b, code in words
    )
    return Recording(
        name="made",
        suite="mix3",
        languages=("en", "es"),
        samples=np.zeros(8 * SECOND, np.float32),
        speech=stretches(spoken),
        words=spoken,
    )


def baseline(window=30.0):
    return faster_whisper(Path("model"), longest_window=window, threads=2)


def test_each_window_speaks_the_language_it_was_decoded_in(fake):
    run = baseline().whole(truth())
    assert [(w.text, w.language) for w, _ in run.committed()] == [
        (" Good", "en"),
        (" morning.", "en"),
        (" Hola", "es"),
        (" amigo", "es"),
    ]
    kinds = [type(t.event) for t in run.events if isinstance(t.event, LanguageDetected)]
    assert kinds == [LanguageDetected]
    (switch,) = [t.event for t in run.events if isinstance(t.event, LanguageSwitched)]
    assert (switch.old, switch.new, switch.at) == ("en", "es", round(3.1 * SECOND))
    said = [w for t in run.events if isinstance(t.event, Committed) for w in t.event.words]
    kept = [w for t in run.events if isinstance(t.event, Final) for w in t.event.segment.words]
    assert said == kept
    assert run.transcript.text == "Good morning. Hola amigo"


def test_it_is_asked_as_its_users_ask_it(fake):
    baseline().whole(truth())
    assert fake.made["cpu_threads"] == 2
    assert fake.seeds == [0]
    assert fake.asked == {
        "multilingual": True,
        "word_timestamps": True,
        "beam_size": 1,
        "without_timestamps": False,
    }


def test_a_checkpoint_for_shorter_windows_gets_no_longer_ones(fake):
    baseline(window=10.0).whole(truth())
    assert fake.asked["chunk_length"] == 10
    assert fake.asked["without_timestamps"] is True


def test_what_is_said_is_scored_and_when_it_was_known_is_not(fake):
    warm_up(None, baseline(), truth())
    result = run_system(None, baseline(), [truth()])
    made = figures(result.tally, suite="mix3")
    assert made["mer"] == 0.0
    assert (made["switches"], made["false_switches"], made["switch_recall_any"]) == (1, 0, 1.0)
    assert made["change_point_p50"] == pytest.approx(0.1)
    assert made["wrong_language_time"] == 0.0
    assert made["missed_speech"] == pytest.approx(0.1 / 2.0)
    timed = ("switch_recall", "switch_lag_p50", "word_latency_p50", "laal", "final_p50", "edits")
    timed += ("erasure", "seconds_lost", "encoder_passes_per_second", "cache_hit_rate")
    assert {name: made[name] for name in timed} == dict.fromkeys(timed)
    assert result.timelines == []


@pytest.mark.parametrize(("start", "false"), [(2.1, 0), (1.9, 1)])
def test_a_change_is_matched_by_its_place(fake, monkeypatch, start, false):
    early = [("en", [[(" Good", 1.0, 1.4)]]), ("es", [[(" Hola", start, 3.5)]])]
    monkeypatch.setitem(globals(), "SAID", early)
    tally = score(truth(), baseline().whole(truth()))
    assert (tally.false_switches, tally.missed) == (false, false)


def test_a_recording_that_it_never_ends_with_is_given_up(fake, monkeypatch):
    monkeypatch.setattr("whisper_service.evaluation.faster_whisper.PATIENCE", 1 / 120)
    monkeypatch.setattr(sys.modules[__name__], "SAID", itertools.cycle(SAID))
    run = baseline().whole(truth())
    assert run.committed(), "what it said until then counts"


def test_words_never_overlap(fake, monkeypatch):
    wild = [("en", [[(" a", 1.0, 2.0), (" b", 1.5, 1.6)], [(" c", 0.5, 3.0)], []])]
    monkeypatch.setitem(globals(), "SAID", wild)
    run = baseline().whole(truth())
    times = [(w.start, w.end) for w, _ in run.committed()]
    assert times == [(SECOND, 2 * SECOND), (2 * SECOND, 2 * SECOND), (2 * SECOND, 3 * SECOND)]
    assert len(run.transcript.segments) == 2


def test_what_is_missing_is_said_with_what_to_do(fake, monkeypatch, tmp_path):
    finder = "whisper_service.evaluation.faster_whisper.find_spec"
    monkeypatch.setattr(finder, lambda name: None)
    assert "pip install faster-whisper" in why_not(tmp_path, fingerprint="a")
    monkeypatch.setattr(finder, lambda name: name)
    assert "convert_for_faster_whisper.py" in why_not(tmp_path, fingerprint="a")
    (tmp_path / WEIGHTS).touch()
    assert why_not(tmp_path, fingerprint="a") == ""
    write_source(tmp_path, "b")
    assert "other weights" in why_not(tmp_path, fingerprint="a")
    assert why_not(tmp_path, fingerprint="b") == ""


def test_a_source_is_kept_and_a_folder_is_named_after_its_model(tmp_path, monkeypatch):
    assert read_source(tmp_path) is None
    write_source(tmp_path, "abc")
    assert read_source(tmp_path) == "abc"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = converted_folder("openai/whisper-base")
    assert folder == tmp_path / "whisper-service" / "faster-whisper" / "openai--whisper-base"


@pytest.mark.skipif(not find_spec("faster_whisper"), reason="faster-whisper is not installed")
def test_the_real_one_has_what_is_used():
    from faster_whisper import WhisperModel

    asked = {"multilingual", "word_timestamps", "beam_size", "without_timestamps", "chunk_length"}
    assert asked <= set(inspect.signature(WhisperModel.transcribe).parameters)
    decode = inspect.signature(WhisperModel.generate_with_fallback).parameters
    assert list(decode) == ["self", "encoder_output", "prompt", "tokenizer", "options"]
