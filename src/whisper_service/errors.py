"""Everything this package raises on purpose.

::

    WhisperServiceError
    ├── InvalidAudioError        what came in is not usable audio
    │   └── AudioDecodeError     a container or codec could not be read
    ├── InvalidOptionError       an option, language or task that cannot work (also a ValueError)
    ├── ModelError
    │   ├── ModelNotFoundError   no such model, or not on this machine while offline
    │   ├── ModelDownloadError   the hub could not be reached or answered with an error
    │   └── ModelFormatError     a checkpoint that is incomplete or of another kind
    ├── MissingDependencyError   an optional package is absent; names the extra to install
    ├── StreamClosedError        a stream was used after it had ended
    ├── OverloadedError          a bounded queue is full
    └── OutputError              a result could not be written

Each message says what was wrong and what to do about it, in one line.
"""

from __future__ import annotations


class WhisperServiceError(Exception):
    """Base class of all errors of this package.

    ``exit_code`` is what the command line ends with (documented in ``docs/CLI.md``).
    """

    exit_code = 1


class InvalidAudioError(WhisperServiceError, ValueError):
    """Samples that cannot be transcribed: wrong shape, dtype, NaN, no audio stream."""

    exit_code = 3


class AudioDecodeError(InvalidAudioError):
    """A file or stream that could not be decoded."""


class InvalidOptionError(WhisperServiceError, ValueError):
    """An option value, language or task that cannot work with this model."""

    exit_code = 2


class ModelError(WhisperServiceError):
    """Base class for problems with a model."""

    exit_code = 4


class ModelNotFoundError(ModelError):
    """No such model, or not on this machine while offline."""


class ModelDownloadError(ModelError):
    """The hub could not be reached, or answered with an error."""


class ModelFormatError(ModelError):
    """A checkpoint that is incomplete, damaged, or not a Whisper model."""


class MissingDependencyError(WhisperServiceError, ImportError):
    """An optional package is not installed."""

    exit_code = 5

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; install it with: pip install 'whisper-service[{extra}]'"
        )


class StreamClosedError(WhisperServiceError, RuntimeError):
    """A stream was used after ``finish()`` or ``aclose()``."""


class OverloadedError(WhisperServiceError):
    """A bounded queue is full: send slower, or try again."""


class OutputError(WhisperServiceError, OSError):
    """A result could not be written: no permission, no such folder, disk full."""

    exit_code = 6
