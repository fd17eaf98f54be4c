"""How a command ends: one line on stderr and a documented exit code, never a bare traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from whisper_service.cli.console import Console
from whisper_service.errors import OutputError, WhisperServiceError

OK = 0
UNEXPECTED = 1
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


@contextmanager
def reporting(console: Console) -> Iterator[None]:
    """Turn what a command raises into a message and an exit code.

    Errors of this package print ``error: …`` and their notes (:pep:`678`) as ``hint: …``.
    A reader that closed the pipe has what it wanted: that ends quietly with 0.
    """
    try:
        yield
        _flush_stdout()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BrokenPipeError:
        _discard_stdout()
        raise typer.Exit(OK) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except WhisperServiceError as error:
        raise typer.Exit(report(error, console)) from None
    except Exception as error:  # noqa: BLE001 - the outermost frame of the program
        raise typer.Exit(_unexpected(error, console)) from None


def report(error: WhisperServiceError, console: Console) -> int:
    """Print one error of this package; its exit code."""
    if isinstance(error, OutputError):
        _discard_unwritable_stdout()
    console.error(str(error), hints=getattr(error, "__notes__", ()))
    console.traceback(error)
    return error.exit_code


def _unexpected(error: Exception, console: Console) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        failure = OutputError("the disk is full: free some space or write somewhere else with -o")
        return report(failure, console)
    line = str(error).strip().partition("\n")[0]
    console.error(
        f"unexpected {type(error).__name__}: {line}",
        hints=[] if console.verbose else ["run the same command with --verbose for details"],
    )
    console.traceback(error)
    return UNEXPECTED


def _flush_stdout() -> None:
    """Find a full disk or a closed pipe behind stdout here, not at interpreter shutdown."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"could not write to stdout: {error.strerror}") from error


def _discard_unwritable_stdout() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _discard_stdout()


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, so that shutdown does not fail on it again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
