"""Any audio or video file to mono float32 at 16 kHz, piece by piece (PyAV, that is FFmpeg).

Only bytes are handed to FFmpeg, never a name or an address, and only the container formats of a
whitelist are tried: formats that name other files or hosts (hls, concat, …) are not among them
(CVE-2016-1897, CVE-2017-9993, CVE-2026-109311).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.filter import Graph

from whisper_service.audio.resampler import HIGHEST, LOWEST, Resampler
from whisper_service.errors import AudioDecodeError
from whisper_service.types import SAMPLE_RATE, FloatArray

Source: TypeAlias = str | Path | bytes | BinaryIO

SERVER_FORMATS = ("wav", "mp3", "mov", "matroska", "ogg", "flac", "aac")
"""FFmpeg's names of the formats that uploads use: mov is also mp4 and m4a, matroska also webm."""

FORMATS = (
    *SERVER_FORMATS,
    *("ac3", "aiff", "amr", "asf", "au", "avi", "caf"),
    *("eac3", "flv", "mpeg", "mpegts", "w64", "wv"),
)
"""Formats of files people have on their disks."""

BLOCK = SAMPLE_RATE // 2  # samples a block has at least, the last one excepted
_GUESSED_DURATION = {"mp3", "aac", "amr", "ac3", "eac3", "mpeg", "mpegts"}
"""Formats whose duration FFmpeg may estimate from the bit rate: no witness of truncation."""
_MICROSECONDS = 1_000_000


class Decoder:
    """Decodes one source while it is iterated, as blocks ``[n]`` of mono float32 at 16 kHz.

    Channels are mixed by libswresample (centre, surround and subwoofer weighted as ITU-R BS.775
    says, no overload); the rate is changed by libsoxr. Memory use does not grow with length.
    What is damaged is left out and told afterwards: see :attr:`truncated`.
    """

    def __init__(
        self,
        source: Source,
        *,
        max_seconds: float | None = None,
        formats: Sequence[str] = FORMATS,
        probe_bytes: int | None = None,
    ) -> None:
        """Open ``source``: a path, a whole file's bytes, or a binary stream (read once).

        ``max_seconds`` bounds what is *decoded*, which may be 200 times what was compressed;
        ``probe_bytes`` bounds what FFmpeg reads to find out what it has (by default 5 MB, which
        for uncompressed speech on a pipe means waiting for seconds).
        Raises ``AudioDecodeError`` when there is no audio that can be read.
        """
        self.name = _name(source)
        self.max_seconds = max_seconds
        self.truncated = False  # the source ended early or held pieces that could not be decoded
        self.invalid_samples = 0  # NaN or infinite, given out as 0
        self.samples = 0  # given out so far, at 16 kHz
        self._silent = 0  # of these before the track began
        self._file, self._owned = _opened(source, self.name)
        options = {"format_whitelist": ",".join(formats)}
        if probe_bytes is not None:
            options["probesize"] = str(probe_bytes)
        try:
            with _explained(self.name):
                self._container: InputContainer = av.open(
                    self._file, mode="r", metadata_errors="ignore", container_options=options
                )
            if not self._container.streams.audio:
                raise AudioDecodeError(f"{self.name} has no sound, only: {self._kinds()}")
            self.truncated = _riff_cut_short(self._file)
        except AudioDecodeError:
            self.close()
            raise
        self._stream = self._container.streams.audio[0]

    @property
    def duration(self) -> float | None:
        """Seconds, as the container declares or FFmpeg estimates them; None if unknown."""
        stream = self._stream
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        if self._container.duration is not None:
            return float(self._container.duration) / _MICROSECONDS
        return None

    def __iter__(self) -> Iterator[FloatArray]:
        waiting: list[FloatArray] = []
        count = 0
        for piece in self._pieces():
            waiting.append(piece)
            count += len(piece)
            if count >= BLOCK:
                yield self._given(np.concatenate(waiting))
                waiting, count = [], 0
        if count:
            yield self._given(np.concatenate(waiting))
        if not self.samples:
            raise AudioDecodeError(f"{self.name} holds no sound that can be decoded")
        self.truncated |= self._ended_early()

    def close(self) -> None:
        """Let go of the file. Streams that were passed in stay open."""
        container = getattr(self, "_container", None)
        if container is not None:
            container.close()
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _given(self, block: FloatArray) -> FloatArray:
        self.samples += len(block)
        if self.max_seconds is not None and self.samples > self.max_seconds * SAMPLE_RATE:
            raise AudioDecodeError(
                f"{self.name} is longer than the {self.max_seconds:g} s that are allowed"
            )
        return block

    def _pieces(self) -> Iterator[FloatArray]:
        """The stream at 16 kHz, in the pieces that the codec makes."""
        yield from self._before_it_begins()
        mixer: _Mixer | None = None
        for frame in self._frames():
            if mixer is not None and not mixer.fits(frame):
                yield self._finished(mixer)
                mixer = None
            mixer = mixer or _Mixer(frame, self.name)
            yield mixer.feed(frame)
        if mixer is not None:
            yield self._finished(mixer)

    def _before_it_begins(self) -> Iterator[FloatArray]:
        """Silence up to the track's start: pictures, and captions, count from the container's."""
        container, stream = self._container, self._stream
        if len(container.streams) == 1 or stream.start_time is None or stream.time_base is None:
            return
        seconds = stream.start_time * stream.time_base
        late = round((seconds - Fraction(container.start_time or 0, _MICROSECONDS)) * SAMPLE_RATE)
        whole = (self.duration or 0.0, (container.duration or 0) / _MICROSECONDS)
        if not 0 < late <= max(whole) * SAMPLE_RATE:
            return  # no more than rounding, or a time stamp that cannot be true
        self._silent = late
        for first in range(0, late, SAMPLE_RATE):
            yield np.zeros(min(SAMPLE_RATE, late - first), np.float32)

    def _finished(self, mixer: _Mixer) -> FloatArray:
        tail = mixer.finish()
        self.invalid_samples += mixer.invalid_samples
        return tail

    def _frames(self) -> Iterator[AudioFrame]:
        """What can be decoded; damaged packets are skipped, a damaged container ends it."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except _UNREADABLE:
                self.truncated = True
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except _UNREADABLE:
                self.truncated = True

    def _ended_early(self) -> bool:
        if self._container.format.name in _GUESSED_DURATION or self.duration is None:
            return False
        if self._stream.duration is None and len(self._container.streams) > 1:
            return False  # that of the longest track is known alone
        missing = self.duration - (self.samples - self._silent) / SAMPLE_RATE
        return missing > max(0.25, 0.01 * self.duration)

    def _kinds(self) -> str:
        return ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"


# What FFmpeg and its binding raise on damaged input, found by flipping bits in eight formats.
_UNREADABLE = (av.FFmpegError, OSError, ValueError, IndexError, EOFError, NotImplementedError)


def decode(
    source: Source, *, max_seconds: float | None = None, formats: Sequence[str] = FORMATS
) -> Iterator[FloatArray]:
    """Decode ``source`` as blocks ``[n]`` of mono float32 at 16 kHz, never the whole at once.

    Raises ``AudioDecodeError`` when it cannot be read, or goes on beyond ``max_seconds``.
    """
    with Decoder(source, max_seconds=max_seconds, formats=formats) as decoder:
        yield from decoder


def duration(source: Source) -> float | None:
    """Seconds of audio in ``source`` as its container declares them; None if it does not.

    A stream is read from where it stands and put back there, if it can be.
    Raises ``AudioDecodeError`` when it cannot be read.
    """
    place = _place(source)
    with Decoder(source) as decoder:
        seconds = decoder.duration
    if place is not None and not isinstance(source, str | Path | bytes):
        source.seek(place)
    return seconds


def load_audio(source: Source, *, max_seconds: float | None = None) -> FloatArray:
    """Decode a whole file into mono float32 ``[n]`` at 16 kHz.

    Raises ``AudioDecodeError`` when it cannot be read, or goes on beyond ``max_seconds``.
    """
    return np.concatenate(list(decode(source, max_seconds=max_seconds)))


class _Mixer:
    """Frames of one format to mono, then to 16 kHz."""

    def __init__(self, frame: AudioFrame, name: str) -> None:
        if not LOWEST <= frame.sample_rate <= HIGHEST:
            raise AudioDecodeError(
                f"{name} has {frame.sample_rate} samples a second; "
                f"convert it to a rate of {LOWEST}-{HIGHEST} Hz"
            )
        self._name = name
        self._kind = _kind(frame)
        self._graph = Graph()
        source = self._graph.add_abuffer(
            format=frame.format.name,
            sample_rate=frame.sample_rate,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
        # rematrix_maxval keeps a float mix within the range of its inputs; av.AudioResampler
        # cannot set it and makes equal channels 3 dB louder.
        mix = self._graph.add("aresample", "ochl=mono:osf=flt:rematrix_maxval=1")
        sink = self._graph.add("abuffersink")
        source.link_to(mix)
        mix.link_to(sink)
        with _explained(name):
            self._graph.configure()
        self._resampler = Resampler(frame.sample_rate)

    def fits(self, frame: AudioFrame) -> bool:
        return self._kind == _kind(frame)

    def feed(self, frame: AudioFrame) -> FloatArray:
        frame.pts = None  # gaps in time stamps are no samples
        with _explained(self._name):
            self._graph.push(frame)
            mixed: Any = self._graph.pull()
        return self._resampler.feed(mixed.to_ndarray()[0])

    def finish(self) -> FloatArray:
        return self._resampler.finish()

    @property
    def invalid_samples(self) -> int:
        return self._resampler.invalid_samples


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AudioDecodeError(
            f"{name} is not audio or video that can be read ({reason}); "
            "is it complete, and of a common format such as wav, mp3, flac, ogg, m4a or webm?"
        ) from error


def _opened(source: Source, name: str) -> tuple[BinaryIO, bool]:
    """A binary stream, and whether it is ours to close."""
    if isinstance(source, bytes):
        if not source:
            raise AudioDecodeError(f"{name} is empty: 0 bytes")
        return io.BytesIO(source), True
    if not isinstance(source, str | Path):
        return source, False
    path = Path(source)
    try:
        if path.is_file() and not path.stat().st_size:
            raise AudioDecodeError(f"{name} is empty: 0 bytes")
        return path.open("rb"), True
    except FileNotFoundError:
        raise AudioDecodeError(f"no such file: {name}") from None
    except IsADirectoryError:
        raise AudioDecodeError(f"{name} is a folder; name the files in it") from None
    except OSError as error:
        raise AudioDecodeError(f"{name} cannot be opened: {error.strerror}") from error


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, bytes):
        return "the input"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the input"


def _riff_cut_short(file: BinaryIO) -> bool:
    """Whether a WAV file is shorter than its header says; FFmpeg believes the shorter length."""
    if not file.seekable():
        return False
    place = file.tell()
    file.seek(0)
    header = file.read(8)
    length = file.seek(0, io.SEEK_END)
    file.seek(place)
    declared = int.from_bytes(header[4:], "little")
    return header[:4] == b"RIFF" and length < declared + 8 < 0xFFFF_FFFF  # all ones: not known


def _place(source: Source) -> int | None:
    if isinstance(source, str | Path | bytes) or not source.seekable():
        return None
    return source.tell()
