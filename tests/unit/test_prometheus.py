"""The Prometheus text format, read back with the official parser."""

import math
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from whisper_service.metrics import PerformanceMetrics
from whisper_service.metrics.prometheus import SummaryRow, counter, gauge, render, summary


def parse(text):
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in families.values()
        for s in f.samples
    }
    return families, samples


def test_durations_are_a_summary_in_seconds():
    metrics = PerformanceMetrics()
    for ms in (10.0, 20.0, 30.0):
        metrics.record("lid.total", ms)
    families, samples = parse(metrics.export_prometheus())
    name = "whisper_service_stage_duration_seconds"
    assert families[name].type == "summary"
    stage = ("stage", "lid.total")
    assert samples[(name + "_count", (stage,))] == 3
    assert samples[(name + "_sum", (stage,))] == pytest.approx(0.06)
    assert samples[(name, (("quantile", "0.5"), stage))] == pytest.approx(0.02)
    assert {dict(labels).get("quantile") for _, labels in samples} == {"0.5", "0.95", "0.99", None}


def test_nothing_measured_is_still_valid():
    families, samples = parse(PerformanceMetrics().export_prometheus())
    assert list(families) == ["whisper_service_stage_duration_seconds"]
    assert samples == {}


def test_gauges_and_counters_with_labels():
    text = render(
        [
            gauge("buffer_utilization_ratio", "How full the ring is.", [({}, 0.25)]),
            counter(
                "audio_seconds",
                "Audio by what became of it.",
                [({"state": "decoded"}, 12.5), ({"state": "dropped"}, 0.0)],
            ),
        ]
    )
    families, samples = parse(text)
    assert families["whisper_service_buffer_utilization_ratio"].type == "gauge"
    assert families["whisper_service_audio_seconds"].type == "counter"
    assert samples[("whisper_service_audio_seconds_total", (("state", "decoded"),))] == 12.5
    assert samples[("whisper_service_buffer_utilization_ratio", ())] == 0.25


def test_labels_are_escaped_and_odd_values_written():
    text = render([gauge("x", 'A "help"\nwith lines', [({"name": 'a"b\\c\nd'}, math.inf)])])
    _, samples = parse(text)
    assert samples[("whisper_service_x", (("name", 'a"b\\c\nd'),))] == math.inf


def test_every_line_has_the_form_that_promtool_checks():
    metrics = PerformanceMetrics()
    metrics.record("whisper.decode", 3.0)
    text = metrics.export_prometheus()
    assert text.endswith("\n")
    sample = re.compile(r'whisper_service_[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+')
    for line in text.splitlines():
        assert line == "" or line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line)
    assert text.count("# TYPE") == 1


def test_the_same_name_twice_is_an_error():
    row = SummaryRow(labels={}, quantiles={0.5: 1.0}, count=1, sum=1.0)
    with pytest.raises(ValueError, match="Duplicated"):
        render([summary("x", "one", [row]), summary("x", "two", [row])])
