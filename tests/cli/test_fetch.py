"""A model is fetched on first use, from a hub of our own, and is there without it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_hub import FakeHub, serve
from whisper_service.models.export import export
from whisper_service.types import FloatArray

from .conftest import Command, write_wav


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for variable in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with serve() as server:
        server.add("openai/whisper-tiny", export("demo", tmp_path / "demo"))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_first_use_fetches_and_later_use_needs_no_network(
    cli: Command, hub: FakeHub, tmp_path: Path, speech: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_wav(tmp_path / "a.wav", speech)
    first = cli("transcribe", file, "--model", "tiny")
    assert first.code == 0, first.err
    assert first.out.strip()
    assert "synthetic voices" not in first.err
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.requests.clear()
    assert cli("transcribe", file, "--model", "whisper-tiny").out == first.out
    assert hub.requests == []
    assert "tiny" in cli("models", "list").out.partition("to fetch")[0]


def test_models_fetch_prints_the_folder_and_verify_finds_it_sound(
    cli: Command, hub: FakeHub, tmp_path: Path
) -> None:
    where = ("--models-dir", tmp_path / "models")
    fetched = cli("models", "fetch", "tiny", *where)
    assert fetched.out == f"{tmp_path / 'models' / 'openai--whisper-tiny'}\n"
    verified = cli("models", "verify", "tiny", *where)
    assert (verified.code, verified.out.count("ok ")) == (0, len(verified.out.splitlines()))
    weights = tmp_path / "models" / "openai--whisper-tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    damaged = cli("models", "verify", "tiny", *where)
    assert damaged.code == 4
    assert "damaged: model.safetensors" in damaged.error


def test_a_hub_that_does_not_answer(
    cli: Command, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.status = 500
    finished = cli("models", "fetch", "tiny")
    assert finished.code == 4
    assert "error 500" in finished.error
