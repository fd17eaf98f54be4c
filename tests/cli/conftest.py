"""The command line, run in this process as its users run it."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from whisper_service.cli import demo as demo_command
from whisper_service.cli import runner
from whisper_service.cli import transcribe as transcribe_command
from whisper_service.cli.app import app
from whisper_service.cli.console import Console
from whisper_service.cli.settings import ModelChoice
from whisper_service.engine.base import Engine
from whisper_service.types import FloatArray, to_samples

DATA = Path(demo_command.__file__).parents[1] / "data"
RECORDING = DATA / "code_switching.flac"
TRUTH = json.loads((DATA / "code_switching.json").read_text(encoding="utf-8"))
SPOKEN = list(dict.fromkeys(part["language"] for part in TRUTH["segments"]))
FIRST = SPOKEN[0]  # the language of the first two sentences


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what was wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


Command = Callable[..., Finished]


@pytest.fixture(scope="session")
def demo_engine() -> Engine:
    return runner.load_model(ModelChoice(name="demo"), console=Console())


@pytest.fixture(autouse=True)
def _one_demo_engine(demo_engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Load the demo model once for all tests; other models are looked for as ever, offline."""

    def load(choice: ModelChoice, **options: Any) -> Engine:
        return demo_engine if choice.name == "demo" else runner.load_model(choice, **options)

    monkeypatch.setattr(transcribe_command, "load_model", load)
    monkeypatch.setattr(demo_command, "load_model", load)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("WHISPER_SERVICE_MODEL", raising=False)


@pytest.fixture
def cli() -> Command:
    """Run ``whisper-service`` with arguments and bytes on stdin."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> Finished:
        result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        return Finished(code=result.exit_code, out=result.stdout, err=result.stderr)

    return run


@pytest.fixture
def transcribe(cli: Command) -> Command:
    """Run ``whisper-service transcribe --model demo``."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> Finished:
        return cli("transcribe", *arguments, "--model", "demo", stdin=stdin)

    return run


def write_wav(path: Path, samples: FloatArray, *, rate: int = 16_000) -> Path:
    """``samples`` ``[n]`` or ``[n, channels]`` in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def speech() -> FloatArray:
    """The first two sentences of the bundled recording and a pause, 16 kHz."""
    from whisper_service.audio.decode import load_audio

    end = to_samples(TRUTH["segments"][1]["end"] + 0.1)
    pause = np.zeros(to_samples(0.8), np.float32)
    return np.concatenate([load_audio(RECORDING)[:end], pause])
