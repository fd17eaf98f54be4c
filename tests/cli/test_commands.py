"""Help, versions, models and the doctor: what works without any audio."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from whisper_service import __version__

from .conftest import Command


def test_help_teaches(cli: Command) -> None:
    for command in ([], ["transcribe"], ["demo"], ["models"], ["doctor"]):
        shown = cli(*command, "--help")
        assert shown.code == 0
        assert "whisper-service " + " ".join(command) in shown.out
        assert "Examples" in shown.out or "Try first" in shown.out


def test_version(cli: Command) -> None:
    assert cli("--version").out == f"whisper-service {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["transcribe"], ["transcribe", "x", "--what"], ["sing"], ["models", "fetch"]]
)
def test_usage_errors_end_with_2_and_leave_stdout_empty(cli: Command, arguments: list[str]) -> None:
    finished = cli(*arguments)
    assert finished.code == 2
    assert finished.out == ""


def test_models_list_has_the_embedded_model_and_what_can_be_fetched(cli: Command) -> None:
    shown = cli("models", "list").out
    here, _, known = shown.partition("to fetch")
    assert re.search(r"demo +\d+ MB +embedded", here)
    assert re.search(r"large-v3-turbo +1,618 MB +99 languages: transcribe\n", known)
    assert "demo" not in known


def test_models_fetch_of_the_embedded_model_prints_its_folder(cli: Command) -> None:
    shown = cli("models", "fetch", "demo")
    assert (Path(shown.out.strip()) / "config.json").exists()


def test_models_fetch_offline_says_what_to_do(cli: Command) -> None:
    finished = cli("models", "fetch", "base")
    assert finished.code == 4
    assert "HF_HUB_OFFLINE is set" in finished.error
    assert "--model demo" in finished.error


def test_models_verify_the_embedded_model(cli: Command) -> None:
    shown = cli("models", "verify", "demo")
    assert shown.code == 0
    assert "weights.safetensors" in shown.out


def test_models_verify_names_a_damaged_file(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from whisper_service.models import store

    damaged = store.FileCheck(name="model.safetensors", size=10, state="corrupt")
    monkeypatch.setattr(store, "verify", lambda *_, **__: [damaged])
    finished = cli("models", "verify", "base")
    assert finished.code == 4
    assert finished.error == "error: the model 'base' is damaged: model.safetensors"
    assert "hint: whisper-service models remove base" in finished.err


def test_models_remove_asks_first_and_never_removes_the_embedded_one(
    cli: Command, tmp_path: Path
) -> None:
    from whisper_service.models.store import DEMO_FOLDER

    assert cli("models", "remove", "demo", "--yes").code == 2
    model = tmp_path / "models" / "org--name"
    model.mkdir(parents=True)
    for file in DEMO_FOLDER.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    where = ("--models-dir", tmp_path / "models")
    assert cli("models", "remove", "org/name", *where, stdin=b"n\n").code == 1
    assert model.exists()
    assert cli("models", "remove", "org/name", *where, stdin=b"y\n").code == 0
    assert not model.exists()


def test_models_export_writes_a_standard_folder(cli: Command, tmp_path: Path) -> None:
    finished = cli("models", "export", "demo", tmp_path / "out")
    assert finished.code == 0, finished.err
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


def test_doctor_reports_what_is_here_and_what_is_missing(cli: Command, tmp_path: Path) -> None:
    finished = cli("doctor", "--no-speed", "--no-network", "--models-dir", tmp_path)
    assert finished.code == 0
    assert f"whisper-service {__version__}" in finished.out
    assert "openvino" in finished.out
    assert "whisper-service models fetch base" in " ".join(finished.out.split())
    assert "not asked" in finished.out


def test_doctor_ends_with_5_when_a_package_is_missing(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whisper_service.cli import doctor

    monkeypatch.setattr(doctor, "_REQUIRED", ("numpy", "no-such-package"))
    finished = cli("doctor", "--no-speed", "--no-network")
    assert finished.code == 5
    assert "no-such-package is missing" in finished.out


def test_the_doctor_measures_and_recommends(cli: Command) -> None:
    finished = cli("doctor", "--no-network")
    assert finished.code == 0, finished.err
    assert re.search(r"demo model, offline: \d+x real time", finished.out)
    assert "for live speech" in " ".join(finished.out.split())


def test_recommendations_grow_with_the_machine() -> None:
    from whisper_service.cli.speed import recommendation

    assert recommendation(30.0).startswith("tiny, with a lag, for live speech, base")
    assert recommendation(300.0).startswith("base for live speech, large-v3-turbo")


def test_starting_loads_nothing_heavy() -> None:
    heavy = ("openvino", "av", "huggingface_hub", "tokenizers", "rich.traceback")
    code = (
        "import sys; from whisper_service.cli.app import app;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
