"""Where a transcript goes. A place that cannot be written is found before any decoding."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TextIO

from whisper_service.errors import OutputError


class Destination(Protocol):
    """Takes text while the audio runs; :func:`destination` opens and completes it."""

    def write(self, text: str) -> None:
        """Write at once: nothing waits in a buffer. ``OutputError`` if that fails."""


def file_or_stdout(path: Path | None) -> Path | None:
    """``None`` (stdout) for ``-``, as for no name at all."""
    return None if path == Path("-") else path


@contextmanager
def destination(path: Path | None) -> Iterator[Destination]:
    """Open ``path`` (``None``: stdout) now and complete it at the end of the block.

    A file appears under its name only when it is complete: it is written beside its place and
    renamed. What a full disk refuses is printed to stdout, so that nothing is lost.
    """
    if path is None:
        yield _Stdout()
        return
    target = _File(path)
    try:
        yield target
        target.complete()
    finally:
        target.discard()


class _Stdout:
    def write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"could not write to stdout: {error.strerror}") from error


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._target = path.resolve()  # a symbolic link stays one, its target is replaced
        self._in_place = path.exists() and not path.is_file()  # a device or a pipe
        self._part = self._target
        self._written: list[str] = []
        try:
            self._file = self._open()
        except OSError as error:
            raise self._error(error) from error

    def write(self, text: str) -> None:
        self._written.append(text)
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._rescue(error) from error

    def complete(self) -> None:
        try:
            if not self._in_place:
                os.fsync(self._file.fileno())
            self._file.close()
            if not self._in_place:
                self._part.replace(self._target)
        except OSError as error:
            raise self._rescue(error) from error

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
        if not self._in_place:
            self._part.unlink(missing_ok=True)

    def _open(self) -> TextIO:
        if self._path.is_dir():
            raise IsADirectoryError(0, "it is a folder; name a file, or use --output-dir")
        if self._path.exists() and not os.access(self._path, os.W_OK):
            raise PermissionError(0, "no permission to write it")
        if self._in_place:
            return self._target.open("w", encoding="utf-8")
        unique = secrets.token_hex(4)  # in containers every run has the same process number
        self._part = self._target.with_name(f".{self._target.name}.{unique}.part")
        return self._part.open("x", encoding="utf-8")

    def _rescue(self, error: OSError) -> OutputError:
        """Print what the file could not take."""
        with suppress(OSError):
            sys.stdout.write("".join(self._written))
            sys.stdout.flush()
        failure = self._error(error)
        failure.add_note("the transcript was printed to stdout instead")
        return failure

    def _error(self, error: OSError) -> OutputError:
        reason = error.strerror or str(error)
        return OutputError(f"cannot write {self._path}: {reason[:1].lower()}{reason[1:]}")


def ensure_writable(path: Path) -> None:
    """``OutputError`` now rather than after the work; pipes and devices are not touched."""
    if path.is_dir() or path.is_file() or not path.exists():
        _File(path).discard()


def ensure_folder(folder: Path) -> None:
    """Make ``folder`` (and its parents); ``OutputError`` if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"no permission to write to the folder {folder}")
