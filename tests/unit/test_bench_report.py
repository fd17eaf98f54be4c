"""Goals, charts and the blocks of documents."""

import json
import xml.etree.ElementTree as ET

import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.evaluation.bench.blocks import refresh
from whisper_service.evaluation.bench.chart import Pair, bar_chart
from whisper_service.evaluation.bench.goals import Goal, goals, goals_section
from whisper_service.evaluation.bench.measuring import Section, Table
from whisper_service.evaluation.bench.models import CONTEXTS, MODELS, Subject, model_names
from whisper_service.evaluation.bench.report import Report, pairs

FACTS = {"machine": "a CPU, 2 cores (avx2)", "commit": "abc", "date": "2026-01-02"}
METRICS = {
    "ours, on": {"us": 0.5},
    "ours, off": {"us": 0.25},
    "old way": {"us": 2.0},
}
OLD = {
    "LID": {"less": 0.9, "ours_ms": {"p50": 5.0}, "old_ms": {"p50": 50.0}},
    "total": {"less": 0.3, "ours_ms": {"p50": 20.0}, "old_ms": {"p50": 30.0}},
}


def section(name, data):
    table = Table(header=("what",), rows=((name,),))
    return Section(name=name, title=name.title(), tables=(table,), data=data)


def found(data, figure):
    (goal,) = [g for g in goals(data) if g.figure == figure]
    return goal


def test_a_goal_is_reached_from_its_own_side():
    below = Goal(row="1", figure="f", must=50, unit="ms", measured=50)
    above = Goal(row="3", figure="f", must=0.8, unit="%", measured=0.79, at_least=True)
    assert below.reached is True
    assert above.reached is False
    assert above.cells() == ("3", "f", "≥ 80%", "79%", "**no**")


def test_what_was_not_run_is_not_reached():
    goal = Goal(row="1", figure="f", must=50, unit="ms", measured=None)
    assert goal.reached is None
    assert goal.cells()[3:] == ("not run", "")


def test_goals_are_read_from_the_sections():
    data = {"metrics": METRICS, "old way: demo, real length": OLD}
    assert found(data, "one measure, on").reached is True
    assert found(data, "one measure, off").reached is False
    assert found(data, "LID latency below the old way, demo, real length").reached is True
    assert found(data, "total latency below the old way, demo, real length").reached is False


def test_without_any_section_every_goal_is_not_run():
    assert {goal.reached for goal in goals({})} == {None}
    assert {goal.row for goal in goals({})} == {
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "10",
        "issue",
    }


def test_the_summary_counts_what_ran():
    assert goals_section({"metrics": METRICS}).data == {
        "reached": 1,
        "run": 2,
        "all": len(goals({})),
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_pipelines_are_found_by_the_name_they_are_measured_under(model, context):
    row = {"update_ms": {"p95": 1.0}, "hit_rate": 1.0, "fewer_passes": 1.0, "fewer_flops": 1.0}
    name = f"pipeline: {Subject(model, context)}"
    data = {name: {"without pauses": row, "with pauses": row}}
    asked = {"demo": context == "dynamic", "tiny-size": True, "base-size": True}[model]
    assert any(goal.measured is not None for goal in goals(data)) == asked


def test_a_report_is_json_and_markdown():
    report = Report(facts=FACTS, sections=[section("metrics", METRICS)])
    loaded = json.loads(report.json())
    assert loaded["facts"] == FACTS
    assert list(loaded["sections"]) == ["goals", "metrics"]
    assert loaded["sections"]["metrics"]["data"] == METRICS
    assert "### Goals" in report.markdown()
    assert "a CPU, 2 cores" in report.markdown()


def test_the_chart_compares_what_was_measured():
    data = {"metrics": METRICS, "old way: demo, real length": OLD}
    assert [(p.label, p.ours, p.old) for p in pairs(data)] == [
        ("one measured operation", 0.5, 2.0),
        ("LID per 0.5 s, demo", 5.0, 50.0),
        ("everything per 0.5 s, demo", 20.0, 30.0),
    ]


def bars(svg, kind):
    root = ET.fromstring(svg)
    spaces = {"s": "http://www.w3.org/2000/svg"}
    return [float(r.get("width")) for r in root.findall(f".//s:rect[@class='{kind}']", spaces)][1:]


def test_longer_bars_are_larger_values():
    made = [Pair(label="a", ours=1, old=2, unit="ms"), Pair(label="b", ours=1, old=1000, unit="ms")]
    svg = bar_chart(made, title="t")
    ours, old = bars(svg, "ours"), bars(svg, "old")
    assert ours[0] < old[0]
    assert ours[1] < ours[0]  # the same value beside a thousand times more
    assert ours[1] > 0.1 * max(old)  # lengths are logarithmic: the small one can be seen
    assert max(old) <= 860 - 300 - 110


def test_a_chart_is_one_file_for_light_and_dark_readers():
    svg = bar_chart([Pair(label="a < b & c", ours=1, old=2, unit="µs")], title="<t>", note="n")
    root = ET.fromstring(svg)
    assert "a < b & c" in "".join(root.itertext())
    assert "prefers-color-scheme: dark" in svg
    assert "href" not in svg
    assert root.get("role") == "img"


def test_a_chart_of_nothing_is_still_one():
    ET.fromstring(bar_chart([], title="t"))


REPORT = {
    "facts": {"machine": "m", "date": "d"},
    "sections": {
        "goals": {"markdown": "GOALS"},
        "pipeline: demo": {"markdown": "DEMO"},
        "pipeline: tiny": {"markdown": "TINY"},
    },
}


def block(names, body="x"):
    return f"before\n<!-- bench:begin{names} -->\n{body}\n<!-- bench:end -->\nafter\n"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("", "- machine: m\n- date: d\n\nGOALS"),
        (" goals", "GOALS"),
        (" pipeline: tiny; goals", "TINY\n\nGOALS"),
        (" pipeline: *", "DEMO\n\nTINY"),
        (" facts", "- machine: m\n- date: d"),
    ],
)
def test_a_block_holds_the_sections_it_names(names, text):
    assert refresh(block(names), REPORT) == block(names, f"\n{text}\n")


def test_refreshing_twice_changes_nothing():
    once = refresh(block("") + block(" facts"), REPORT)
    assert refresh(once, REPORT) == once


def test_what_was_not_measured_stays():
    assert refresh(block(" memory"), REPORT) == block(" memory")


def test_text_without_blocks_stays():
    assert refresh("# Title\n\n\\1 text\n", REPORT) == "# Title\n\n\\1 text\n"


def test_model_names():
    assert model_names([]) == MODELS
    assert model_names(["base-size", "demo"]) == ("demo", "base-size")
    with pytest.raises(InvalidOptionError, match="tiny-size"):
        model_names(["tiny"])
