"""The example programs run as they stand in the README and say the right languages."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RECORDING = str(files("whisper_service") / "data" / "code_switching.flac")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), RECORDING, "en,es,fr,de,zh"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "reunión" in done.stdout
    assert "window" in done.stdout


def test_examples_are_short():
    assert EXAMPLES
    assert all(len(p.read_text().splitlines()) < 40 for p in EXAMPLES)
