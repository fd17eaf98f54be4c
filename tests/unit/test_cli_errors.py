"""Every failure is one line that says what to do, and a documented exit code."""

import errno

import pytest
import typer

from whisper_service import errors
from whisper_service.cli.console import Console
from whisper_service.cli.errors import reporting


def ends_with(error: BaseException, *, verbosity: int = 0) -> int:
    with pytest.raises(typer.Exit) as caught, reporting(Console(verbosity=verbosity)):
        raise error
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidOptionError("x"), 2),
        (errors.InvalidAudioError("x"), 3),
        (errors.AudioDecodeError("x"), 3),
        (errors.ModelNotFoundError("x"), 4),
        (errors.ModelDownloadError("x"), 4),
        (errors.ModelFormatError("x"), 4),
        (errors.MissingDependencyError("sounddevice", "mic"), 5),
        (errors.OutputError("x"), 6),
        (ZeroDivisionError("x"), 1),
        (OSError(errno.ENOSPC, "No space left on device"), 6),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    assert ends_with(error) == code


def test_an_error_is_one_line_and_its_notes_are_hints(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.ModelNotFoundError("the model 'base' is not on this machine")
    error.add_note("fetch it with: whisper-service models fetch base")
    ends_with(error)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: the model 'base' is not on this machine\n"
        "hint: fetch it with: whisper-service models fetch base\n"
    )


def test_a_missing_package_names_the_extra(capsys: pytest.CaptureFixture[str]) -> None:
    ends_with(errors.MissingDependencyError("sounddevice", "mic"))
    assert "pip install 'whisper-service[mic]'" in capsys.readouterr().err


def test_the_unexpected_is_short_and_verbose_shows_where(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends_with(ValueError("broken\nin many lines"))
    short = capsys.readouterr().err
    assert short.splitlines() == [
        "error: unexpected ValueError: broken",
        "hint: run the same command with --verbose for details",
    ]
    ends_with(ValueError("broken"), verbosity=1)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_long_messages_are_not_wrapped_and_brackets_survive(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends_with(errors.InvalidAudioError("[red] " + "x" * 300))
    assert capsys.readouterr().err == "error: [red] " + "x" * 300 + "\n"


def test_quiet_keeps_warnings_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(verbosity=-1)
    console.note("note")
    console.detail("detail")
    console.warn("careful")
    assert capsys.readouterr().err == "warning: careful\n"
