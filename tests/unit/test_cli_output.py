"""Where results go, and what happens when they cannot."""

import os
from pathlib import Path

import pytest

from whisper_service.cli.output import destination, ensure_folder, ensure_writable, file_or_stdout
from whisper_service.errors import OutputError


def write(path: Path, *texts: str) -> None:
    with destination(path) as sink:
        for text in texts:
            sink.write(text)


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "talk.srt"
    with destination(target) as sink:
        sink.write("1\n")
        assert not target.exists()
        sink.write("2\n")
    assert target.read_text(encoding="utf-8") == "1\n2\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_run_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    target.write_text("before", encoding="utf-8")

    def fail() -> None:
        with destination(target) as sink:
            sink.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_symbolic_link_keeps_pointing_to_its_target(tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    link = tmp_path / "link.txt"
    link.symlink_to(real)
    with destination(link) as sink:
        sink.write("text")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "text"


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    mask = os.umask(0o027)
    try:
        with destination(target) as sink:
            sink.write("text")
    finally:
        os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["missing/talk.srt", "folder"])
def test_an_unwritable_place_is_found_before_anything_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"^cannot write .*: [^\n]+$"):
        ensure_writable(tmp_path / name)
    with pytest.raises(OutputError), destination(tmp_path / name):
        pytest.fail("the block must not run")


def test_checking_a_place_leaves_nothing_behind(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "talk.srt")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left") as caught:
        write(Path("/dev/full"), "every word\n")
    assert capsys.readouterr().out == "every word\n"
    assert caught.value.__notes__ == ["the transcript was printed to stdout instead"]


def test_a_disk_that_fills_up_prints_what_was_written_before_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError):
        write(tmp_path / "talk.txt", "one ", "two\n")
    assert capsys.readouterr().out == "one two\n"
    assert list(tmp_path.iterdir()) == []


def test_stdout_is_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with destination(None) as sink:
        sink.write("now")
        assert capsys.readouterr().out == "now"
    assert file_or_stdout(Path("-")) is None
    assert file_or_stdout(Path("./-x")) == Path("./-x")


def test_folders_are_made_and_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    ensure_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        ensure_folder(tmp_path / "file" / "sub")


def test_what_a_killed_run_left_behind_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".a.srt.{os.getpid()}.part").write_text("half")
    write(tmp_path / "a.srt", "whole")
    assert (tmp_path / "a.srt").read_text() == "whole"
