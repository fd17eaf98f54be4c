"""What can be transcribed: files, standard input, the microphone, the bundled recording."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from whisper_service.cli.options import Encoding
from whisper_service.types import FloatArray, Mode

if TYPE_CHECKING:
    from whisper_service.audio.pcm import Encoding as PcmEncoding
    from whisper_service.audio.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAudio:
    """How raw PCM on stdin is to be read; all ``None``: stdin holds a container."""

    rate: int | None = None  # Hz
    encoding: Encoding | None = None
    channels: int | None = None

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
        from whisper_service.audio.sources import FileSource, paced

        paced_file = self.mode == "live" and isinstance(self.source, FileSource)
        return paced(self.source) if paced_file else self.source

    @property
    def dropped(self) -> int:
        """Samples lost before they could be read, so far (a microphone on a slow machine)."""
        return getattr(self.source, "dropped", 0)


def open_input(name: str, *, mode: Mode | None, raw: RawAudio, mic_device: str | None) -> Input:
    """Open the input called ``name``: ``-`` is stdin, ``mic`` the microphone, else a file.

    Files are decoded offline unless asked otherwise, what arrives while it is spoken live.
    Raises ``InvalidAudioError`` for a file that is not there or holds no audio, and
    ``MissingDependencyError`` for ``mic`` without the package for it.
    """
    from whisper_service.audio.sources import FileSource, MicrophoneSource, StdinSource

    if name == "-":
        encoding: PcmEncoding | None = raw.encoding.value if raw.encoding else None
        source = StdinSource(
            sys.stdin.buffer, rate=raw.rate, encoding=encoding, channels=raw.channels
        )
        default: Mode = "live" if raw.given else "offline"
        return Input(source=source, name=source.name, stem="stdin", mode=mode or default)
    if name == "mic":
        microphone = MicrophoneSource(mic_device)
        title = f"microphone {microphone.name}"
        return Input(source=microphone, name=title, stem="microphone", mode=mode or "live")
    return Input(source=FileSource(name), name=name, stem=Path(name).stem, mode=mode or "offline")
