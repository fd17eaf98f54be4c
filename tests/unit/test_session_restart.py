"""The dictionary contract, and the faults of the service this one replaces: none may return."""

import itertools
import json

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from whisper_service import SessionRestartTranscriber
from whisper_service.errors import InvalidAudioError, InvalidOptionError, StreamClosedError
from whisper_service.session_restart import SessionRestartTranscriber as OldPlace
from whisper_service.testing import EnergyVad, ScriptedEngine, silence, utterance, word_times
from whisper_service.types import SAMPLE_RATE, to_samples

KEYS = {
    "text",
    "language",
    "is_final",
    "segments",
    "switch_detected",
    "current_language",
    "candidate_language",
    "statistics",
    "chunk_id",
    "chunks_since_output",
    "silence_detected",
}
ENGLISH = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("please", 0.5), ("yes", 0.5), (None, 1.0)]
SPANISH = [("hola", 0.5), ("mundo", 0.5), ("gracias", 0.5), (None, 1.0)]


class CountingEngine(ScriptedEngine):
    """Notes the length of every window it encodes, in seconds."""

    def __init__(self):
        super().__init__()
        self.encoded = []

    def encode(self, mels):
        self.encoded += [mel.shape[1] / 100 for mel in mels]
        return super().encode(mels)


def transcriber(*languages, engine=None, **more):
    return SessionRestartTranscriber(
        engine=engine or ScriptedEngine(),
        target_languages=languages,
        detector=EnergyVad(),
        mode="fast",
        **more,
    )


def process(t, samples, size=1600):
    results = [t.process(samples[i : i + size]) for i in range(0, len(samples), size)]
    return [*results, t.finalize()]


@pytest.fixture(scope="module")
def run():
    t = transcriber("en", "es")
    return t, process(t, utterance([*ENGLISH, *SPANISH]))


def test_every_result_has_the_same_keys(run):
    _t, results = run
    assert all(set(r) == KEYS for r in results)
    assert len({frozenset(r["statistics"]) for r in results}) == 1
    fresh = transcriber()
    assert set(fresh.process(np.zeros(0, np.float32))) == KEYS


def test_texts_joined_are_the_transcript(run):
    _t, results = run
    assert "".join(r["text"] for r in results).split() == [
        *("hello", "world", "please", "yes"),
        *("hola", "mundo", "gracias"),
    ]


def test_segments_are_told_once_and_all_of_them_are_on_the_transcriber(run):
    t, results = run
    told = [s for r in results for s in r["segments"]]
    assert told == t.segments
    assert [s["language"] for s in told] == ["en", "es"]
    assert [r["is_final"] for r in results] == [bool(r["segments"]) for r in results]


def test_the_switch_is_detected_once(run):
    _, results = run
    assert sum(r["switch_detected"] for r in results) == 1
    assert results[-1]["current_language"] == "es"


def test_chunks_are_counted(run):
    _, results = run
    assert [r["chunk_id"] for r in results] == list(range(len(results)))
    for before, after in itertools.pairwise(results):
        said = after["text"] != ""
        assert after["chunks_since_output"] == (0 if said else before["chunks_since_output"] + 1)


def test_silence_is_reported():
    t = transcriber("en")
    assert all(r["silence_detected"] for r in process(t, silence(2.0)))


def test_results_are_json(run):
    t, results = run
    json.dumps(results)
    json.dumps(t.get_statistics())


def test_the_monitoring_idiom_works_as_written(run):
    t, _ = run
    stats = t.get_statistics()
    assert stats["performance"]["lid.total"]["p95"] > 0
    assert stats["encoder_cache"]["hit_rate"] >= 0
    assert 0 <= stats["buffer_utilization"] <= 1


def test_prometheus_text_is_valid_and_adds_up(run):
    t, _ = run
    values = {
        (s.name, *sorted(s.labels.items())): s.value
        for f in text_string_to_metric_families(t.export_prometheus_metrics())
        for s in f.samples
    }
    received = values[("whisper_service_audio_received_seconds_total",)]
    fates = [v for k, v in values.items() if k[0] == "whisper_service_audio_fate_seconds_total"]
    assert received == pytest.approx(sum(fates))
    assert values[("whisper_service_language_switches_total",)] == 1


def test_reset_starts_over_without_loading_anything():
    t = transcriber("en")
    engine = t.engine
    process(t, utterance(ENGLISH))
    t._detector = EnergyVad()
    t.reset()
    assert t.engine is engine
    assert t.segments == []
    results = process(t, utterance(ENGLISH))
    assert "".join(r["text"] for r in results).split() == ["hello", "world", "please", "yes"]


def test_old_places_lead_to_the_same_things():
    from whisper_service import RingBuffer, utils

    assert OldPlace is SessionRestartTranscriber
    assert utils.RingBuffer is RingBuffer


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_any_sampling_rate(rate):
    import soxr

    t = transcriber("en", sampling_rate=rate)
    samples = soxr.resample(utterance(ENGLISH), SAMPLE_RATE, rate).astype(np.float32)
    results = process(t, samples, size=rate // 10)
    assert "".join(r["text"] for r in results).split() == ["hello", "world", "please", "yes"]


def test_int16_chunks_are_scaled():
    t = transcriber("en")
    results = process(t, (utterance(ENGLISH) * 32767).astype(np.int16))
    assert "".join(r["text"] for r in results).split() == ["hello", "world", "please", "yes"]


def test_beam_search_says_the_same():
    t = transcriber("en", decoder_type="beam", beam_size=3)
    results = process(t, utterance(ENGLISH))
    assert "".join(r["text"] for r in results).split() == ["hello", "world", "please", "yes"]


def test_bad_input_is_named():
    t = transcriber("en")
    with pytest.raises(InvalidAudioError, match="mono"):
        t.process(np.zeros((10, 2), np.float32))
    with pytest.raises(InvalidAudioError, match="32768"):
        t.process(np.full(100, 12_000.0, np.float32))
    with pytest.raises(InvalidOptionError, match="greedy"):
        transcriber(decoder_type="best")
    with pytest.raises(InvalidOptionError):
        transcriber("klingon")


class TestFaultsOfTheOldService:
    """Numbered as in the design; number 1, the ring buffer, is tested with it."""

    def test_2_language_frames_look_at_speech_and_not_at_thirty_padded_seconds(self):
        engine = CountingEngine()
        process(transcriber("en", "es", engine=engine), utterance([*ENGLISH, *SPANISH]))
        assert max(engine.encoded) < 10
        assert min(engine.encoded) >= 0.3

    def test_3_the_cache_hits_on_live_speech(self):
        t = transcriber("en", "es")
        process(t, utterance([*ENGLISH, *SPANISH]))
        assert t.get_statistics()["encoder_cache"]["hits"] > 0

    def test_4_a_new_session_loads_no_model(self, monkeypatch):
        import whisper_service.engine.load

        def refuse(*args, **kwargs):
            raise AssertionError("a model was loaded")

        t = transcriber("en", "es")
        monkeypatch.setattr(whisper_service.engine.load, "load_engine", refuse)
        process(t, utterance([*ENGLISH, *SPANISH]))
        assert t.get_statistics()["sessions"] >= 2

    def test_5_confidence_is_measured(self):
        t = transcriber("en", "es")
        process(t, utterance([*ENGLISH, *SPANISH]))
        values = [v for s in t.segments for v in (s["confidence"], s["language_probability"])]
        assert all(0 < v < 1 for v in values)

    def test_6_one_language_has_no_switch(self):
        rng = np.random.default_rng(1)
        words = ["hello", "world", "please", "everything", "yes"]
        script = []
        for _ in range(40):
            script += [(str(rng.choice(words)), 0.4) for _ in range(4)]
            script += [(None, float(rng.choice([0.3, 0.8])))]
        samples = utterance(script)
        samples = samples + rng.normal(0, 0.002, len(samples)).astype(np.float32)
        t = transcriber("en", "es", "zh", "fr")
        results = process(t, samples)
        assert sum(r["switch_detected"] for r in results) == 0

    def test_7_words_between_the_change_and_its_detection_are_in_the_right_language(self):
        script = [*ENGLISH[:-1], (None, 0.6), *SPANISH]
        t = transcriber("en", "es")
        process(t, utterance(script))
        heard = [(w["language"], w["word"]) for s in t.segments for w in s["words"]]
        assert heard == [(w.language, w.text) for w in word_times(script)]

    def test_8_a_result_holds_only_what_is_new(self):
        t = transcriber("en")
        results = process(t, utterance(ENGLISH * 5))
        assert max(len(r["segments"]) for r in results) == 1
        assert len(t.segments) == 5


def test_after_the_end_it_says_what_to_do():
    t = transcriber("en")
    t.finalize()
    with pytest.raises(StreamClosedError, match="reset"):
        t.process(silence(0.1))
    with pytest.raises(StreamClosedError, match="reset"):
        t.finalize()


def test_segment_times_are_seconds_of_the_stream():
    t = transcriber("en")
    process(t, np.concatenate([silence(10.0), utterance(ENGLISH)]))
    (segment,) = t.segments
    onset = word_times(ENGLISH)[0].start
    assert segment["start"] == pytest.approx(10 + onset / SAMPLE_RATE, abs=0.06)
    assert to_samples(segment["end"]) > to_samples(segment["start"])
