"""Downloads that break, are refused or have no room, against a hub of our own."""

from __future__ import annotations

import errno
import json
import socket

import pytest

from whisper_service.errors import (
    ModelDownloadError,
    ModelFormatError,
    ModelNotFoundError,
)
from whisper_service.models import hub as hub_module
from whisper_service.models import store
from whisper_service.models.checkpoint import load_checkpoint

REPO = "openai/whisper-base"


def test_no_network_is_one_clear_message(machine, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelDownloadError) as caught:
        store.resolve("base")
    for part in (f"127.0.0.1:{port}", "whisper-service models fetch base", "--model demo"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_accepts_and_says_nothing_is_given_up(machine, monkeypatch):
    monkeypatch.setattr(hub_module, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ModelDownloadError, match="cannot reach"):
            store.resolve("base")


def test_a_broken_connection_is_resumed(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.cut_after["model.safetensors"] = 100_000
    folder = store.resolve("base")
    assert (folder / "model.safetensors").read_bytes() == hub.repos[REPO]["model.safetensors"]
    assert any("bytes=100000-" in request for request in hub.requests)


def test_a_download_cut_for_good_leaves_no_half_model(hub, monkeypatch):
    import huggingface_hub.file_download

    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda seconds: None)
    hub.short.add("model.safetensors")
    with pytest.raises(ModelDownloadError):
        store.resolve("base")
    assert store.find("base") is None
    hub.short.clear()
    hub.requests.clear()
    assert load_checkpoint(store.resolve("base")).config.d_model == 64
    assert hub.downloads() == ["model.safetensors"], "what had arrived was fetched again"


@pytest.mark.parametrize(
    ("prepare", "error", "message"),
    [
        (lambda h: h.repos.clear(), ModelNotFoundError, "has no model 'openai/whisper-base'"),
        (lambda h: h.gated.add(REPO), ModelDownloadError, "is gated: accept its terms at"),
        (lambda h: setattr(h, "token", "secret"), ModelDownloadError, "check HF_TOKEN"),
        (lambda h: setattr(h, "status", 500), ModelDownloadError, "answered with error 500"),
        (lambda h: setattr(h, "status", 429), ModelDownloadError, "try again in some minutes"),
    ],
)
def test_refusals_are_explained(hub, prepare, error, message):
    prepare(hub)
    with pytest.raises(error, match=message) as caught:
        store.resolve("base")
    assert "\n" not in str(caught.value)


def test_the_token_is_sent(hub, monkeypatch):
    hub.token = "secret"
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert store.resolve("base").is_dir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("config.json"), "holds no Whisper model"),
        (
            lambda files: files.pop("tokenizer.json"),
            "has no tokenizer.json; convert it with: python",
        ),
        (
            lambda files: files.update({"pytorch_model.bin": files.pop("model.safetensors")}),
            "has no model.safetensors; convert it with: python",
        ),
        (
            lambda files: files.update({"model.bin": files.pop("model.safetensors")}),
            "CTranslate2",
        ),
    ],
)
def test_a_repository_that_cannot_work_is_refused_before_any_download(hub, change, message):
    change(hub.repos[REPO])
    with pytest.raises(ModelFormatError, match=message):
        store.resolve("base")
    assert hub.downloads() == []


def test_another_kind_of_model_is_refused_before_its_weights(hub):
    hub.repos[REPO]["config.json"] = json.dumps({"model_type": "bert"}).encode()
    with pytest.raises(ModelFormatError, match="not a Whisper model"):
        store.resolve("base")
    assert hub.downloads() == ["config.json"]


def test_too_little_space_is_told_before_any_download(hub, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelDownloadError, match=r"needs \d+ MB and .* free; make room"):
        store.resolve("base")
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), r"cannot write /x \(Permission"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), r"cannot write /x \(Read-only"),
        (ConnectionResetError("reset"), r"cannot reach http://127.* \(reset\): fetch it"),
    ],
)
def test_a_disk_that_fails_meanwhile_is_explained(hub, monkeypatch, fault, message):
    def fail(*args, **options):
        raise fault

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(ModelDownloadError, match=message):
        store.resolve("base")


def test_what_is_in_the_cache_needs_no_space(hub, monkeypatch):
    folder = store.resolve("base")
    (folder / "tokenizer.json").unlink()
    usage = type("Usage", (), {"free": 100_000})
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: usage)
    assert store.resolve("base") == folder
    assert (folder / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Task error: CAS Client Error: error sending request", "cannot reach .*CAS Client Error"),
        ("Data processing error: IO Error: No space left (os error 28)", "the disk is full"),
    ],
)
def test_what_the_hubs_transport_raises_is_explained(hub, monkeypatch, said, message):
    def broken(*args, **options):
        raise RuntimeError(said)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    with pytest.raises(ModelDownloadError, match=message):
        store.resolve("base")
