"""The exported folder is the same model in the layout that other programs read."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from checkpoints import LAYOUTS, build
from whisper_service.errors import ModelNotFoundError, OutputError
from whisper_service.models.checkpoint import load_checkpoint
from whisper_service.models.export import export
from whisper_service.models.store import DEMO_FOLDER


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export("demo", tmp_path_factory.mktemp("export") / "demo")


def test_the_demo_model_becomes_a_standard_folder(exported):
    assert {file.name for file in exported.iterdir()} == {
        "config.json",
        "generation_config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "model.safetensors",
    }
    tensors = load_file(exported / "model.safetensors")
    config = json.loads((exported / "config.json").read_text())
    assert tensors["model.decoder.embed_tokens.weight"].shape == (
        config["vocab_size"],
        config["d_model"],
    )
    assert {t.dtype for t in tensors.values()} == {np.dtype(np.float16)}


def test_it_is_the_same_model(exported):
    compact, standard = load_checkpoint(DEMO_FOLDER), load_checkpoint(exported)
    assert standard.config == compact.config
    assert standard.generation == compact.generation
    assert standard.names() == compact.names()
    for name in compact.names():
        np.testing.assert_array_equal(standard.tensor(name), compact.tensor(name))
    assert standard.tokenizer_json() == compact.tokenizer_json()


def test_vocabulary_and_merges_are_the_tokenizers(exported):
    tokenizer = json.loads((exported / "tokenizer.json").read_text())
    assert json.loads((exported / "vocab.json").read_text()) == tokenizer["model"]["vocab"]
    lines = (exported / "merges.txt").read_text().splitlines()
    assert len(lines) == len(tokenizer["model"]["merges"]) + 1


def test_others_may_read_the_weights(exported):
    modes = {file.stat().st_mode & 0o777 for file in exported.iterdir()}
    assert len(modes) == 1


def test_any_folder_can_be_exported(tmp_path):
    source = build(LAYOUTS["v3"], tmp_path / "source")
    target = export(source, tmp_path / "target")
    name = "proj_out.weight"
    np.testing.assert_array_equal(
        load_checkpoint(target).tensor(name), load_checkpoint(source).tensor(name)
    )


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already; name a new or empty folder"):
        export("demo", tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        export("demo", tmp_path / "notes.txt")
    with pytest.raises(OutputError, match="cannot write"):
        export("demo", tmp_path / "notes.txt" / "below")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_full_disk_is_explained(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*args, **options):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("whisper_service.models.export.save_file", full)
    with pytest.raises(OutputError, match=r"cannot write .*model.safetensors: .*No space left"):
        export("demo", tmp_path / "target")


def test_an_unknown_model_writes_nothing(tmp_path):
    with pytest.raises(ModelNotFoundError):
        export("bse", tmp_path / "target")
    assert not (tmp_path / "target").exists()
