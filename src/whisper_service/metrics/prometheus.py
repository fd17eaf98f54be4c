"""Values in the Prometheus text format, version 0.0.4.

Names follow https://prometheus.io/docs/practices/naming/: one application prefix, base units
(seconds, bytes, ratios from 0 to 1), counters end in ``_total``, what varies is a label and never
part of the name. ``prometheus_client`` renders and escapes; nothing enters its global registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

PREFIX = "whisper_service_"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One labelled summary: quantiles by their rank, and count and sum of all observations."""

    labels: Labels
    quantiles: Mapping[float, float]
    count: int
    sum: float


def gauge(name: str, description: str, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Build a value that goes up and down, once for each set of labels (``{}`` for none)."""
    rows = list(values)
    family = GaugeMetricFamily(PREFIX + name, description, labels=_label_names(rows))
    for labels, value in rows:
        family.add_metric(list(labels.values()), value)
    return family


def counter(name: str, description: str, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Build a value that only grows; ``name`` is given without its ``_total``."""
    rows = list(values)
    family = CounterMetricFamily(PREFIX + name, description, labels=_label_names(rows))
    for labels, value in rows:
        family.add_metric(list(labels.values()), value)
    return family


def summary(name: str, description: str, rows: Iterable[SummaryRow]) -> Metric:
    """Build quantiles computed here, with ``_count`` and ``_sum``.

    A server exports histograms instead: quantiles of several processes cannot be aggregated.
    """
    family = SummaryMetricFamily(PREFIX + name, description)
    for row in rows:
        for rank, value in row.quantiles.items():
            family.add_sample(family.name, {**row.labels, "quantile": str(rank)}, value)
        family.add_sample(family.name + "_count", dict(row.labels), row.count)
        family.add_sample(family.name + "_sum", dict(row.labels), row.sum)
    return family


def render(families: Iterable[Metric]) -> str:
    """Render the families as one exposition text; two of the same name are a ``ValueError``."""
    registry = CollectorRegistry(auto_describe=True)
    for family in families:
        registry.register(_Once(family))
    return generate_latest(registry).decode("utf-8")


class _Once(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]


def _label_names(rows: Sequence[tuple[Labels, float]]) -> list[str]:
    return list(rows[0][0]) if rows else []
