"""Timers while other threads measure, or metrics are reset or switched."""

import threading
from collections import Counter

import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.metrics import PerformanceMetrics
from whisper_service.metrics.sketch import BATCH


def test_names_belong_to_the_thread_that_started_them():
    metrics = PerformanceMetrics()
    thread = threading.Thread(target=metrics.start_timer, args=("a",))
    thread.start()
    thread.join()
    with pytest.raises(InvalidOptionError, match="call start_timer"):
        metrics.stop_timer("a")


def test_threads_lose_no_measurement():
    metrics = PerformanceMetrics()
    per_thread, threads = 3 * BATCH, 4
    stop = threading.Event()

    def work():
        for _ in range(per_thread):
            with metrics.measure("outer"), metrics.measure("inner"):
                pass

    def read():
        while not stop.is_set():
            metrics.get_statistics()

    reader = threading.Thread(target=read)
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for thread in (reader, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    stop.set()
    reader.join()
    counts = {name: row["count"] for name, row in metrics.get_statistics().items()}
    assert counts == {"outer": threads * per_thread, "inner": threads * per_thread}


def test_threads_never_share_a_running_timer():
    metrics = PerformanceMetrics()
    barrier = threading.Barrier(4)
    seen = []

    def work():
        for _ in range(50):
            timer = metrics.measure("x")
            barrier.wait()
            seen.append(id(timer))
            barrier.wait()
            with timer:
                pass
            barrier.wait()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rounds = [seen[i : i + 4] for i in range(0, len(seen), 4)]
    assert Counter(len(set(r)) for r in rounds) == {4: 50}


def test_switching_metrics_between_start_and_stop_is_no_error():
    metrics = PerformanceMetrics(enabled=False)
    token = metrics.start_timer("a")
    metrics.enabled = True
    assert metrics.stop_timer(token) == 0.0
    metrics.start_timer("a")
    metrics.enabled = False
    assert metrics.stop_timer("a") == 0.0
    metrics.enabled = True
    with pytest.raises(InvalidOptionError, match="call start_timer"):
        metrics.stop_timer("a")
    assert metrics.get_statistics() == {}


def test_a_reset_during_a_first_measurement_loses_that_one_at_most(monkeypatch):
    metrics = PerformanceMetrics()
    stage = PerformanceMetrics._stage

    def once(self, name):
        monkeypatch.setattr(PerformanceMetrics, "_stage", stage)
        self.reset()
        return stage(self, name)

    monkeypatch.setattr(PerformanceMetrics, "_stage", once)
    for _ in range(5):
        with metrics.measure("a"):
            pass
    assert metrics.get_statistics()["a"]["count"] >= 4
