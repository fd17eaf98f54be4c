"""A finished benchmark: as Markdown, as JSON, as a chart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whisper_service.evaluation.bench.chart import Pair, bar_chart
from whisper_service.evaluation.bench.goals import goals_section
from whisper_service.evaluation.bench.measuring import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where it ran and what it found."""

    facts: Mapping[str, str]
    sections: Sequence[Section]

    @property
    def data(self) -> dict[str, Mapping[str, Any]]:
        return {section.name: section.data for section in self.sections}

    @property
    def complete(self) -> list[Section]:
        """The goals first, then everything measured."""
        return [goals_section(self.data), *self.sections]

    def markdown(self) -> str:
        """For people: tables, each under its heading."""
        facts = "\n".join(f"- {key}: {value}" for key, value in self.facts.items())
        return "\n\n".join(["## Benchmark", facts, *(s.markdown() for s in self.complete)])

    def json(self) -> str:
        """For programs: the facts, and each section's data beside its Markdown."""
        sections = {
            s.name: {"title": s.title, "markdown": s.markdown(), "data": s.data}
            for s in self.complete
        }
        return json.dumps({"facts": self.facts, "sections": sections}, ensure_ascii=False, indent=1)

    def chart(self) -> str:
        """Ours against the old way as an SVG."""
        facts = self.facts
        note = f"{facts['machine'].partition(' (')[0]}, {facts['date']}, commit {facts['commit']}"
        return bar_chart(pairs(self.data), title="What one step costs", note=note)


def pairs(data: Mapping[str, Mapping[str, Any]]) -> list[Pair]:
    """What the chart compares, as far as it was measured."""
    found: list[Pair] = []
    if "buffer" in data:
        row = data["buffer"]["60 s"]
        ours, old = row["append"]["p50"], row["np.concatenate"]["p50"]
        found.append(Pair(label="append 100 ms to 60 s", ours=ours, old=old, unit="µs"))
    if "features" in data:
        row = data["features"]["80 bins"]
        ours = row["100 ms, incremental"]["p50"]
        old = ours * row["gain"]["median"]
        found.append(Pair(label="features of 100 ms", ours=ours, old=old, unit="ms"))
    if "cache" in data:
        row = data["cache"]
        ours, old = row["by position, 3 s"]["us"], row["old way, by content, 3 s"]["us"]
        found.append(Pair(label="look up 3 s in the cache", ours=ours, old=old, unit="µs"))
    if "metrics" in data:
        row = data["metrics"]
        ours, old = row["ours, on"]["us"], row["old way"]["us"]
        found.append(Pair(label="one measured operation", ours=ours, old=old, unit="µs"))
    for name in (name for name in data if name.startswith("old way: ")):
        where = name.removeprefix("old way: ").partition(",")[0]
        for key, label in (("LID", "LID"), ("total", "everything")):
            row = data[name][key]
            ours, old = row["ours_ms"]["p50"], row["old_ms"]["p50"]
            text = f"{label} per 0.5 s, {where}"
            found.append(Pair(label=text, ours=ours, old=old, unit="ms"))
    return found
