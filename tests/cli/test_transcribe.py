"""Real recordings through the whole program, with the embedded model."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from whisper_service.audio import sources
from whisper_service.audio.pcm import Encoding as PcmEncoding
from whisper_service.cli.options import Encoding
from whisper_service.types import FloatArray

from .conftest import FIRST, RECORDING, SPOKEN, TRUTH, Command, write_wav


def test_the_demo_captions_each_language(cli: Command) -> None:
    finished = cli("demo", "--fast")
    assert finished.code == 0
    lines = finished.out.splitlines()
    shape = re.compile(r"\[\d\d:\d\d\.\d → \d\d:\d\d\.\d\] (en|es|fr|de|zh)  \S.*")
    assert all(shape.fullmatch(line) for line in lines)
    assert set(SPOKEN) <= {line.split("] ")[1][:2] for line in lines}
    assert "against the truth: " in finished.err


def test_the_demo_writes_every_format(cli: Command, tmp_path: Path) -> None:
    begins = {"srt": "1\n00:00:", "vtt": "WEBVTT\n\n00:", "tsv": "start\tend\ttext\n", "json": "{"}
    for name, begin in begins.items():
        target = tmp_path / f"demo.{name}"
        assert cli("demo", "--offline", "-q", "-o", target).out == ""
        assert target.read_text(encoding="utf-8").startswith(begin)


def test_text_is_on_stdout_and_nothing_else(transcribe: Command) -> None:
    finished = transcribe(RECORDING, "--languages", ",".join(SPOKEN))
    assert finished.code == 0
    assert finished.out.strip()
    assert "\x1b" not in finished.out
    assert finished.err.splitlines() == [
        "the demo model only knows synthetic voices: use --model base for real speech"
    ]


def test_speech_in_a_language_not_named_is_told_of(transcribe: Command) -> None:
    finished = transcribe(RECORDING, "-f", "json", "--languages", "fr,en")
    gaps = json.loads(finished.out)["gaps"]
    assert {gap["reason"] for gap in gaps} == {"other_language"}
    left_out = sum(gap["end"] - gap["start"] for gap in gaps)
    assert left_out > 5
    assert f"{left_out:.1f} s of speech were in none of fr,en and left out" in finished.err


def test_json_adds_up(transcribe: Command) -> None:
    document = json.loads(transcribe(RECORDING, "-f", "json", "--languages", ",".join(SPOKEN)).out)
    audio = document["audio"]
    assert document["duration"] == audio["received"] == pytest.approx(TRUTH["seconds"], abs=0.001)
    assert audio["pending"] == 0
    parts = audio["decoded"] + audio["skipped_silence"] + audio["dropped"]
    assert parts == pytest.approx(audio["received"], abs=0.002)
    assert {segment["language"] for segment in document["segments"]} <= set(SPOKEN)


def test_jsonl_is_an_event_a_line_and_its_words_are_the_transcript(transcribe: Command) -> None:
    lines = transcribe(RECORDING, "--fast", "-f", "jsonl", "--language", FIRST).out.splitlines()
    events = [json.loads(line) for line in lines]
    said = "".join(e["text"] for e in events if e["type"] == "committed")
    finals = "".join(e["text"] for e in events if e["type"] == "final")
    assert said == finals
    assert {"speech_started", "partial", "lag"} <= {e["type"] for e in events}


def test_one_language_is_kept(transcribe: Command) -> None:
    document = json.loads(transcribe(RECORDING, "-f", "json", "--language", "German").out)
    assert document["language"] == "german"
    assert document["switches"] == []


def test_language_tags_and_line_widths_reach_the_captions(transcribe: Command) -> None:
    narrow = ("--language-tags", "--max-line-width", "20", "--max-line-count", "1")
    out = transcribe(RECORDING, "-f", "srt", "--languages", ",".join(SPOKEN), *narrow).out
    texts = [block.splitlines()[2:] for block in out.strip().split("\n\n")]
    assert all(len(lines) == 1 for lines in texts)
    assert all(re.match(r"\[(\w\w)\] ", lines[0]) for lines in texts)


def test_several_files_follow_one_another_and_one_bad_one_stops_nothing(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    good = write_wav(tmp_path / "good.wav", speech)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    finished = transcribe(tmp_path / "bad.wav", good, good)
    assert finished.code == 3
    assert "bad.wav" in finished.error
    assert finished.err.count("── ") == 2
    first, second = finished.out[: len(finished.out) // 2], finished.out[len(finished.out) // 2 :]
    assert first == second != ""


def test_an_output_folder_gets_one_file_for_each_input(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    for name in ("a/one.wav", "b/one.wav", "two.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / name, speech[:32000])
    out = tmp_path / "out"
    inputs = [tmp_path / name for name in ("a/one.wav", "b/one.wav", "two.wav")]
    finished = transcribe(*inputs, "--output-dir", out, "-f", "vtt")
    assert finished.code == 0, finished.err
    assert finished.out == ""
    assert len(list(out.iterdir())) == 3
    assert (out / "two.vtt").read_text().startswith("WEBVTT")


def test_statistics_go_to_stderr(transcribe: Command, tmp_path: Path, speech: FloatArray) -> None:
    finished = transcribe(write_wav(tmp_path / "a.wav", speech), "--stats")
    assert f"audio: {len(speech) / 16_000:.1f} s received" in finished.err
    assert "whisper.infer" in finished.err


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (48_000, 2), (44_100, 6), (96_000, 1), (11_025, 3)]
)
def test_any_rate_and_number_of_channels_works(
    transcribe: Command, tmp_path: Path, speech: FloatArray, rate: int, channels: int
) -> None:
    import soxr

    resampled = soxr.resample(speech, 16_000, rate)
    samples = np.repeat(resampled[:, None], channels, axis=1) if channels > 1 else resampled
    finished = transcribe(write_wav(tmp_path / "a.wav", samples, rate=rate), "-f", "json")
    assert finished.code == 0, finished.err
    document = json.loads(finished.out)
    assert document["duration"] == pytest.approx(len(speech) / 16_000, abs=0.01)
    assert document["segments"]


def as_s16(speech: FloatArray) -> bytes:
    return (speech * 32767).astype("<i2").tobytes()


def test_raw_pcm_on_stdin_is_captioned_live(transcribe: Command, speech: FloatArray) -> None:
    finished = transcribe("-", "--rate", "16000", "--language", FIRST, stdin=as_s16(speech))
    assert finished.code == 0, finished.err
    assert finished.out.startswith("[00:00.")


def test_raw_pcm_is_read_as_described(transcribe: Command, speech: FloatArray) -> None:
    stereo = np.repeat(speech, 2)
    arguments = ("-", "--encoding", "f32le", "--channels", "2", "--offline", "-f", "json")
    finished = transcribe(*arguments, stdin=stereo.astype("<f4").tobytes())
    assert json.loads(finished.out)["duration"] == pytest.approx(len(speech) / 16_000, abs=0.001)


def test_a_file_of_raw_pcm_is_read_as_described(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    wav, raw = write_wav(tmp_path / "a.wav", speech), tmp_path / "a.pcm"
    raw.write_bytes(as_s16(speech))
    expected = transcribe(wav, "--language", FIRST).out
    finished = transcribe(raw, "--rate", "16000", "--encoding", "s16le", "--language", FIRST)
    assert finished.code == 0, finished.err
    assert finished.out == expected != ""


def test_a_container_on_stdin_is_recognised(transcribe: Command) -> None:
    finished = transcribe("-", "-f", "json", stdin=RECORDING.read_bytes())
    assert json.loads(finished.out)["duration"] == pytest.approx(TRUTH["seconds"], abs=0.001)


def test_the_command_line_knows_every_encoding() -> None:
    from typing import get_args

    assert {encoding.value for encoding in Encoding} == set(get_args(PcmEncoding))


def test_only_live_files_are_paced(
    transcribe: Command, tmp_path: Path, speech: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced: list[str] = []

    def without_waiting(source: sources.FileSource) -> sources.FileSource:
        paced.append(source.name)
        return source

    monkeypatch.setattr(sources, "paced", without_waiting)
    file = write_wav(tmp_path / "a.wav", speech)
    assert transcribe(file, "--fast").out.startswith("[00:00.")
    assert paced == []
    assert transcribe(file, "--live").out.startswith("[00:00.")
    assert paced == [str(file)]
    raw = tmp_path / "a.pcm"
    raw.write_bytes(as_s16(speech))
    assert transcribe(raw, "--rate", "16000", "--live").out.startswith("[00:00.")
    assert paced == [str(file), str(raw)]


def test_silence_simply_works(transcribe: Command, tmp_path: Path) -> None:
    silent = write_wav(tmp_path / "silent.wav", np.zeros(48_000, np.float32))
    finished = transcribe(silent)
    assert (finished.code, finished.out) == (0, "")
    assert f"no speech found in {silent}" in finished.err
    document = json.loads(transcribe(silent, "-f", "json").out)
    assert document["segments"] == []
    assert document["audio"]["skipped_silence"] == 3.0


def test_verbose_tells_the_model_and_quiet_tells_nothing(
    transcribe: Command, tmp_path: Path, speech: FloatArray
) -> None:
    file = write_wav(tmp_path / "a.wav", speech)
    assert transcribe(file, "-q").err == ""
    out = tmp_path / "a.txt"
    assert f"wrote {out}" in transcribe(file, "-v", "-o", out).err
    assert out.read_text(encoding="utf-8").strip()
