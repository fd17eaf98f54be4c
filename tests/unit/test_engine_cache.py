from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from checkpoints import LAYOUTS
from checkpoints import build as build_checkpoint
from whisper_service.engine import load, openvino_cache
from whisper_service.engine.graph import indices, model, parameter
from whisper_service.engine.openvino_cache import GraphCache, cache_key, default_cache_dir
from whisper_service.engine.openvino_graph import Graph
from whisper_service.engine.openvino_runtime import ops

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def build() -> object:
    x = parameter("x", (-1, 3))
    return model([ops.reduce_sum(x, indices(1), False)], [x], "sum")


def refuse() -> object:
    raise AssertionError("built although it is stored")


def total(compiled: openvino_cache.Compiled) -> float:
    import numpy as np

    graph = Graph(compiled, workers=1)
    return float(graph.run({"x": np.ones((2, 3), np.float32)})[0].sum())


def test_a_stored_graph_is_not_built_again(tmp_path: Path) -> None:
    cache = GraphCache(tmp_path / "new", "key")
    assert total(cache.compile("sum", build, CONFIG)) == 6
    (file,) = (tmp_path / "new").iterdir()
    assert file.name == "key-sum.blob"
    again = cache.compile("sum", refuse, CONFIG)
    assert total(again) == 6
    again.release_pages()
    assert total(again) == 6


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = GraphCache(tmp_path / "file" / "graphs", "key")
    assert total(cache.compile("sum", build, CONFIG)) == 6


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openvino_cache.Path, "replace", full)
    assert total(GraphCache(tmp_path, "key").compile("sum", build, CONFIG)) == 6
    assert not list(tmp_path.iterdir())


def test_a_graph_that_openvino_cannot_read_is_made_again(tmp_path: Path) -> None:
    cache = GraphCache(tmp_path, "key")
    cache.compile("sum", build, CONFIG)
    openvino_cache.write(tmp_path / "key-sum.blob", b"sound, but no graph")
    assert total(cache.compile("sum", build, CONFIG)) == 6
    assert total(cache.compile("sum", refuse, CONFIG)) == 6


def test_the_oldest_graphs_go_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("newest", "middle", "oldest")):
        file = tmp_path / f"{name}.blob"
        file.write_bytes(bytes(100))
        os.utime(file, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(openvino_cache, "_TOTAL", 250)
    openvino_cache.prune(tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == {"newest", "middle"}


def test_the_key_depends_on_all_that_shapes_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    key = cache_key(["model", "int8"])
    assert key == cache_key(["model", "int8"])
    assert len({key, cache_key(["model", "float32"]), cache_key(["modelint8"])}) == 3
    monkeypatch.setattr(openvino_cache, "cpu_features", lambda: "another machine")
    assert cache_key(["model", "int8"]) != key


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "whisper-service" / "graphs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "whisper-service" / "graphs"


@pytest.mark.parametrize(
    ("bfloat16", "vnni", "tiles", "d_model", "expected"),
    [
        (True, True, True, 192, "bfloat16"),
        (True, True, True, 384, "int8_bfloat16"),
        (True, True, False, 384, "int8"),
        (False, True, False, 192, "int8"),
        (True, False, False, 1280, "bfloat16"),
        (False, False, False, 512, "float32"),
    ],
)
def test_auto_takes_what_the_cpu_is_good_at(
    *,
    bfloat16: bool,
    vnni: bool,
    tiles: bool,
    d_model: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(load, "has_int8", lambda: vnni)
    monkeypatch.setattr(load, "has_matrix_tiles", lambda: tiles)
    assert load.fastest_compute_type(d_model) == expected


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from whisper_service.engine import openvino_runtime as runtime

    monkeypatch.setattr(runtime, "os", SimpleNamespace(sched_getaffinity=lambda _: {0, 1, 2, 3}))
    monkeypatch.setattr(runtime, "_cpu_quota", lambda: 0)
    for cores, expected in ((2, 2), (16, 4), (0, 4)):
        monkeypatch.setattr(runtime, "_cpu_info", lambda cores=cores: ("", cores))
        assert runtime.physical_cores() == expected
    monkeypatch.setattr(runtime, "_cpu_quota", lambda: 1)
    assert runtime.physical_cores() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/maps is Linux's")
def test_only_code_pages_of_openvino_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relocated data is private and dirty: dropping it would crash the process."""
    from whisper_service.engine import openvino_runtime as runtime

    maps = (
        "1000-3000 r-xp 00000000 fe:00 1 /a b/libopenvino_intel_cpu_plugin.so\n"
        "3000-4000 r--p 00002000 fe:00 1 /a b/libopenvino_intel_cpu_plugin.so\n"
        "4000-5000 rw-p 00003000 fe:00 1 /a b/libopenvino_intel_cpu_plugin.so\n"
        "5000-6000 r-xp 00000000 fe:00 2 /usr/lib/libc.so.6\n"
        "6000-7000 rw-p 00000000 00:00 0\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: maps)
    assert runtime._code_of("libopenvino") == [(0x1000, 0x3000)]


def test_other_special_tokens_are_other_graphs(tmp_path: Path) -> None:
    """The decoder's graph holds their ids."""
    folder = build_checkpoint(LAYOUTS["dynamic"], tmp_path / "model")
    cache = tmp_path / "graphs"
    load.load_engine(folder, cache_dir=cache)
    before = {file.name.split("-")[0] for file in cache.glob("*.blob")}
    file = folder / "tokenizer.json"
    swapped = (
        file.read_text().replace("<|nospeech|>", "<|?|>").replace("<|startoflm|>", "<|nospeech|>")
    )
    file.write_text(swapped.replace("<|?|>", "<|startoflm|>"))
    load.load_engine(folder, cache_dir=cache)
    after = {file.name.split("-")[0] for file in cache.glob("*.blob")}
    assert len(before) == 1
    assert len(after) == 2
