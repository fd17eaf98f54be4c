"""``whisper-service evaluate``: what it is asked, and what it says while it runs."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from whisper_service.cli import evaluate as command
from whisper_service.cli.app import app
from whisper_service.cli.console import Console
from whisper_service.evaluation.baselines import PRODUCT
from whisper_service.evaluation.converted import WEIGHTS, write_source
from whisper_service.evaluation.harness import Progress, SuiteResult
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.store import resolve

FINDER = "whisper_service.evaluation.faster_whisper.find_spec"
MAKER = "whisper_service.evaluation.faster_whisper.faster_whisper"


@pytest.fixture
def asked(monkeypatch):
    """What runs would have been; running takes minutes and is not what is tested here."""
    seen = []

    def run(engine, wanted, *, console, processes):
        seen.append(wanted)
        return {"facts": {}, "systems": {}, "results": {}}, [], True

    engine = SimpleNamespace(name="demo", longest_window=10.0, threads=2)
    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr("whisper_service.engine.by_name.load_model", lambda *_, **__: engine)
    monkeypatch.setattr(MAKER, lambda folder, **options: (folder, options))
    return seen


def call(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_without_baselines_no_other_program_is_looked_for(asked, monkeypatch):
    monkeypatch.delattr(FINDER)
    assert call("--suite", "monolingual", "--hours", "10").exit_code == 0
    (wanted,) = asked
    assert wanted.suites == ("monolingual",)
    assert wanted.minutes == 120.0
    assert wanted.others == ()


@pytest.mark.parametrize("finished", [1, 0])
def test_what_was_finished_before_ctrl_c_is_written(monkeypatch, finished):
    def results(engine, wanted, console, processes):
        for _ in range(finished):
            yield "accuracy", PRODUCT, SuiteResult(system=PRODUCT.name, suite="accuracy")
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_results", results)
    result = call("--suite", "accuracy", "--json")
    assert result.exit_code == 130
    assert ("interrupted" in result.stderr) == bool(finished)
    kept = json.loads(result.stdout)["results"] if finished else {}
    assert list(kept) == ["accuracy"] * finished


def test_a_missing_program_is_one_line_and_no_error(asked, monkeypatch):
    monkeypatch.setattr(FINDER, lambda name: None)
    result = call("--baselines")
    assert result.exit_code == 0
    assert "pip install faster-whisper" in result.stderr
    assert asked[0].others == ()


def test_the_converted_model_is_taken_from_the_folder_given(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(FINDER, lambda name: name)
    (tmp_path / WEIGHTS).touch()
    write_source(tmp_path, load_checkpoint(resolve("demo")).fingerprint)
    assert call("--baselines", "--faster-whisper", tmp_path).exit_code == 0
    monkeypatch.setenv("WHISPER_SERVICE_FASTER_WHISPER", str(tmp_path))
    assert call("--baselines").exit_code == 0
    expected = ((tmp_path, {"longest_window": 10.0, "threads": 2}),)
    assert [w.others for w in asked] == [expected, expected]


def test_other_weights_are_not_compared(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(FINDER, lambda name: name)
    (tmp_path / WEIGHTS).touch()
    write_source(tmp_path, "of another checkpoint")
    result = call("--baselines", "--faster-whisper", tmp_path)
    assert "other weights" in result.stderr
    assert asked[0].others == ()


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 0), (1, 1)])
def test_a_long_run_tells_what_it_has_found_so_far(capsys, verbosity, lines):
    bar = []
    console = Console(verbosity=verbosity)
    show = command._progress(
        lambda done, total: bar.append((done, total)), console, title="monolingual", count=300
    )
    show(Progress(recordings=3, samples=3 * 120 * 16_000, newest="fr 002", false_switches=1))
    assert bar == [(360.0, 36_000.0)]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    if lines:
        assert said == ["monolingual: 3 of 300, fr 002; false switches so far: 1"]
