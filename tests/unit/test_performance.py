"""Timers and their statistics; time is a counter that the tests turn."""

import json
import logging
import threading

import numpy as np
import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.metrics import PerformanceMetrics, performance
from whisper_service.metrics.sketch import BATCH

KEYS = {"count", "mean", "min", "max", "p50", "p95", "p99"}


class Clock:
    """Seconds that pass when a test says so; exact in multiples of 125 ms."""

    def __init__(self):
        self.now = 1e6

    def __call__(self):
        return self.now

    def pass_ms(self, ms):
        self.now += ms / 1e3


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(performance, "perf_counter", fake)
    return fake


def test_measure_takes_the_time_of_the_body(clock):
    metrics = PerformanceMetrics()
    with metrics.measure("decode"):
        clock.pass_ms(125)
    assert metrics.get_statistics() == {
        "decode": dict.fromkeys(KEYS - {"count"}, 125.0) | {"count": 1}
    }


def test_time_runs_from_the_call_of_measure(clock):
    metrics = PerformanceMetrics()
    for waited in (125, 500):  # a new timer, then a recycled one
        timer = metrics.measure("step")
        clock.pass_ms(waited)
        with timer:
            clock.pass_ms(250)
    row = metrics.get_statistics()["step"]
    assert (row["min"], row["max"]) == (375.0, 750.0)


def test_a_measure_inside_one_of_the_same_name(clock):
    metrics = PerformanceMetrics()
    with metrics.measure("step"):
        clock.pass_ms(125)
        with metrics.measure("step"):
            clock.pass_ms(250)
        with metrics.measure("step"):
            clock.pass_ms(500)
        clock.pass_ms(125)
    row = metrics.get_statistics()["step"]
    assert (row["count"], row["min"], row["p50"], row["max"]) == (3, 250.0, 500.0, 1000.0)


def test_recycled_timers_nest_too(clock):
    metrics = PerformanceMetrics()
    for _ in range(3):
        with metrics.measure("step"):
            clock.pass_ms(125)
            with metrics.measure("step"):
                clock.pass_ms(250)
    row = metrics.get_statistics()["step"]
    assert (row["count"], row["mean"], row["max"]) == (6, 312.5, 375.0)


def test_recursion(clock):
    metrics = PerformanceMetrics()

    def descend(depth):
        with metrics.measure("descend"):
            clock.pass_ms(125)
            if depth:
                descend(depth - 1)

    descend(9)
    row = metrics.get_statistics()["descend"]
    assert (row["count"], row["min"], row["max"], row["mean"]) == (10, 125.0, 1250.0, 687.5)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_body_that_raises_is_measured_and_the_error_passes(clock, enabled):
    metrics = PerformanceMetrics(enabled=enabled)

    def fail():
        with metrics.measure("step"):
            clock.pass_ms(375)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    if enabled:
        assert metrics.get_statistics()["step"]["max"] == 375.0


def test_timers_are_recycled(clock):
    metrics = PerformanceMetrics()
    first = metrics.measure("step")
    with first:
        pass
    assert metrics.measure("step") is first


def test_start_and_stop_by_name_by_token_and_nested(clock):
    metrics = PerformanceMetrics()
    metrics.start_timer("a")
    clock.pass_ms(125)
    token = metrics.start_timer("b")
    metrics.start_timer("a")
    clock.pass_ms(250)
    assert metrics.stop_timer("a") == 250.0
    assert metrics.stop_timer(token) == 250.0
    assert metrics.stop_timer("a") == 375.0
    assert metrics.get_statistics()["a"]["count"] == 2


def test_a_token_may_be_stopped_in_another_thread(clock):
    metrics = PerformanceMetrics()
    token = metrics.start_timer("a")
    clock.pass_ms(625)
    thread = threading.Thread(target=metrics.stop_timer, args=(token,))
    thread.start()
    thread.join()
    assert metrics.get_statistics()["a"]["max"] == 625.0


def test_stopping_twice_is_an_error():
    metrics = PerformanceMetrics()
    token = metrics.start_timer("a")
    metrics.stop_timer(token)
    for again in (token, "a"):
        with pytest.raises(InvalidOptionError, match="no timer 'a'"):
            metrics.stop_timer(again)


def test_percentiles_are_exact():
    values = np.random.default_rng(3).exponential(10.0, 777)
    metrics = PerformanceMetrics()
    for value in values:
        metrics.record("x", value)
    row = metrics.get_statistics()["x"]
    for p in (50, 95, 99):
        assert row[f"p{p}"] == pytest.approx(np.percentile(values, p), rel=1e-12)
    assert row["mean"] == pytest.approx(values.mean())
    assert (row["min"], row["max"], row["count"]) == (values.min(), values.max(), 777)


def test_percentiles_look_back_on_the_last_samples_and_the_rest_on_all():
    metrics = PerformanceMetrics(max_samples=10)
    for value in range(1, 3 * BATCH + 8):  # crosses batches, and wraps the ring
        metrics.record("x", value)
    last = 3 * BATCH + 7
    row = metrics.get_statistics()["x"]
    assert row["p50"] == last - 4.5
    assert (row["count"], row["min"], row["max"]) == (last, 1.0, last)
    whole = metrics.get_statistics(whole_run=True)["x"]
    assert whole["p50"] == pytest.approx((1 + last) // 2, rel=0.01)
    assert whole["p99"] == pytest.approx(0.99 * last, rel=0.011)


def test_reading_between_measurements_loses_none():
    metrics = PerformanceMetrics(max_samples=4)
    for value in (5.0, 1.0, 2.0):
        metrics.record("x", value)
        metrics.get_statistics()
    metrics.record("x", 3.0)
    metrics.record("x", 4.0)
    assert metrics.get_statistics()["x"]["p50"] == 2.5  # 1 2 3 4: the 5 has left the ring


def test_the_ring_wraps_one_by_one():
    metrics = PerformanceMetrics(max_samples=3)
    for value in range(1, 12):
        metrics.record("x", value)
        assert metrics.get_statistics()["x"]["p50"] == np.median(
            range(max(1, value - 2), value + 1)
        )


@pytest.mark.parametrize("ms", [-1.0, float("nan"), float("inf")])
def test_impossible_durations(ms):
    with pytest.raises(InvalidOptionError, match="give ms >= 0"):
        PerformanceMetrics().record("x", ms)


def test_max_samples_below_one():
    with pytest.raises(InvalidOptionError, match="at least 1"):
        PerformanceMetrics(max_samples=0)


def test_switched_off_measures_nothing(clock):
    metrics = PerformanceMetrics(enabled=False)
    with metrics.measure("a"):
        clock.pass_ms(1)
    metrics.start_timer("b")
    assert metrics.stop_timer("b") == 0.0
    metrics.record("c", 1.0)
    assert metrics.get_statistics() == {}
    assert metrics.measure("a") is metrics.measure("d")
    metrics.enabled = True
    with metrics.measure("a"):
        clock.pass_ms(1)
    assert metrics.get_statistics()["a"]["count"] == 1


def test_statistics_are_json():
    metrics = PerformanceMetrics()
    metrics.record("a", 1)
    assert json.loads(json.dumps(metrics.get_statistics()))["a"]["p99"] == 1.0
    assert set(metrics.get_statistics(whole_run=True)["a"]) == KEYS


def test_reset_forgets_and_running_timers_are_not_recorded(clock):
    metrics = PerformanceMetrics()
    metrics.record("a", 1.0)
    with metrics.measure("a"):
        metrics.reset()
    assert metrics.get_statistics() == {}


def test_merge_unites_samples():
    first, second = PerformanceMetrics(max_samples=100), PerformanceMetrics(max_samples=100)
    values = np.random.default_rng(4).uniform(0, 50, 200)
    for value in values[:100]:
        first.record("x", value)
    for value in values[100:]:
        second.record("x", value)
    second.record("only here", 7.0)
    first.merge(second)
    row = first.get_statistics()["x"]
    assert row["count"] == 200
    assert row["p95"] == pytest.approx(np.percentile(values, 95))
    assert (row["min"], row["max"]) == (values.min(), values.max())
    assert first.get_statistics()["only here"]["count"] == 1
    assert first.get_statistics(whole_run=True)["x"]["p95"] == pytest.approx(
        sorted(values)[189], rel=0.01
    )
    assert second.get_statistics()["x"]["count"] == 100


def test_after_a_merge_the_oldest_samples_leave_first():
    first, second = PerformanceMetrics(max_samples=3), PerformanceMetrics(max_samples=3)
    for value in (1, 2, 3, 40):
        first.record("x", value)  # keeps 2 3 40
        first.get_statistics()
    second.record("x", 5)
    second.record("x", 6)
    first.merge(second)  # keeps 2 3 40 5 6
    first.record("x", 100)
    assert first.get_statistics()["x"]["p50"] == 6.0  # 3 40 5 6 100


def test_merging_with_itself_doubles():
    metrics = PerformanceMetrics()
    metrics.record("x", 2.0)
    metrics.merge(metrics)
    assert metrics.get_statistics()["x"]["count"] == 2


def test_summary_is_an_aligned_table():
    metrics = PerformanceMetrics()
    assert metrics.get_summary() == "Nothing has been measured yet."
    metrics.record("whisper.insert_audio", 1234.5678)
    metrics.record("total", 0.25)
    head, rule, *rows = metrics.get_summary().splitlines()
    assert head.endswith("(ms)")
    assert [row.split()[0] for row in rows] == ["total", "whisper.insert_audio"]
    assert {len(row) for row in rows} == {len(rule)}
    for column, value in (("mean", "1234.568"), ("count", "1")):
        end = head.index(column) + len(column)
        assert rows[1][:end].endswith(value)


def test_periodic_log(clock, caplog):
    logger = logging.getLogger("test.metrics")
    metrics = PerformanceMetrics()
    metrics.log_every(60, logger)
    with caplog.at_level(logging.INFO, "test.metrics"):
        for _ in range(5):
            with metrics.measure("total"):
                clock.pass_ms(29_000)  # 87 s are the first past 60 s; the next log is due at 147 s
            metrics.record("other", 1.0)
    assert len(caplog.records) == 1
    assert "total" in caplog.records[0].getMessage()
    caplog.clear()
    metrics.log_every(0, logger)
    with caplog.at_level(logging.INFO, "test.metrics"), metrics.measure("total"):
        clock.pass_ms(1e6)
    assert caplog.records == []


def test_a_measure_that_ends_after_the_interval_writes_the_log(clock, caplog):
    metrics = PerformanceMetrics()
    metrics.log_every(60)
    with caplog.at_level(logging.INFO, performance.__name__):
        for _ in range(3):  # 29, 58 and 87 s
            assert caplog.records == []
            with metrics.measure("total"):
                clock.pass_ms(29_000)
    assert len(caplog.records) == 1


def test_a_measure_that_fills_a_batch_takes_it_in():
    metrics = PerformanceMetrics()
    for waiting in (*range(1, BATCH), 0, 1):
        with metrics.measure("step"):
            pass
        assert len(metrics._stages["step"].pending) == waiting


def test_two_threads_that_are_due_write_one_log(clock, caplog):
    metrics = PerformanceMetrics()
    metrics.log_every(60)
    clock.pass_ms(61_000)
    with caplog.at_level(logging.INFO, performance.__name__):
        for _ in range(2):
            metrics._log(clock.now)  # both found their stage due before either had written
    assert len(caplog.records) == 1


def test_log_interval_must_be_possible():
    with pytest.raises(InvalidOptionError, match="cannot log every"):
        PerformanceMetrics().log_every(-1)
