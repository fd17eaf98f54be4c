"""The performance parts as a user meets them, alone and together in the running transcriber.

The transcriber runs on the scripted engine, which really hears (its words are tones); more of it
stands in ``test_performance_pipeline.py``. Details of each part are tested in ``tests/unit`` and
``tests/property``.
"""

import json
import threading
import tracemalloc
from collections import deque

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from restarts import ALWAYS_RUN, SAID, STAGES, STATISTICS, finished_run, run, transcriber
from whisper_service import EncoderCache, PerformanceMetrics, RingBuffer, is_meaningful
from whisper_service.errors import InvalidAudioError, InvalidOptionError


def ramp(first, count):
    return np.arange(first, first + count, dtype=np.float32)


class TestRingBuffer:
    @pytest.fixture(params=[True, False], ids=["mapped twice", "written twice"])
    def buffer(self, request):
        try:
            return RingBuffer(100, mirrored=request.param)
        except InvalidOptionError:
            pytest.skip("memory cannot be mapped twice here")

    def test_starts_empty(self, buffer):
        assert (len(buffer), buffer.is_empty(), buffer.is_full()) == (0, True, False)
        assert (buffer.capacity, buffer.remaining_capacity()) == (100, 100)
        assert len(buffer.read_all()) == 0

    def test_append_and_read(self, buffer):
        buffer.append(ramp(0, 30))
        buffer.append(ramp(30, 20))
        np.testing.assert_array_equal(buffer.read_all(), ramp(0, 50))
        np.testing.assert_array_equal(buffer.read_last_n(10), ramp(40, 10))
        assert buffer.remaining_capacity() == 50

    def test_full(self, buffer):
        buffer.append(ramp(0, 100))
        assert buffer.is_full()
        assert buffer.remaining_capacity() == 0

    def test_overflow_drops_the_oldest_and_counts_them(self, buffer):
        buffer.append(ramp(0, 100))
        buffer.append(ramp(100, 25))
        np.testing.assert_array_equal(buffer.read_all(), ramp(25, 100))
        assert buffer.overwritten == 25

    def test_no_stale_samples_after_wrap_around_and_consume(self, buffer):
        """The fault of the old ring buffer."""
        buffer.append(ramp(0, 80))
        buffer.consume(60)
        buffer.append(ramp(80, 70))
        np.testing.assert_array_equal(buffer.read_all(), ramp(60, 90))
        buffer.consume(50)
        buffer.append(ramp(150, 40))
        np.testing.assert_array_equal(buffer.read_all(), ramp(110, 80))
        np.testing.assert_array_equal(buffer.read_last_n(45), ramp(145, 45))

    def test_consume_returns_how_many_there_were(self, buffer):
        buffer.append(ramp(0, 10))
        assert buffer.consume(4) == 4
        assert buffer.consume(100) == 6
        assert buffer.is_empty()

    def test_clear(self, buffer):
        buffer.append(ramp(0, 60))
        buffer.clear()
        assert buffer.is_empty()
        buffer.append(ramp(0, 5))
        np.testing.assert_array_equal(buffer.read_all(), ramp(0, 5))

    def test_reading_more_than_there_is(self, buffer):
        buffer.append(ramp(0, 3))
        np.testing.assert_array_equal(buffer.read_last_n(50), ramp(0, 3))

    def test_a_chunk_larger_than_the_buffer(self, buffer):
        with pytest.raises(InvalidAudioError, match="smaller chunks"):
            buffer.append(ramp(0, 101))
        assert buffer.is_empty()

    def test_a_stereo_chunk(self, buffer):
        with pytest.raises(InvalidAudioError, match="mono"):
            buffer.append(np.zeros((2, 10), np.float32))

    def test_reading_copies_nothing(self, buffer):
        buffer.append(ramp(0, 90))
        buffer.append(ramp(90, 40))
        assert np.shares_memory(buffer.read_all(), buffer.read_last_n(60))
        assert buffer.read_all().flags.c_contiguous

    def test_the_dtype_is_kept(self):
        buffer = RingBuffer(10, dtype=np.int16)
        buffer.append(np.array([1, -2, 3], np.int16))
        assert buffer.read_all().dtype == np.int16

    def test_nothing_is_allocated_in_steady_state(self):
        buffer = RingBuffer(160_000)
        chunk = ramp(0, 1600)
        for _ in range(200):
            buffer.append(chunk)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(1000):
                buffer.append(chunk)
                buffer.read_last_n(16_000)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert peak < chunk.nbytes  # views and counters, never samples

    def test_any_schedule_equals_a_deque(self):
        random = np.random.default_rng(7)
        buffer, model, at = RingBuffer(64), deque(maxlen=64), 0
        for _ in range(2000):
            if random.random() < 0.6:
                count = int(random.integers(0, 65))
                buffer.append(ramp(at, count))
                model.extend(range(at, at + count))
                at += count
            else:
                for _ in range(buffer.consume(int(random.integers(0, 70)))):
                    model.popleft()
            assert buffer.read_all().tolist() == list(model)


class TestEncoderCache:
    def audio(self, seed):
        return np.random.default_rng(seed).uniform(-1, 1, 1600).astype(np.float32)

    def test_miss_then_hit(self):
        cache, output = EncoderCache(), np.ones((50, 8), np.float32)
        assert cache.get(audio=self.audio(0)) is None
        cache.put(output, audio=self.audio(0))
        assert cache.get(audio=self.audio(0)) is output
        statistics = cache.get_statistics()
        assert (statistics["hits"], statistics["misses"], statistics["hit_rate"]) == (1, 1, 0.5)

    def test_a_precomputed_hash_is_the_same_key(self):
        cache = EncoderCache()
        key = cache.precompute_hash(self.audio(0))
        cache.put("output", audio_hash=key)
        assert cache.contains(audio=self.audio(0))
        assert cache.get(audio_hash=key) == "output"

    def test_hash_precision(self):
        audio = self.audio(0).round(3)
        coarse, fine = EncoderCache(hash_precision=3), EncoderCache(hash_precision=6)
        assert coarse.precompute_hash(audio) == coarse.precompute_hash(audio + 1e-5)
        assert fine.precompute_hash(audio) != fine.precompute_hash(audio + 1e-5)

    def test_the_least_recently_used_is_evicted(self):
        cache = EncoderCache(max_size=2)
        for seed in range(2):
            cache.put(seed, audio=self.audio(seed))
        cache.get(audio=self.audio(0))
        cache.put(2, audio=self.audio(2))
        assert [cache.contains(audio=self.audio(s)) for s in range(3)] == [True, False, True]
        assert cache.get_statistics()["evictions"] == 1

    def test_bytes_are_bounded(self):
        cache = EncoderCache(max_bytes=1000)
        for seed in range(10):
            cache.put(np.zeros(100, np.float32), audio=self.audio(seed))
        assert cache.get_statistics()["bytes"] == 800

    def test_statistics_have_the_documented_keys(self):
        expected = {"hits", "misses", "hit_rate", "size", "capacity", "evictions", "utilization"}
        assert expected <= set(EncoderCache().get_statistics())
        json.dumps(EncoderCache().get_statistics())

    def test_utilization(self):
        cache = EncoderCache(max_size=4)
        cache.put("x", audio_hash="a")
        assert cache.get_statistics()["utilization"] == 0.25

    def test_reset_statistics_and_clear(self):
        cache = EncoderCache()
        cache.put("x", audio_hash="a")
        cache.get(audio_hash="a")
        cache.reset_statistics()
        assert cache.get_statistics()["hits"] == 0
        assert cache.contains(audio_hash="a")
        cache.clear()
        assert not cache.contains(audio_hash="a")

    def test_batches(self):
        cache = EncoderCache()
        audios = [self.audio(s) for s in range(3)]
        cache.put_batch(["a", "b"], audios[:2])
        assert cache.get_batch(audios) == ["a", "b", None]

    def test_live_windows_hit_by_position_where_content_never_does(self):
        """The fault of the old cache: each window of a live stream is new audio."""
        cache, stream = EncoderCache(), np.random.default_rng(0).uniform(-1, 1, 32_000)
        for end in range(16_000, 32_000, 1600):
            window = stream[end - 16_000 : end]
            assert cache.get(audio=window) is None
            cache.put("encoded", audio=window)
            assert cache.get_span("live", end - 16_000, end, needs=2) is None  # LID and decode
            cache.put_span("encoded", "live", first=end - 16_000, last=end)
            assert cache.get_span("live", end - 16_000, end) == "encoded"  # the final
        assert cache.get_statistics()["hits"] == 10 * 2
        assert cache.get_statistics()["misses"] == 10 * 2

    def test_nothing_to_look_up(self):
        with pytest.raises(InvalidOptionError, match="audio="):
            EncoderCache().get()


class TestPerformanceMetrics:
    def test_measure_counts_and_times(self):
        metrics = PerformanceMetrics()
        for _ in range(5):
            with metrics.measure("op"):
                pass
        row = metrics.get_statistics()["op"]
        assert set(row) == STATISTICS
        assert row["count"] == 5
        assert 0 < row["min"] <= row["p50"] <= row["p95"] <= row["p99"] <= row["max"]

    def test_start_and_stop(self):
        metrics = PerformanceMetrics()
        metrics.start_timer("op")
        assert metrics.stop_timer("op") >= 0.0
        assert metrics.get_statistics()["op"]["count"] == 1

    def test_percentiles(self):
        metrics = PerformanceMetrics()
        for ms in range(1, 101):
            metrics.record("op", ms)
        row = metrics.get_statistics()["op"]
        assert row["mean"] == 50.5
        for p in (50, 95, 99):
            assert row[f"p{p}"] == pytest.approx(np.percentile(range(1, 101), p))

    def test_memory_is_bounded_by_max_samples(self):
        metrics = PerformanceMetrics(max_samples=10)
        for ms in range(5000):
            metrics.record("op", ms)
        row = metrics.get_statistics()["op"]
        assert (row["count"], row["min"], row["p50"]) == (5000, 0.0, 4994.5)

    def test_whole_run_percentiles(self):
        metrics = PerformanceMetrics(max_samples=10)
        for ms in range(5000):
            metrics.record("op", ms)
        whole = metrics.get_statistics(whole_run=True)["op"]
        assert whole["p50"] == pytest.approx(2500, rel=0.011)

    def test_switched_off(self):
        metrics = PerformanceMetrics(enabled=False)
        with metrics.measure("op"):
            metrics.record("op", 1.0)
        assert metrics.get_statistics() == {}
        assert "othing" in metrics.get_summary()

    def test_summary_names_every_operation(self):
        metrics = PerformanceMetrics()
        metrics.record("lid.total", 2.0)
        metrics.record("total", 40.0)
        assert all(word in metrics.get_summary() for word in ("lid.total", "40.000", "p95"))

    def test_prometheus_text_is_valid_and_in_seconds(self):
        metrics = PerformanceMetrics()
        metrics.record("total", 40.0)
        (family,) = text_string_to_metric_families(metrics.export_prometheus())
        assert family.name == "whisper_service_stage_duration_seconds"
        sums = [s.value for s in family.samples if s.name.endswith("_sum")]
        assert sums == [pytest.approx(0.04)]

    def test_reset(self):
        metrics = PerformanceMetrics()
        metrics.record("op", 1.0)
        metrics.reset()
        assert metrics.get_statistics() == {}

    def test_threads(self):
        metrics = PerformanceMetrics()

        def work():
            for _ in range(2000):
                with metrics.measure("op"):
                    pass

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert metrics.get_statistics()["op"]["count"] == 8000

    def test_streams_are_merged_by_samples(self):
        total = PerformanceMetrics()
        for first in (1, 51):
            stream = PerformanceMetrics()
            for ms in range(first, first + 50):
                stream.record("op", ms)
            total.merge(stream)
        assert total.get_statistics()["op"]["p50"] == 50.5


class TestMeaningfulOutput:
    @pytest.mark.parametrize(
        "text", ["Hello", "7", "今天天气很好", "Привет", "नमस्ते", "สวัสดี", "안녕", "مرحبا", "…ok"]
    )
    def test_speech_in_any_script(self, text):
        assert is_meaningful(text)

    @pytest.mark.parametrize("text", ["", "  \n", "...", "。！？", "♪ ♪", "—", "__"])
    def test_no_speech(self, text):
        assert not is_meaningful(text)

    def test_a_chinese_sentence_is_not_silence(self):
        """The fault of the old pattern ``[a-zA-Z0-9]``."""
        assert is_meaningful("好。")

    def test_long_texts_agree_with_isalnum(self):
        for letter in ("", "é", "语", "٣"):
            text = "—… " * 3000 + letter
            assert is_meaningful(text) == any(c.isalnum() for c in text)


@pytest.fixture(scope="module")
def finished():
    return finished_run()


class TestPipeline:
    """The parts at work in ``SessionRestartTranscriber``."""

    def test_every_stage_has_percentiles(self, finished):
        performance = finished.get_statistics()["performance"]
        assert set(STAGES) <= set(performance)
        assert all(set(performance[stage]) >= STATISTICS for stage in STAGES)
        assert all(performance[stage]["count"] > 0 for stage in ALWAYS_RUN)

    def test_the_monitoring_idiom(self, finished):
        stats = finished.get_statistics()
        assert stats["performance"]["lid.total"]["p95"] > 0
        assert 0 <= stats["encoder_cache"]["hit_rate"] <= 1
        assert 0 <= stats["buffer_utilization"] <= 1

    def test_one_encoder_pass_serves_many_needs(self, finished):
        stats = finished.get_statistics()
        needs = stats["encoder_cache"]["hits"] + stats["encoder_cache"]["misses"]
        assert stats["encoder_cache"]["hits"] > 0
        assert stats["encoder_cache"]["misses"] < needs

    @pytest.mark.parametrize(
        "off", [{"enable_metrics": False}, {"use_cache": False}, {"use_vad": False}]
    )
    def test_each_part_can_be_switched_off(self, off):
        stream = transcriber(**off)
        text, _ = run(stream)
        assert text.split() == SAID.split()
        stats = stream.get_statistics()
        assert set(STAGES) <= set(stats["performance"])
        assert "hit_rate" in stats["encoder_cache"]

    def test_the_model_is_not_loaded_again_for_a_session(self):
        """The fault of the old service: a model load per language session."""
        stream = transcriber()
        engine = stream.engine
        run(stream)
        assert stream.engine is engine
        assert stream.stream.utterances.sessions >= 2

    def test_results_have_always_the_same_keys(self):
        _, results = run(transcriber())
        assert len({frozenset(r) for r in results}) == 1
