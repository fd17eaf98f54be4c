"""Finding, fetching, verifying, listing and removing models, against a hub of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from whisper_service.errors import (
    InvalidOptionError,
    ModelFormatError,
    ModelNotFoundError,
)
from whisper_service.models import store
from whisper_service.models.checkpoint import load_checkpoint

REPO = "openai/whisper-base"


def test_a_known_name_is_fetched_once_with_progress(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    reported = []
    folder = store.resolve("base", progress=lambda done, total=None: reported.append((done, total)))
    assert load_checkpoint(folder).config.d_model == 64
    size = sum(len(hub.repos[REPO][name]) for name in hub.downloads())
    assert reported[-1] == (size, size)
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)
    assert len({done for done, _ in reported}) > 3 * len(hub.downloads()), "nothing between files"
    count = len(hub.requests)
    for name in ("base", "whisper-base", "openai/whisper-base", "BASE"):
        assert store.resolve(name) == folder
    assert len(hub.requests) == count, "a cached model was asked for again"


def test_only_needed_files_are_fetched_configuration_first(hub):
    hub.repos[REPO] |= {"pytorch_model.bin": b"x", "flax_model.msgpack": b"x", "README.md": b"x"}
    store.resolve("base")
    assert hub.downloads() == [
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
