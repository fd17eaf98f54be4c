"""How benchmarks time and compare."""

import json
import re

import pytest

from whisper_service.evaluation.bench import measuring
from whisper_service.evaluation.bench.measuring import Section, Table, interleave, percentile, ratio


def test_sides_take_turns_forwards_and_backwards():
    seen = []
    sides = {name: (lambda n=name: seen.append(n)) for name in ("a", "b", "c")}
    times = interleave(sides, blocks=4)
    assert "".join(seen) == "abccbaabccba"
    assert {name: len(v) for name, v in times.sides.items()} == {"a": 4, "b": 4, "c": 4}


def test_a_ratio_is_of_medians_and_its_spread_of_paired_blocks():
    fast = [1.0] * 9 + [10.0]  # a neighbour hit one block of the fast side only
    found = ratio([3.0] * 10, fast)
    assert found.median == 3.0
    assert (found.low, found.high) == (3.0, 3.0)
    assert ratio([3.0] * 3, [1.0, 1.0, 10.0]).low == pytest.approx(0.3)


def test_times_per_call_and_ratio():
    times = measuring.Times({"old": [4.0, 6.0, 8.0], "new": [1.0, 2.0, 3.0]})
    assert times.median("old", per=3) == 2.0
    assert times.ratio("old", "new").median == 3.0


@pytest.mark.parametrize(("q", "expected"), [(0.0, 1), (0.5, 50), (0.95, 95), (1.0, 100)])
def test_percentiles_are_values_that_occurred(q, expected):
    assert percentile(range(1, 101), q) == expected


def test_nothing_measured_has_percentile_zero():
    assert measuring.spread([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.4567, "0.457"), (4.567, "4.57"), (45.67, "46"), (4567.8, "4568")],
)
def test_numbers_have_about_three_digits(value, text):
    assert measuring.short(value) == text


def test_a_table_in_markdown():
    table = Table(header=("a", "b"), rows=(("1", "x|y"),), caption="Both")
    assert table.markdown() == "Both\n\n| a | b |\n|---|---|\n| 1 | x\\|y |"


def test_a_section_in_markdown():
    table = Table(header=("a",), rows=())
    section = Section(name="s", title="Subject", tables=(table,), data={}, notes=("Note.",))
    assert section.markdown(level=2) == "## Subject\n\n| a |\n|---|\n\nNote."


def test_provenance_says_where_and_when():
    facts = measuring.provenance(models="demo")
    assert set(facts) == {"machine", "software", "commit", "date", "load", "models"}
    assert "cores" in facts["machine"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts["date"])
    json.dumps(facts)


def test_a_machine_without_amx_says_so():
    machine = measuring.machine()
    assert ("amx_bf16" in machine) != ("no AMX" in machine)
