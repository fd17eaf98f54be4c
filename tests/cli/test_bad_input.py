"""What goes wrong is one line that says what to do, found before anything is decoded."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from whisper_service.audio import sources
from whisper_service.errors import InvalidAudioError
from whisper_service.types import FloatArray

from .conftest import RECORDING, Command, write_wav


def test_a_missing_file(transcribe: Command) -> None:
    finished = transcribe("no/such/file.wav")
    assert finished.code == 3
    assert "no/such/file.wav" in finished.error


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.wav", b""),
        ("text.txt", b"these are words, but nobody says them\n" * 50),
        ("noise.mp3", bytes(range(256)) * 40),
        ("header.wav", b"RIFF\x24\x00\x00\x00WAVEfmt "),
    ],
)
def test_what_is_not_audio(transcribe: Command, tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    finished = transcribe(file)
    assert finished.code == 3
    assert name in finished.error
    assert finished.out == ""


def test_a_folder(transcribe: Command, tmp_path: Path) -> None:
    finished = transcribe(tmp_path)
    assert finished.code == 3
    assert str(tmp_path) in finished.error


def test_a_truncated_file_is_transcribed_as_far_as_it_goes(
    transcribe: Command, tmp_path: Path
) -> None:
    file = tmp_path / "cut.flac"
    file.write_bytes(RECORDING.read_bytes()[: RECORDING.stat().st_size // 2])
    finished = transcribe(file)
    assert finished.code == 0, finished.err
    assert finished.out.strip()
    assert "warning: " in finished.err
    assert "cut short" in finished.err


def test_samples_that_are_no_numbers_are_muted_and_told(
    transcribe: Command, speech: FloatArray
) -> None:
    broken = speech.copy()
    broken[1000:1010] = np.nan
    broken[2000] = np.inf
    finished = transcribe(
        "-", "--encoding", "f32le", "--offline", stdin=broken.astype("<f4").tobytes()
    )
    assert finished.code == 0, finished.err
    assert finished.out.strip()
    assert "11 samples that are no numbers" in finished.err


def test_raw_samples_described_wrongly(transcribe: Command) -> None:
    noise = np.random.default_rng(1).bytes(64_000)
    finished = transcribe("-", "--encoding", "f32le", stdin=noise)
    assert finished.code == 3
    assert "hint: check --rate, --encoding and --channels" in finished.err


def test_audio_that_breaks_off_is_written_as_far_as_it_went(
    transcribe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: FloatArray
) -> None:
    whole = sources.FileSource.__iter__

    def unplugged(source: sources.FileSource) -> Iterator[FloatArray]:
        yield from whole(source)
        raise InvalidAudioError("the microphone stopped delivering")

    file = write_wav(tmp_path / "a.wav", speech)
    expected = transcribe(file).out
    monkeypatch.setattr(sources.FileSource, "__iter__", unplugged)
    finished = transcribe(file, "-o", tmp_path / "a.txt")
    assert finished.code == 3
    assert finished.error == "error: the microphone stopped delivering"
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == expected != ""


def test_samples_lost_before_they_were_read_are_counted(
    transcribe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: FloatArray
) -> None:
    monkeypatch.setattr(sources.FileSource, "dropped", 8_000, raising=False)
    finished = transcribe(write_wav(tmp_path / "a.wav", speech), "-f", "json")
    audio = json.loads(finished.out)["audio"]
    assert audio["dropped"] == 0.5
    assert audio["received"] == pytest.approx(len(speech) / 16_000 + 0.5)


def test_a_language_the_model_was_not_trained_on_is_told(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    finished = transcribe(write_wav(tmp_path / "a.wav", speech), "--language", "ja")
    assert "warning: demo was trained on en, es, fr, de, zh, not on ja" in finished.err


def test_nothing_on_stdin(transcribe: Command) -> None:
    for arguments in (["-"], ["-", "--rate", "16000"]):
        finished = transcribe(*arguments)
        assert finished.code == 3
        assert "empty" in finished.error


def test_raw_samples_without_a_description(transcribe: Command, speech: FloatArray) -> None:
    finished = transcribe("-", stdin=(speech * 32767).astype("<i2").tobytes())
    assert finished.code == 3
    assert "--rate" in finished.error


def test_a_file_of_raw_samples_without_a_description(transcribe: Command, tmp_path: Path) -> None:
    file = tmp_path / "talk.pcm"
    file.write_bytes(bytes(32_000))
    finished = transcribe(file)
    assert finished.code == 3
    assert "hint: for raw samples give --rate and --encoding" in finished.err
    assert "hint" not in transcribe(tmp_path / "no.pcm").err


def test_a_microphone_takes_no_description_of_raw_samples(transcribe: Command) -> None:
    finished = transcribe("mic", "--rate", "16000")
    assert finished.code == 2
    assert "leave them out for mic" in finished.error


def test_the_microphone_names_its_extra(
    transcribe: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    finished = transcribe("mic")
    assert finished.code == 5
    assert "pip install 'whisper-service[mic]'" in finished.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--language", "klingon"], "unknown language 'klingon'"),
        (["--languages", "en,klingon"], "unknown language 'klingon'"),
        (["--language", "en", "--languages", "en,es"], "exclude each other"),
        (["--task", "translate"], "translate"),
        (["--live", "--offline"], "exclude each other"),
        (["--context", "soon"], "--context soon"),
        (["-o", "a.srt", "--output-dir", "b"], "exclude each other"),
        (["-o", "a.xyz"], "a.xyz ends like no format: use .txt, .srt"),
        (["--rate", "16000"], "leave out --rate, --encoding and --channels"),
        (["--encoding", "s16le"], "is no raw PCM"),
    ],
)
def test_options_that_cannot_work(
    transcribe: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = transcribe(RECORDING, *arguments)
    assert finished.code == 2
    assert message in finished.error
    assert list(tmp_path.iterdir()) == []


def test_one_output_for_two_inputs(transcribe: Command, tmp_path: Path) -> None:
    finished = transcribe(RECORDING, RECORDING, "-o", tmp_path / "a.txt")
    assert finished.code == 2
    assert "--output-dir" in finished.error


def test_an_unknown_model_is_found_before_the_network_is_asked(cli: Command) -> None:
    finished = cli("transcribe", RECORDING, "--model", "bsae")
    assert finished.code == 4
    assert "did you mean base" in finished.error


def test_a_model_that_is_not_here_while_offline(cli: Command) -> None:
    finished = cli("transcribe", RECORDING)  # the default model
    assert finished.code == 4
    assert "whisper-service models fetch" in finished.error
    assert "--model demo" in finished.error


def test_a_folder_that_holds_no_model(cli: Command, tmp_path: Path) -> None:
    for model in (tmp_path, tmp_path / "missing"):
        finished = cli("transcribe", RECORDING, "--model", model)
        assert finished.code == 4
        assert str(model) in finished.error


@pytest.mark.parametrize("place", ["missing/talk.srt", ".", "/proc/talk.srt"])
def test_an_output_that_cannot_be_written_is_found_before_the_model_is_loaded(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(
        "whisper_service.cli.transcribe.load_model", lambda *_, **__: pytest.fail("loaded")
    )
    monkeypatch.chdir(tmp_path)
    finished = cli("transcribe", RECORDING, "--model", "demo", "-o", place)
    assert finished.code == 6
    assert "cannot write" in finished.error


def test_a_full_disk_prints_the_transcript_instead(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    file = write_wav(tmp_path / "a.wav", speech)
    finished = transcribe(file, "-f", "txt", "-o", "/dev/full")
    assert finished.code == 6
    assert "no space left" in finished.error
    assert finished.out == transcribe(file).out != ""


def test_an_unexpected_error_is_short(
    transcribe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: FloatArray
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("numbers ran out")

    monkeypatch.setattr("whisper_service.cli.transcribe.run", broken)
    file = write_wav(tmp_path / "a.wav", speech)
    short = transcribe(file)
    assert short.code == 1
    assert short.error == "error: unexpected ZeroDivisionError: numbers ran out"
    assert "Traceback" not in short.err
    assert "Traceback" in transcribe(file, "-v").err
