"""Reading checkpoints: every layout, and what is said about those that cannot work."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from checkpoints import LAYOUTS, build, special_ids
from whisper_service.errors import ModelFormatError, ModelNotFoundError
from whisper_service.models.checkpoint import Checkpoint, load_checkpoint
from whisper_service.models.store import DEMO_FOLDER


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("layouts")
    return {name: build(layout, root / name) for name, layout in LAYOUTS.items()}


@pytest.fixture
def folder(built, tmp_path):
    """A checkpoint of its own for a test to damage."""
    return shutil.copytree(built["stock"], tmp_path / "model")


def edit(file, **changes):
    values = json.loads(file.read_text())
    values.update(changes)
    file.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_every_layout_is_read(built, name):
    layout, ids = LAYOUTS[name], special_ids(LAYOUTS[name])
    checkpoint = load_checkpoint(built[name])
    config, generation = checkpoint.config, checkpoint.generation
    assert (config.n_mels, config.d_model) == (layout.n_mels, layout.d_model)
    assert (config.encoder_layers, config.decoder_layers) == (
        layout.encoder_layers,
        layout.decoder_layers,
    )
    assert config.tied_output == layout.tied
    assert config.dynamic_context == layout.dynamic_context
    assert generation.multilingual == layout.multilingual
    expected = {code: ids[f"<|{code}|>"] for code in layout.languages}
    assert generation.languages == (expected if layout.multilingual else {})
    assert list(generation.languages.values()) == sorted(generation.languages.values())
    assert generation.sot == ids["<|startoftranscript|>"]
    assert generation.eot == ids["<|endoftext|>"]
    assert generation.transcribe == ids["<|transcribe|>"]
    assert generation.sot_prev == ids["<|startofprev|>"]
    assert generation.no_speech == ids[layout.no_speech]
    assert generation.no_timestamps == ids["<|notimestamps|>"]
    assert generation.timestamp_begin == ids["<|0.00|>"]


def test_what_the_english_layout_can_do(built):
    generation = load_checkpoint(built["english"]).generation
    assert generation.tasks == ("transcribe",)
    assert not generation.multilingual


def test_a_pruned_decoder_cannot_translate(built):
    assert load_checkpoint(built["turbo"]).generation.tasks == ("transcribe",)
    assert load_checkpoint(built["v3"]).generation.tasks == ("transcribe", "translate")


def test_config_states_tasks_and_languages(folder):
    edit(folder / "config.json", tasks=["translate", "transcribe"], languages=["de", "en"])
    generation = load_checkpoint(folder).generation
    assert generation.tasks == ("transcribe", "translate")
    assert list(generation.languages) == ["en", "de"]


def test_without_generation_config_everything_comes_from_the_tokenizer(folder):
    stated = load_checkpoint(folder).generation
    (folder / "generation_config.json").unlink()
    assert load_checkpoint(folder).generation == stated


def test_english_only_is_seen_without_generation_config(built, tmp_path):
    folder = shutil.copytree(built["english"], tmp_path / "model")
    (folder / "generation_config.json").unlink()
    ids = special_ids(LAYOUTS["english"])
    edit(folder / "config.json", forced_decoder_ids=[[1, ids["<|notimestamps|>"]]])
    assert not load_checkpoint(folder).generation.multilingual


def test_missing_alignment_heads_are_the_second_half(built):
    heads = load_checkpoint(built["stock"]).generation.alignment_heads  # 3 layers of one head
    assert heads == ((1, 0), (2, 0))
    assert load_checkpoint(built["dynamic"]).generation.alignment_heads == ((1, 0), (0, 1))


def test_suppressed_tokens_come_from_either_file(built):
    ids = special_ids(LAYOUTS["stock"])
    generation = load_checkpoint(built["stock"]).generation  # they are in config.json there
    assert {1, 2, 7, 30, ids["<|transcribe|>"]} <= set(generation.suppress_tokens)
    assert generation.begin_suppress_tokens == (220, ids["<|endoftext|>"])
    assert load_checkpoint(built["v3"]).generation.suppress_tokens == ()  # null


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_tensors_are_float32_of_their_own(built, name):
    checkpoint = load_checkpoint(built[name])
    for tensor in checkpoint.names():
        values = checkpoint.tensor(tensor)
        assert values.dtype == np.float32
        assert values.shape == checkpoint.shape(tensor)
        assert values.flags.c_contiguous
        assert values.flags.writeable
        assert np.isfinite(values).all()


def test_precisions_hold_the_same_values(tmp_path):
    name = "model.encoder.conv1.weight"
    values = {}
    for dtype in ("float32", "float16", "bfloat16"):
        layout = replace(LAYOUTS["silent"], dtype=dtype)
        values[dtype] = load_checkpoint(build(layout, tmp_path / dtype)).tensor(name)
    assert values["float32"].std() > 0.01
    np.testing.assert_allclose(values["float16"], values["float32"], rtol=2**-11, atol=1e-6)
    np.testing.assert_allclose(values["bfloat16"], values["float32"], rtol=2**-8)
    assert not np.array_equal(values["bfloat16"], values["float32"])


def test_names_work_with_and_without_their_prefix(folder, tmp_path):
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    save_file({n.removeprefix("model."): t for n, t in tensors.items()}, weights)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.names() == frozenset(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(checkpoint.tensor(name), values)
        np.testing.assert_array_equal(checkpoint.tensor(name.removeprefix("model.")), values)


def test_the_output_projection_is_the_embedding_only_when_tied(built):
    tied, untied = load_checkpoint(built["dynamic"]), load_checkpoint(built["v3"])
    embedding = "model.decoder.embed_tokens.weight"
    np.testing.assert_array_equal(tied.tensor("proj_out.weight"), tied.tensor(embedding))
    assert not np.array_equal(untied.tensor("proj_out.weight"), untied.tensor(embedding))
    assert "proj_out.weight" in untied.names()


def test_an_unknown_tensor_is_a_key_error(built):
    with pytest.raises(KeyError):
        load_checkpoint(built["stock"]).tensor("model.encoder.nothing")


def to_compact(folder, embedding):
    """The demo layout of a standard folder; ``embedding`` has one row for all unused ids."""
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.decoder.embed_tokens.weight"]
    other = embedding[-1]
    index = np.flatnonzero((embedding != other).any(axis=1)).astype(np.int32)
    parts = {"rows": embedding[index], "other": other, "index": index}
    tensors |= {f"embed_tokens.{k}": np.ascontiguousarray(v) for k, v in parts.items()}
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "weights.safetensors")
    packed = gzip.compress((folder / "tokenizer.json").read_bytes())
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json.gz").write_bytes(packed)


def test_the_compact_layout_is_the_same_model(folder):
    embedding = load_checkpoint(folder).tensor("decoder.embed_tokens.weight")
    embedding[100:] = embedding[-1]
    embedding[500] = 1.0
    plain = load_checkpoint(folder)
    tokenizer = plain.tokenizer_json()
    names, generation = plain.names(), plain.generation
    to_compact(folder, embedding)
    compact = load_checkpoint(folder)
    np.testing.assert_array_equal(compact.tensor("decoder.embed_tokens.weight"), embedding)
    np.testing.assert_array_equal(compact.tensor("proj_out.weight"), embedding)
    assert compact.names() == names
    assert compact.generation == generation
    assert compact.tokenizer_json() == tokenizer


def test_the_embedded_model():
    checkpoint = load_checkpoint(DEMO_FOLDER)
    assert checkpoint.config.dynamic_context
    assert {"en", "es", "fr", "de", "zh"} <= set(checkpoint.generation.languages)
    assert checkpoint.generation.tasks == ("transcribe",)
    assert checkpoint.generation.eot not in checkpoint.generation.begin_suppress_tokens
    table = checkpoint.tensor("decoder.embed_tokens.weight")
    assert table.shape == (checkpoint.config.vocab_size, checkpoint.config.d_model)
    assert np.isfinite(table).all()


def test_the_fingerprint_follows_content_not_place(folder, tmp_path):
    first = load_checkpoint(folder).fingerprint
    assert first == load_checkpoint(shutil.copytree(folder, tmp_path / "copy")).fingerprint
    assert len(first) == 32
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"\x01")
    second = load_checkpoint(folder).fingerprint
    edit(folder / "config.json", dynamic_context=True)
    assert len({first, second, load_checkpoint(folder).fingerprint}) == 3


def test_large_files_are_sampled(folder, monkeypatch):
    monkeypatch.setattr("whisper_service.models.weights._HASH_WHOLE", 1)
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    prints, sizes = set(), set()
    for factor in (1, 1.001):
        save_file({n: t * np.float32(factor) for n, t in tensors.items()}, weights)
        prints.add(load_checkpoint(folder).fingerprint)
        sizes.add(weights.stat().st_size)
    assert (len(prints), len(sizes)) == (2, 1)


def test_the_name_is_the_users(folder):
    assert load_checkpoint(folder).name == "model"
    checkpoint = load_checkpoint(str(folder), name="base")
    assert checkpoint.name == "base"
    assert isinstance(checkpoint, Checkpoint)


def remove(name):
    return lambda folder: (folder / name).unlink()


def rename(old, new):
    return lambda folder: (folder / old).rename(folder / new)


def config(**changes):
    return lambda folder: edit(folder / "config.json", **changes)


def truncate(size):
    def change(folder):
        with (folder / "model.safetensors").open("r+b") as file:
            file.truncate(size)

    return change


def overwrite(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def drop_tensor(name):
    def change(folder):
        tensors = load_file(folder / "model.safetensors")
        del tensors[name]
        save_file(tensors, folder / "model.safetensors")

    return change


def forget_tokens(folder):
    (folder / "tokenizer.json").write_bytes(b'{"added_tokens": []}')
    edit(folder / "generation_config.json", no_timestamps_token_id=None)


def quantize(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.encoder.conv1.weight"] = tensors["model.encoder.conv1.weight"].astype(np.int8)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), "it has no config.json"),
        (remove("tokenizer.json"), "has no tokenizer.json; write it with: python"),
        (remove("model.safetensors"), "has no model.safetensors; fetch"),
        (rename("model.safetensors", "pytorch_model.bin"), "pytorch_model.bin only; convert them"),
        (config(model_type="bert"), "holds a bert model; only Whisper works"),
        (config(model_type=None), "holds a nameless model"),
        (config(d_model=None), "config.json lacks 'd_model'"),
        (config(vocab_size="many"), "configuration that is not Whisper's"),
        (config(d_model=128), "has shape .* config.json says"),
        (config(num_mel_bins=128), "conv1.weight has shape"),
        (config(decoder_layers=4), "lacks the tensor model.decoder.layers.3"),
        (drop_tensor("model.encoder.layer_norm.weight"), "lacks the tensor model.encoder.layer_"),
        (config(tie_word_embeddings=False), "lacks the tensor proj_out.weight"),
        (truncate(60_000), "is incomplete or damaged .* fetch it again"),
        (truncate(100), "is incomplete or damaged"),
        (truncate(0), "is incomplete or damaged"),
        (overwrite("model.safetensors", b"<html>nothing here</html>"), "incomplete or damaged"),
        (overwrite("config.json", b"{"), "config.json is not valid JSON"),
        (overwrite("tokenizer.json", b"{}"), "has no added_tokens"),
        (forget_tokens, r"knows <\|notimestamps\|>"),
        (quantize, "holds I8 tensors; only float32"),
    ],
)
def test_damage_is_explained_in_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_checkpoint(folder).tensor("encoder.conv1.weight")
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_found_before_any_tensor_is_read(folder):
    truncate((folder / "model.safetensors").stat().st_size - 1)(folder)
    with pytest.raises(ModelFormatError, match="incomplete or damaged"):
        load_checkpoint(folder)


def test_a_ctranslate2_folder_is_recognised(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    (tmp_path / "config.json").write_text('{"alignment_heads": []}')
    with pytest.raises(ModelFormatError, match="CTranslate2"):
        load_checkpoint(tmp_path)


def test_a_missing_shard_is_named(built, tmp_path):
    folder = shutil.copytree(built["v3"], tmp_path / "model")
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ModelFormatError, match=r"lacks model-00002-of-00003\.safetensors"):
        load_checkpoint(folder)


def test_no_folder_and_no_folder_at_all(tmp_path):
    with pytest.raises(ModelNotFoundError, match="there is no folder"):
        load_checkpoint(tmp_path / "nothing")
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(ModelFormatError, match="is a file; a model is a Hugging Face folder"):
        load_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("heads", [[[7, 0]], [[0, 0], [25, 6]]])
def test_heads_of_a_distilled_checkpoints_teacher_are_not_taken(built, tmp_path, heads):
    copy = shutil.copytree(built["stock"], tmp_path / "copy")
    default = load_checkpoint(copy).generation.alignment_heads
    config(alignment_heads=heads)(copy)
    assert load_checkpoint(copy).generation.alignment_heads == default
