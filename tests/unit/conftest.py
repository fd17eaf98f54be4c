"""A hub and a home of their own for the tests of finding and fetching models."""

from __future__ import annotations

import pytest

from checkpoints import LAYOUTS, build
from fake_hub import serve

REPO = "openai/whisper-base"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: build(LAYOUTS[name], root / name) for name in ("stock", "v3")}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A home without models, away from the user's own cache and variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(machine, checkpoints, monkeypatch):
    with serve() as server:
        server.add(REPO, checkpoints["stock"])
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
