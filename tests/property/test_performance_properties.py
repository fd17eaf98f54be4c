import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.metrics import PerformanceMetrics

durations = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@settings(deadline=None)
@given(durations, st.integers(1, 20), st.sets(st.integers(0, 59)))
def test_statistics_match_numpy_whenever_they_are_read(values, max_samples, reads):
    metrics = PerformanceMetrics(max_samples=max_samples)
    for index, value in enumerate(values):
        metrics.record("x", value)
        if index in reads:
            metrics.get_statistics()
    row = metrics.get_statistics()["x"]
    window = values[-max_samples:]
    for p in (50, 95, 99):
        assert row[f"p{p}"] == pytest.approx(np.percentile(window, p), rel=1e-9, abs=1e-12)
    assert row["count"] == len(values)
    assert row["mean"] == pytest.approx(np.mean(values))
    assert (row["min"], row["max"]) == (min(values), max(values))


@settings(deadline=None)
@given(st.lists(durations, min_size=1, max_size=4))
def test_merged_percentiles_are_those_of_all_samples(streams):
    total = PerformanceMetrics()
    for values in streams:
        stream = PerformanceMetrics()
        for value in values:
            stream.record("x", value)
        total.merge(stream)
    everything = [value for values in streams for value in values]
    row = total.get_statistics()["x"]
    assert row["count"] == len(everything)
    assert row["p95"] == pytest.approx(np.percentile(everything, 95), rel=1e-9, abs=1e-12)
