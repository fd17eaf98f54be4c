"""The whole transcriber: what it reports on the scripted engine, and real speech.

The first class hears tones, the second the bundled recording through the embedded model.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from restarts import ALWAYS_RUN, SCRIPT, finished_run, run, transcriber
from whisper_service import SessionRestartTranscriber, load_model
from whisper_service.engine.base import Span
from whisper_service.evaluation.bench.workload import bundled_clip, stream_options
from whisper_service.evaluation.replay import replay
from whisper_service.features import log_mel
from whisper_service.testing import utterance


@pytest.fixture(scope="module")
def finished():
    return finished_run()


class TestScriptedPipeline:
    """What ``SessionRestartTranscriber`` tells about itself."""

    def test_statistics_are_json(self, finished):
        assert json.loads(json.dumps(finished.get_statistics()))["switches"] == 1

    def test_the_summary_is_a_table_of_the_stages(self, finished):
        summary = finished.get_performance_summary()
        assert all(stage in summary for stage in ALWAYS_RUN)

    def test_prometheus_metrics_are_valid(self, finished):
        text = finished.export_prometheus_metrics()
        families = {f.name: f for f in text_string_to_metric_families(text)}
        assert all(name.startswith("whisper_service_") for name in families)
        stages = {
            s.labels["stage"] for s in families["whisper_service_stage_duration_seconds"].samples
        }
        assert set(ALWAYS_RUN) <= stages

    def test_the_audio_account_adds_up(self, finished):
        audio = finished.get_statistics()["audio"]
        parts = sum(audio[k] for k in ("decoded", "skipped_silence", "dropped", "pending"))
        assert parts == pytest.approx(audio["received"], abs=0.005)
        assert audio["pending"] == 0

    def test_without_metrics_nothing_is_measured(self):
        stream = transcriber(enable_metrics=False)
        run(stream)
        assert all(row["count"] == 0 for row in stream.get_statistics()["performance"].values())

    def test_nothing_is_encoded_before_a_language_could_be_decided(self):
        stream = transcriber()
        passes = {}
        samples = utterance(SCRIPT)
        for first in range(0, 2 * 16_000, 320):
            stream.process(samples[first : first + 320])
            spoken = stream.stream.utterances
            if spoken.is_open:
                passes[first + 320 - spoken.running.speech] = stream.stream.encodings.passes
        floor = stream.options.language.evidence_floor * 16_000
        assert max(count for heard, count in passes.items() if heard < floor) == 0
        assert max(passes.values()) > 0

    def test_a_stream_keeps_few_windows(self, finished):
        """Each also holds the decoder's keys and values: megabytes with the larger models."""
        assert finished.get_statistics()["encoder_cache"]["capacity"] <= 4


LANGUAGES = ["en", "es", "fr", "de", "zh"]


@pytest.fixture(scope="module")
def demo():
    engine = load_model("demo", compute_type="float32")
    clip = bundled_clip().cut(9.0)  # French, then English
    return engine, clip


def transcribe(demo, **options):
    engine, clip = demo
    stream = SessionRestartTranscriber(
        engine=engine, target_languages=LANGUAGES, clock=None, **options
    )
    text, results = run(stream, audio=clip.samples, chunk=8000)
    return stream, text, results


@pytest.fixture(scope="module")
def heard(demo):
    return transcribe(demo)


class TestRealPipeline:
    """The embedded model hears the bundled recording through every part."""

    def test_it_hears_words_in_both_languages(self, heard):
        stream, text, results = heard
        assert len(text.split()) >= 5
        assert {"fr", "en"} <= set(stream.get_statistics()["languages"])
        assert any(r["switch_detected"] for r in results)

    def test_every_stage_was_timed(self, heard):
        performance = heard[0].get_statistics()["performance"]
        assert all(performance[stage]["count"] > 0 for stage in ALWAYS_RUN)
        total, lid = performance["total"], performance["lid.total"]
        assert lid["count"] * lid["mean"] < total["count"] * total["mean"]

    def test_most_needs_are_served_by_an_encoding_that_is_there(self, heard):
        """The old service claimed more than 40 % and, keyed by content, could not have had it."""
        assert heard[0].get_statistics()["encoder_cache"]["hit_rate"] > 0.6

    def test_far_fewer_encoder_passes_than_the_old_way(self, heard):
        """The old way: one for each 100 ms of speech and one for each 0.5 s chunk."""
        statistics = heard[0].get_statistics()
        assert statistics["encoder_passes"] < 0.4 * 12 * statistics["audio"]["decoded"]

    def test_no_audio_is_lost(self, heard):
        audio = heard[0].get_statistics()["audio"]
        parts = sum(audio[k] for k in ("decoded", "skipped_silence", "dropped", "pending"))
        assert parts == pytest.approx(audio["received"], abs=0.005)
        assert audio["received"] == pytest.approx(9.0, abs=0.001)

    def test_everything_is_exported(self, heard):
        stream = heard[0]
        json.dumps(stream.get_statistics())
        families = list(text_string_to_metric_families(stream.export_prometheus_metrics()))
        assert any(f.name == "whisper_service_stage_duration_seconds" for f in families)
        assert "whisper.decode" in stream.get_performance_summary()

    @pytest.mark.parametrize("off", [{"enable_metrics": False}, {"use_cache": False}])
    def test_switching_a_part_off_changes_no_word(self, demo, heard, off):
        _, text, _ = transcribe(demo, **off)
        assert text == heard[1]

    def test_probing_beside_the_decode_changes_no_event(self, demo):
        engine, clip = demo
        expected, got = (
            [
                (t.event, t.heard)
                for t in replay(
                    engine, clip.samples, replace(stream_options(), parallel=parallel)
                ).events
            ]
            for parallel in (False, True)
        )
        assert got == expected

    def test_spans_in_a_batch_sound_as_they_do_alone(self, demo):
        engine, clip = demo
        (encoded,) = engine.encode([log_mel(clip.samples[: 4 * 16_000])])
        spans = [Span(encoded, 5 * i, 5 * i + 50) for i in range(7)]
        together = engine.language_probabilities(spans)
        alone = np.concatenate([engine.language_probabilities([span]) for span in spans])
        np.testing.assert_allclose(together, alone, atol=1e-4)

    def test_int8_holds_a_quarter_of_the_bytes(self, demo):
        engine, _ = demo
        small = load_model("demo", compute_type="int8")
        assert small.memory.encoder < 0.32 * engine.memory.encoder
        assert small.compute_type == "int8"
