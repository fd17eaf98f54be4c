"""What the OpenVINO engine promises beyond the protocol: loading, precision, the demo model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from checkpoints import random_mel
from goldens import DEMO, clip, half_word
from whisper_service.engine.base import DecodeRequest, Span
from whisper_service.engine.load import load_engine
from whisper_service.engine.openvino import OpenVinoEngine
from whisper_service.errors import InvalidOptionError
from whisper_service.features import log_mel

EngineOf = Callable[..., OpenVinoEngine]
CheckpointOf = Callable[[str], Path]

LANGUAGES = ("en", "es", "fr", "de", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_half_a_word_gives_no_token(language: str, engine_of: EngineOf) -> None:
    engine = engine_of("demo")
    (encoded,) = engine.encode([log_mel(half_word(language), engine.n_mels)])
    (result,) = engine.decode([DecodeRequest(encoded=encoded, language=language)])
    assert result.tokens == ()
    assert result.stopped == "end"


def test_the_ban_on_an_empty_beginning_does_not_hold_while_streaming(engine_of: EngineOf) -> None:
    engine = engine_of("silent")  # wants to end at once; its begin_suppress_tokens forbid it
    encoded = engine.encode([random_mel(80, frames, seed=frames) for frames in (100, 41)])
    for beam_size in (1, 4):
        requests = [
            DecodeRequest(encoded=one, language="en", beam_size=beam_size) for one in encoded
        ]
        for result in engine.decode(requests):
            assert result.tokens == ()
            assert result.stopped == "end"


def test_a_loop_is_cut_off(engine_of: EngineOf) -> None:
    engine = engine_of("looping")  # wants to write one token for ever
    (encoded,) = engine.encode([random_mel(80, 100, seed=1)])
    for beam_size in (1, 3):
        request = DecodeRequest(encoded=encoded, language="en", beam_size=beam_size)
        (result,) = engine.decode([request])
        assert result.stopped == "repetition"
        assert len(result.tokens) <= 12
        assert len(result.tokens) == len(result.logprobs) == len(result.attention)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_fixed_workload_is_not_cut_off(beam_size: int, engine_of: EngineOf) -> None:
    engine = engine_of("looping")
    (encoded,) = engine.encode([random_mel(80, 100, seed=1)])
    request = DecodeRequest(
        encoded=encoded, language="en", max_new_tokens=25, allow_end=False, beam_size=beam_size
    )
    (result,) = engine.decode([request])
    assert len(result.tokens) == 25
    assert result.stopped == "budget"


def test_an_english_only_checkpoint_has_one_language_and_one_task(engine_of: EngineOf) -> None:
    engine = engine_of("english")  # its tokenizer has tokens for eight languages
    assert engine.languages == ("en",)
    assert engine.tasks == ("transcribe",)
    (encoded,) = engine.encode([random_mel(80, 100, seed=1)])
    span = Span(encoded, 0, encoded.frames)
    assert engine.language_probabilities([span, span]).tolist() == [[1], [1]]
    for options in ({"language": "de"}, {"language": "en", "task": "translate"}):
        with pytest.raises(InvalidOptionError):
            engine.decode([DecodeRequest(encoded=encoded, **options)])


def test_languages_are_in_the_order_of_their_tokens(engine_of: EngineOf) -> None:
    assert engine_of("dynamic").languages == ("en", "zh", "de", "es", "ru", "ko", "fr", "ja")
    assert engine_of("v3").languages[-1] == "yue"
    assert engine_of("turbo").tasks == ("transcribe",)  # a pruned decoder does not translate
    assert engine_of("stock").tasks == ("transcribe", "translate")


def result_of(engine: OpenVinoEngine) -> tuple[np.ndarray, tuple[int, ...], tuple[float, ...]]:
    """Everything a small run of an engine gives."""
    (encoded,) = engine.encode([random_mel(80, 254, seed=5)])
    (result,) = engine.decode(
        [DecodeRequest(encoded=encoded, language="de", max_new_tokens=12, allow_end=False)]
    )
    return encoded.states.copy(), result.tokens, result.logprobs


def test_stored_graphs_give_what_fresh_ones_give(
    checkpoint_of: CheckpointOf, tmp_path: Path
) -> None:
    folder = checkpoint_of("dynamic")
    expected = result_of(load_engine(folder, compute_type="float32", cache=False))
    assert not list(tmp_path.iterdir())
    for attempt in ("stored", "read again"):
        engine = load_engine(folder, compute_type="float32", cache_dir=tmp_path)
        states, tokens, logprobs = result_of(engine)
        assert np.array_equal(states, expected[0]), attempt
        assert tokens == expected[1], attempt
        assert logprobs == expected[2], attempt
    assert len(list(tmp_path.glob("*.blob"))) == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign"])
def test_damaged_stored_graphs_are_made_again(
    damage: str, checkpoint_of: CheckpointOf, tmp_path: Path
) -> None:
    folder = checkpoint_of("silent")
    expected = result_of(load_engine(folder, compute_type="float32", cache_dir=tmp_path))
    for blob in tmp_path.glob("*.blob"):
        data = blob.read_bytes()
        middle = len(data) // 2
        changed = {
            "empty": b"",
            "cut": data[:middle],
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "foreign": b"not a graph" * 1000,
        }[damage]
        blob.unlink()
        blob.write_bytes(changed)
    again = result_of(load_engine(folder, compute_type="float32", cache_dir=tmp_path))
    assert np.array_equal(again[0], expected[0])
    assert again[1:] == expected[1:]
    for blob in tmp_path.glob("*.blob"):
        assert blob.stat().st_size > 10_000, "a whole graph was stored"


def test_a_changed_checkpoint_does_not_read_the_old_graphs(
    checkpoint_of: CheckpointOf, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in checkpoint_of("silent").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    cache = tmp_path / "cache"
    before = result_of(load_engine(folder, compute_type="float32", cache_dir=cache))
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-4000:] = bytes(4000)  # the last tensor by name: the encoder's positions or a norm
    (folder / "model.safetensors").write_bytes(data)
    after = result_of(load_engine(folder, compute_type="float32", cache_dir=cache))
    assert not np.array_equal(before[0], after[0])


def test_a_cache_folder_that_cannot_be_written_is_not_needed(
    checkpoint_of: CheckpointOf, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    engine = load_engine(checkpoint_of("silent"), compute_type="float32", cache_dir=blocked)
    assert engine.encode([random_mel(80, 100, seed=1)])[0].frames == 50


@pytest.mark.parametrize(
    ("model", "compute_type", "limit"),
    [
        ("dynamic", "bfloat16", 0.04),
        ("dynamic", "int8", 0.08),
        ("demo", "bfloat16", 0.03),
        ("demo", "int8", 0.06),
    ],
)
def test_lower_precision_stays_close(
    model: str, compute_type: str, limit: float, engine_of: EngineOf
) -> None:
    exact, rough = engine_of(model), engine_of(model, compute_type)
    mels = [clip("de"), clip("en")] if model == "demo" else [random_mel(80, 254, seed=5)]
    for one, other in zip(exact.encode(mels), rough.encode(mels), strict=True):
        difference = np.linalg.norm(other.states - one.states) / np.linalg.norm(one.states)
        assert 1e-5 < difference < limit
        spans = [Span(encoded, 0, encoded.frames) for encoded in (one, other)]
        shares = [
            engine.language_probabilities([span])[0]
            for engine, span in zip((exact, rough), spans, strict=True)
        ]
        assert np.abs(shares[0] - shares[1]).max() < 0.1
        request = DecodeRequest(encoded=other, language="en", max_new_tokens=8, allow_end=False)
        (result,) = rough.decode([request])
        assert len(result.tokens) == 8
        assert np.isfinite(result.logprobs).all()


def test_lower_precision_still_hears_the_same_words(engine_of: EngineOf) -> None:
    mel = clip("es")
    texts = []
    for compute_type in ("float32", "bfloat16", "int8"):
        engine = engine_of("demo", compute_type)
        (result,) = engine.decode(
            [DecodeRequest(encoded=engine.encode([mel])[0], language="es", max_new_tokens=4)]
        )
        texts.append(result.tokens)
    assert texts[0] == texts[1] == texts[2] != ()


def test_int8_weights_are_held_as_int8(engine_of: EngineOf) -> None:
    full, small = (engine_of("demo", kind).memory for kind in ("float32", "int8"))
    # Of the matrices a quarter is left, and scales; the language head stays in float32.
    assert (full.encoder + full.decoder) / (small.encoder + small.decoder) > 3.6
    assert full.language_head == small.language_head
    assert full.total > 2 * small.total


_RUN = """
import os, sys, time

log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def watch(event, arguments):
    if event.startswith("socket."):
        os.write(log, f"{event} {arguments}\\n".encode())

sys.addaudithook(watch)
import numpy as np
from whisper_service.engine.base import DecodeRequest, Span
from whisper_service.engine.load import load_engine

engine = load_engine(sys.argv[1], compute_type="float32", cache_dir=sys.argv[2])
(encoded,) = engine.encode([np.zeros((80, 100), np.float32)])
engine.language_probabilities([Span(encoded, 0, 50)])
engine.decode([DecodeRequest(encoded=encoded, language="en", max_new_tokens=3)])
time.sleep(1)
"""


def test_nothing_goes_over_the_network(tmp_path: Path) -> None:
    """OpenVINO's telemetry sends from a forked process, which inherits the audit hook."""
    log = tmp_path / "sockets"
    command = [sys.executable, "-c", _RUN, str(DEMO), str(tmp_path / "blobs"), str(log)]
    environment = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(command, env=environment, check=True)
    assert log.read_text() == ""


@pytest.mark.parametrize("model", ["dynamic", "stock", "v3"])
def test_every_shape_can_be_warmed_up(model: str, engine_of: EngineOf) -> None:
    told: list[float] = []
    engine_of(model).warm_up(told.append, max_seconds=1.0, max_batch=2, max_prefix=8)
    assert told == sorted(told)
    assert told[-1] == 1.0
