"""``whisper-service bench``: what it measures, prints and writes."""

import json

import pytest
from typer.testing import CliRunner

from whisper_service.cli.app import app
from whisper_service.evaluation.bench import run
from whisper_service.evaluation.bench.measuring import Section, Table
from whisper_service.evaluation.bench.models import MODELS
from whisper_service.evaluation.bench.report import Report
from whisper_service.evaluation.bench.run import BenchOptions

FACTS = {"machine": "a CPU (avx2)", "commit": "abc", "date": "2026-01-02"}
SECTION = Section(
    name="vad",
    title="Speech detection",
    tables=(Table(header=("what", "µs"), rows=(("ours", "80"),)),),
    data={"ours": {"p50": 80.0}},
)


@pytest.fixture
def asked(monkeypatch):
    """The options that a run got; measuring takes minutes and is not what is tested here."""
    seen = []

    def bench(options, progress):
        seen.append(options)
        for step in range(run.steps(options)):
            progress(f"step {step}")
        return Report(facts=FACTS, sections=[SECTION])

    monkeypatch.setattr(run, "bench", bench)
    return seen


def call(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_everything_by_default(asked):
    result = call()
    assert result.exit_code == 0
    assert asked == [BenchOptions(models=MODELS, quick=False, parts=True, whole=True)]
    assert "### Speech detection" in result.stdout
    assert "### Goals" in result.stdout


def test_a_part_of_it(asked):
    assert call("--quick", "--model", "demo", "--only", "parts").exit_code == 0
    assert asked == [BenchOptions(models=("demo",), quick=True, parts=True, whole=False)]


def test_json_and_chart_are_written(asked, tmp_path):
    result = call("--json", tmp_path / "b.json", "--chart", tmp_path / "b.svg")
    assert result.exit_code == 0
    report = json.loads((tmp_path / "b.json").read_text("utf-8"))
    assert report["sections"]["vad"]["data"] == SECTION.data
    assert (tmp_path / "b.svg").read_text("utf-8").startswith("<svg")


def test_an_unwritable_file_is_found_before_measuring(asked, tmp_path):
    result = call("--json", tmp_path / "missing" / "b.json")
    assert result.exit_code == 6
    assert asked == []


def test_an_unknown_model(asked):
    result = call("--model", "huge")
    assert result.exit_code == 2
    assert asked == []


def test_an_unknown_half(asked):
    assert call("--only", "everything").exit_code == 2


def test_the_parts_alone_measure_every_part(monkeypatch):
    measured = []
    monkeypatch.setattr(
        "whisper_service.evaluation.bench.micro.measure",
        lambda part, *, quick: measured.append((part, quick)) or SECTION,
    )
    steps = []
    options = BenchOptions(models=(), quick=True, whole=False)
    report = run.bench(options, steps.append)
    parts = ["buffer", "cache", "metrics", "features", "vad", "meaningful"]
    assert measured == [(part, True) for part in parts]
    assert len(report.sections) == 6
    assert len(steps) == run.steps(options)
    assert {"machine", "commit", "date", "load"} <= set(report.facts)
