"""The program as a process: signals, pipes, and what a shell sees."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whisper_service.types import FloatArray

from .conftest import FIRST, RECORDING, SPOKEN

PROGRAM = [sys.executable, "-m", "whisper_service"]
PATIENCE = 60.0  # s


def start(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*PROGRAM, *map(str, arguments)],
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        | options,
    )


def wait_until_it_hears(process: subprocess.Popen[bytes]) -> bytes:
    """Read the first line of the results: from then on it is in the middle of the audio."""
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_what_was_heard(number: signal.Signals, tmp_path: Path) -> None:
    target = tmp_path / "talk.json"
    heard = ("--languages", ",".join(SPOKEN), "--model", "demo", "--live", "-v", "-o", target)
    with start("transcribe", RECORDING, *heard) as process:
        assert process.stderr is not None
        while b"ready in" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(3.0)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert out == b""
    document = json.loads(target.read_text(encoding="utf-8"))
    assert 0.0 < document["duration"] < 20.0
    assert document["audio"]["pending"] == 0
    assert b"Traceback" not in err


def test_a_stream_that_never_ends_is_ended_by_ctrl_c(speech: FloatArray) -> None:
    raw = ("transcribe", "-", "--rate", "16000", "--language", FIRST, "--model", "demo")
    with start(*raw, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write((speech[:-24_000] * 32767).astype("<i2").tobytes())
        process.stdin.flush()
        first = wait_until_it_hears(process)
        time.sleep(2.0)  # it has taken in the rest and waits for more
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PATIENCE)
        assert process.stdout is not None
        rest = process.stdout.read()
    assert process.returncode == 130
    assert first.decode().startswith("[00:00.")
    assert rest.decode().count("\n") >= 1  # the sentence that was cut off


def test_a_closed_pipe_is_quiet() -> None:
    with start("demo", "--fast", "--quiet") as process:
        wait_until_it_hears(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full, start("demo", "--offline", "-q", stdout=full) as p:
        assert p.stderr is not None
        err = p.stderr.read().decode()
        p.wait(timeout=PATIENCE)
    assert p.returncode == 6
    assert err == "error: could not write to stdout: No space left on device\n"


def test_no_colour_without_a_terminal_and_with_no_color() -> None:
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": ""}
    finished = subprocess.run(
        [*PROGRAM, "transcribe", "/no/such.wav"], capture_output=True, env=environment, check=False
    )
    assert finished.returncode == 3
    assert b"\x1b" not in finished.stdout + finished.stderr
    assert finished.stderr.count(b"\n") == 1


def test_on_a_terminal_captions_move_and_no_color_is_honoured() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "100"}
    with start("demo", "--fast", stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed when the program ends
            while data := os.read(ours, 65_536):
                shown += data
        assert process.stderr is not None
        notes = process.stderr.read().decode()
    os.close(ours)
    assert process.returncode == 0
    assert "\x1b[2K" in shown.decode()  # lines are drawn again
    assert "lag " in shown.decode()
    assert not re.search(r"\x1b\[[\d;]*3\dm", shown.decode())  # no colour
    assert "against the truth" in notes
    assert "\x1b" not in notes


_WATCHED = """
import os, sys

log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def watch(event, arguments):
    if event.startswith("socket."):
        os.write(log, f"{event} {arguments}\\n".encode())

sys.addaudithook(watch)
from whisper_service.cli import main

main()
"""


def test_a_whole_run_opens_no_socket(tmp_path: Path) -> None:
    """Telemetry of any package would be seen, from a forked process too."""
    log = tmp_path / "sockets"
    heard = ("transcribe", RECORDING, "--model", "demo", "--languages", "fr,en", "-f", "srt")
    command = [sys.executable, "-c", _WATCHED, log, *heard, "-o", tmp_path / "a.srt", "--stats"]
    environment = os.environ | {"HOME": str(tmp_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "a.srt").stat().st_size > 100
    assert log.read_text() == ""
