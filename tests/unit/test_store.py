"""Finding, fetching, verifying, listing and removing models, against a hub of our own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from checkpoints import LAYOUTS, build
from fake_hub import FakeHub, serve
from whisper_service.errors import (
    InvalidOptionError,
    ModelDownloadError,
    ModelFormatError,
    ModelNotFoundError,
)
from whisper_service.models import hub as hub_module
from whisper_service.models import store
from whisper_service.models.checkpoint import load_checkpoint

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


def downloads(hub: FakeHub) -> list[str]:
    return [r.rpartition("/")[2] for r in hub.requests if r.startswith("GET /openai")]


def test_a_known_name_is_fetched_once_with_progress(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    reported = []
    folder = store.resolve("base", progress=lambda done, total=None: reported.append((done, total)))
    assert load_checkpoint(folder).config.d_model == 64
    size = sum(len(hub.repos[REPO][name]) for name in downloads(hub))
    assert reported[-1] == (size, size)
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)
    assert len({done for done, _ in reported}) > 3 * len(downloads(hub)), "nothing between files"
    count = len(hub.requests)
    for name in ("base", "whisper-base", "openai/whisper-base", "BASE"):
        assert store.resolve(name) == folder
    assert len(hub.requests) == count, "a cached model was asked for again"


def test_only_needed_files_are_fetched_configuration_first(hub):
    hub.repos[REPO] |= {"pytorch_model.bin": b"x", "flax_model.msgpack": b"x", "README.md": b"x"}
    store.resolve("base")
    assert downloads(hub) == [
        "config.json",
        "generation_config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "model.safetensors",
    ]


def test_shards_are_fetched_with_their_index(hub, checkpoints):
    hub.add("org/sharded", checkpoints["v3"])
    folder = store.resolve("org/sharded")
    assert load_checkpoint(folder).config.n_mels == 128
    next(folder.glob("model-00002*")).unlink()
    assert store.find("org/sharded") is None


def test_models_dir_gets_a_plain_folder(hub, machine):
    folder = store.resolve("base", models_dir=machine / "models")
    assert folder == machine / "models" / "openai--whisper-base"
    assert load_checkpoint(folder).name == "openai--whisper-base"
    assert not (machine / "hf" / "hub").exists()
    count = len(hub.requests)
    assert store.resolve("whisper-base", models_dir=machine / "models") == folder
    assert len(hub.requests) == count


@pytest.mark.parametrize("place", ["base", "whisper-base", "openai--whisper-base", REPO])
def test_models_dir_takes_folders_copied_by_hand(machine, checkpoints, place):
    shutil.copytree(checkpoints["stock"], machine / "models" / place)
    assert store.resolve("base", models_dir="models") == machine / "models" / place


def test_models_dir_takes_names_of_its_own(machine, checkpoints):
    shutil.copytree(checkpoints["stock"], machine / "models" / "mine")
    assert store.resolve("mine", models_dir="models") == machine / "models" / "mine"


def test_a_revision_is_fetched_and_found_again(hub):
    folder = store.resolve("base", revision="v1")
    assert folder.name == hub.commit(REPO)
    count = len(hub.requests)
    assert store.resolve("base", revision="v1") == folder
    assert store.resolve("base", revision=hub.commit(REPO)) == folder
    assert len(hub.requests) == count
    assert store.find("base") is None, "v1 is not the newest revision"
    with pytest.raises(ModelNotFoundError, match="no revision 'v9'"):
        store.resolve("base", revision="v9")


def test_models_dir_tells_revisions_apart(hub, machine):
    folder = store.resolve("base", revision="v1", models_dir="models")
    assert store.find("base", revision="v1", models_dir="models") == folder
    assert store.find("base", revision="v2", models_dir="models") is None


def test_a_folder_is_used_as_it_is(machine, checkpoints):
    shutil.copytree(checkpoints["stock"], "sub/model")
    for name in ("sub/model", "./sub/model", str(machine / "sub/model"), Path("sub/model")):
        assert store.resolve(name).resolve() == (machine / "sub/model").resolve()
    with pytest.raises(ModelNotFoundError, match=r"no folder \./other"):
        store.resolve("./other")


def test_a_known_name_wins_over_a_folder_of_the_same_name(hub, machine):
    (machine / "base").mkdir()
    assert "snapshots" in str(store.resolve("base"))


def test_the_demo_model_needs_nothing(machine, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert store.resolve("demo") == store.fetch("demo") == store.DEMO_FOLDER
    assert load_checkpoint(store.DEMO_FOLDER).config.dynamic_context


@pytest.mark.parametrize("name", ["bas", "large-v4", "", "a/b/c", "no such", "x/.."])
def test_an_unknown_name_is_refused_without_asking_the_hub(machine, name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve(name, models_dir=machine)
    assert "\n" not in str(caught.value)


def test_without_download_the_command_is_named(machine):
    with pytest.raises(ModelNotFoundError, match="whisper-service models fetch base"):
        store.resolve("base", download=False)


def test_offline_is_one_clear_message(machine, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve("base")
    for part in ("HF_HUB_OFFLINE", "whisper-service models fetch base", "--model demo", "path"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


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
    assert downloads(hub) == ["model.safetensors"], "what had arrived was fetched again"


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
    assert downloads(hub) == []


def test_another_kind_of_model_is_refused_before_its_weights(hub):
    hub.repos[REPO]["config.json"] = json.dumps({"model_type": "bert"}).encode()
    with pytest.raises(ModelFormatError, match="not a Whisper model"):
        store.resolve("base")
    assert downloads(hub) == ["config.json"]


def test_too_little_space_is_told_before_any_download(hub, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelDownloadError, match=r"needs \d+ MB and .* free; make room"):
        store.resolve("base")
    assert downloads(hub) == []


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


@pytest.mark.parametrize("models_dir", [None, "models"])
def test_verify_finds_a_changed_file(hub, models_dir):
    folder = store.resolve("base", models_dir=models_dir)
    assert {check.state for check in store.verify("base", models_dir=models_dir)} == {"ok"}
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().write_bytes(data)
    states = {check.name: check.state for check in store.verify("base", models_dir=models_dir)}
    assert states.pop("model.safetensors") == "corrupt"
    assert set(states.values()) == {"ok"}


def test_verify_finds_a_missing_file(hub):
    folder = store.resolve("base", models_dir="models")
    (folder / "generation_config.json").unlink()
    states = {check.name: check.state for check in store.verify("base", models_dir="models")}
    assert states["generation_config.json"] == "missing"


def test_verify_opens_a_folder_without_digests(machine, checkpoints):
    shutil.copytree(checkpoints["stock"], "mine")
    assert {check.state for check in store.verify("./mine")} == {"unknown"}
    with Path("mine/model.safetensors").open("r+b") as file:
        file.truncate(50_000)
    with pytest.raises(ModelFormatError, match="incomplete or damaged"):
        store.verify("./mine")


def test_verify_of_an_absent_model(machine):
    with pytest.raises(ModelNotFoundError, match="models fetch base"):
        store.verify("base")


def test_list_names_what_is_here_and_nothing_else(hub, machine, checkpoints):
    shutil.copytree(checkpoints["v3"], machine / "models" / "org--mine")
    shutil.copytree(checkpoints["v3"], machine / "models" / "team" / "ours")
    hub.add("org/other", checkpoints["v3"])
    cached = [store.resolve("base"), store.resolve("org/other")]
    other = machine / "hf/hub/models--org--bert/snapshots/main"
    shutil.copytree(checkpoints["stock"], other)
    (other / "config.json").write_text('{"model_type": "bert"}')
    models = store.list_models(models_dir="models")
    assert [(m.name, m.place) for m in models] == [
        ("demo", "package"),
        ("org/mine", "models_dir"),
        ("team/ours", "models_dir"),
        ("base", "hub_cache"),
        ("org/other", "hub_cache"),
    ]
    assert [m.path for m in models[3:]] == cached
    for model in models:
        assert store.resolve(model.name, models_dir="models", download=False) == model.path
    assert models[3].size == sum(
        len(data) for name, data in hub.repos[REPO].items() if (cached[0] / name).exists()
    )


@pytest.mark.parametrize("models_dir", [None, "models"])
def test_remove_deletes_and_counts(hub, models_dir):
    folder = store.resolve("base", models_dir=models_dir)
    assert store.remove("base", models_dir=models_dir) > 100_000
    assert not folder.exists()
    assert store.find("base", models_dir=models_dir) is None
    with pytest.raises(ModelNotFoundError):
        store.remove("base", models_dir=models_dir)


@pytest.mark.parametrize("name", ["demo", "./mine", "mine/sub"])
def test_remove_refuses_what_it_did_not_fetch(machine, checkpoints, name):
    shutil.copytree(checkpoints["stock"], "mine/sub")
    with pytest.raises(InvalidOptionError):
        store.remove(name)
    assert Path("mine/sub/config.json").exists()


@pytest.mark.parametrize("name", ["", "x/..", "../models"])
def test_remove_never_leaves_the_models_dir(machine, checkpoints, name):
    shutil.copytree(checkpoints["stock"], "models")
    with pytest.raises((ModelNotFoundError, InvalidOptionError)):
        store.remove(name, models_dir="models")
    assert Path("models/config.json").exists()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "/a/b"},
        {"HF_HUB_CACHE": "~/c"},
        {"HUGGINGFACE_HUB_CACHE": "/d"},
        {"XDG_CACHE_HOME": "/e"},
        {"HF_HOME": "$HOME/f", "HF_ENDPOINT": "http://x/", "HF_HUB_OFFLINE": "yes"},
    ],
)
def test_variables_mean_what_they_mean_to_the_hub_library(variables):
    code = (
        "from huggingface_hub import constants as c; from whisper_service.models import hub\n"
        "assert str(hub.cache_folder()) == c.HF_HUB_CACHE, (hub.cache_folder(), c.HF_HUB_CACHE)\n"
        "assert (hub.is_offline(), hub.endpoint()) == (c.HF_HUB_OFFLINE, c.ENDPOINT)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGG", "XDG"))}
    subprocess.run([sys.executable, "-c", code], env=environment | variables, check=True)


def test_a_folder_in_a_model_is_no_missing_file(machine, checkpoints):
    shutil.copytree(checkpoints["stock"], "mine")
    Path("mine/runs").mkdir()
    assert {check.state for check in store.verify("./mine")} == {"unknown"}


def test_a_linked_model_is_found_and_not_removed(machine, checkpoints):
    Path("models").mkdir()
    Path("models/base").symlink_to(checkpoints["stock"])
    assert [m.name for m in store.list_models(models_dir="models")] == ["demo", "base"]
    assert store.find("base", models_dir="models") is not None
    with pytest.raises(InvalidOptionError, match="is a link of yours"):
        store.remove("base", models_dir="models")
    assert Path("models/base/config.json").exists()


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
