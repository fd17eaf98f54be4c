"""What can be transcribed: files, standard input, the microphone, the bundled recording."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from whisper_service.cli.options import Encoding
from whisper_service.errors import AudioDecodeError, InvalidOptionError
from whisper_service.types import FloatArray, Mode

RAW_NAMES = (".pcm", ".raw", ".sln", ".ulaw", ".alaw", *(f".{e.value}" for e in Encoding))

if TYPE_CHECKING:
    from whisper_service.audio.pcm import Encoding as PcmEncoding
    from whisper_service.audio.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAudio:
    """How raw PCM is to be read; all ``None``: what comes says itself what it is."""

    rate: int | None = None  # Hz
    encoding: Encoding | None = None
    channels: int | None = None

    @property
    def pcm_encoding(self) -> PcmEncoding | None:
        return self.encoding.value if self.encoding else None

    @property
    def given(self) -> bool:
        return (self.rate, self.encoding, self.channels) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing to transcribe, and how."""

    source: Source
    name: str  # in messages
    stem: str  # of a file named after it
    mode: Mode

    @property
    def chunks(self) -> Iterable[FloatArray]:
        """Mono float32 at 16 kHz; a file that is to be heard live comes in real time."""
        from whisper_service.audio.sources import FileSource, RawFileSource, paced

        is_file = isinstance(self.source, FileSource | RawFileSource)
        return paced(self.source) if is_file and self.mode == "live" else self.source

    @property
    def stop(self) -> Callable[[], None] | None:
        """What ends a source that goes on hearing, after what it has heard."""
        from whisper_service.audio.sources import MicrophoneSource

        return self.source.close if isinstance(self.source, MicrophoneSource) else None

    @property
    def dropped(self) -> int:
        """Samples lost before the newest chunk (a microphone on a slow machine)."""
        return getattr(self.source, "dropped", 0)


def open_input(name: str, *, mode: Mode | None, raw: RawAudio, mic_device: str | None) -> Input:
    """Open the input called ``name``: ``-`` is stdin, ``mic`` the microphone, else a file.

    Files are decoded offline unless asked otherwise, what arrives while it is spoken live.
    Raises ``InvalidAudioError`` for a file that is not there or holds no audio,
    ``InvalidOptionError`` where ``raw`` describes what is no raw PCM, and
    ``MissingDependencyError`` for ``mic`` without the package for it.
    """
    if name == "-":
        return _stdin(mode, raw)
    if name == "mic":
        return _microphone(mode, raw, mic_device)
    return Input(source=_file(name, raw), name=name, stem=Path(name).stem, mode=mode or "offline")


def _stdin(mode: Mode | None, raw: RawAudio) -> Input:
    from whisper_service.audio.sources import StdinSource

    source = StdinSource(
        sys.stdin.buffer, rate=raw.rate, encoding=raw.pcm_encoding, channels=raw.channels
    )
    default: Mode = "live" if raw.given else "offline"
    return Input(source=source, name=source.name, stem="stdin", mode=mode or default)


def _microphone(mode: Mode | None, raw: RawAudio, device: str | None) -> Input:
    from whisper_service.audio.sources import MicrophoneSource

    if raw.given:
        raise InvalidOptionError(
            "--rate, --encoding and --channels describe raw PCM in a file or on standard input: "
            "leave them out for mic"
        )
    microphone = MicrophoneSource(device)
    title = f"microphone {microphone.name}"
    return Input(source=microphone, name=title, stem="microphone", mode=mode or "live")


def _file(name: str, raw: RawAudio) -> Source:
    from whisper_service.audio.sources import FileSource, RawFileSource

    if raw.given:
        return RawFileSource(name, rate=raw.rate, encoding=raw.pcm_encoding, channels=raw.channels)
    try:
        return FileSource(name)
    except AudioDecodeError as error:
        if Path(name).suffix.lower() in RAW_NAMES and Path(name).is_file():
            error.add_note("for raw samples give --rate and --encoding")
        raise
