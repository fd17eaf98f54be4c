"""Where audio comes from: files, standard input, a microphone.

A source is iterated once for chunks of mono float32 samples at 16 kHz. It has a ``name`` for
messages, a ``duration`` in seconds where that is known, and after iteration ``warnings``: what
the listener should be told about the audio, one line each.
"""

from __future__ import annotations

import importlib
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from whisper_service.audio.containers import MAGIC_BYTES, is_container
from whisper_service.audio.decode import Decoder
from whisper_service.audio.pcm import Encoding, PcmDecoder
from whisper_service.audio.resampler import Resampler
from whisper_service.errors import (
    AudioDecodeError,
    InvalidAudioError,
    InvalidOptionError,
    MissingDependencyError,
)
from whisper_service.types import SAMPLE_RATE, FloatArray

READ = 65_536  # bytes asked for at once; a pipe gives what it has
PROBE = 16_384  # bytes of a WAV stream to look at first (its demuxer still waits for 64 KiB, 2 s)


class Source(Protocol):
    """What the command line reads from."""

    @property
    def name(self) -> str: ...

    @property
    def duration(self) -> float | None:
        """Seconds, or None if that is not known beforehand."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing that was wrong with the audio, known after iteration."""

    def __iter__(self) -> Iterator[FloatArray]: ...


class FileSource:
    """An audio or video file."""

    def __init__(self, path: str | Path) -> None:
        """Open the file; raises ``AudioDecodeError`` when nothing in it can be heard."""
        self.name = str(path)
        self.warnings: tuple[str, ...] = ()
        self.duration: float | None = None
        if Path(path).is_fifo():
            return  # it can be opened only once
        with Decoder(path) as decoder:
            self.duration = decoder.duration

    def __iter__(self) -> Iterator[FloatArray]:
        with Decoder(self.name) as decoder:
            yield from decoder
        self.warnings = _decoder_warnings(decoder)


class RawFileSource:
    """A file of raw PCM: samples and nothing that describes them."""

    def __init__(
        self,
        path: str | Path,
        *,
        rate: int | None = None,
        encoding: Encoding | None = None,
        channels: int | None = None,
    ) -> None:
        """Take what is not given as 16 kHz, s16le, mono.

        Raises ``InvalidOptionError`` for a rate, encoding or channel count that cannot be and for
        a file that says itself what is in it, and ``AudioDecodeError`` for one that cannot be read.
        """
        self.name = str(path)
        self.warnings: tuple[str, ...] = ()
        self.duration: float | None = None
        self._path = Path(path)
        self._open_pcm = partial(_Pcm, rate=rate, encoding=encoding, channels=channels)
        pcm = self._open_pcm()
        if self._path.is_fifo():
            return  # it can be opened only once
        with self._opened() as file:
            if self._path.is_file():  # no device
                self._require_raw(file.read(MAGIC_BYTES))
                self.duration = self._path.stat().st_size / pcm.bytes_per_second

    def __iter__(self) -> Iterator[FloatArray]:
        pcm = self._open_pcm()
        with self._opened() as file:
            yield from pcm.decode(_Reader(file, self.name))
        self.warnings = pcm.warnings(self.name)

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            raise AudioDecodeError(f"no such file: {self.name}") from None
        except IsADirectoryError:
            raise AudioDecodeError(f"{self.name} is a folder; name the files in it") from None
        except OSError as error:
            raise AudioDecodeError(f"{self.name} cannot be opened: {error.strerror}") from error

    def _require_raw(self, head: bytes) -> None:
        if not head:
            raise AudioDecodeError(f"{self.name} is empty: 0 bytes")
        if is_container(head, name=self.name):
            raise InvalidOptionError(
                f"{self.name} is no raw PCM, it says itself what is in it: "
                "leave out --rate, --encoding and --channels"
            )


class StdinSource:
    """Raw PCM, or a container recognised by its first bytes, from a pipe."""

    duration: float | None = None

    def __init__(
        self,
        stream: BinaryIO,
        *,
        rate: int | None = None,
        encoding: Encoding | None = None,
        channels: int | None = None,
    ) -> None:
        """Read ``stream`` as raw PCM if anything about it is given, else as a container.

        What is not given of raw PCM is 16 kHz, s16le, mono. Raises ``InvalidOptionError`` for a
        rate, encoding or channel count that cannot be.
        """
        self.name = "standard input"
        self.warnings: tuple[str, ...] = ()
        self._stream = stream
        self._raw = (rate, encoding, channels) != (None, None, None)
        self._pcm = _Pcm(rate=rate, encoding=encoding, channels=channels)

    def __iter__(self) -> Iterator[FloatArray]:
        reader = _Reader(self._stream, self.name)
        return self._samples(reader) if self._raw else self._decoded(reader)

    def _samples(self, reader: _Reader) -> Iterator[FloatArray]:
        yield from self._pcm.decode(reader)
        self.warnings = self._pcm.warnings(self.name)

    def _decoded(self, reader: _Reader) -> Iterator[FloatArray]:
        head = reader.peek(MAGIC_BYTES)
        if not head:
            raise AudioDecodeError(f"{self.name} is empty: no audio came")
        if not is_container(head):
            raise AudioDecodeError(
                f"{self.name} is no known container (wav, mp3, flac, ogg, webm, mp4, …); "
                "for raw samples give --rate and --encoding"
            )
        probe = PROBE if head.startswith(b"RIFF") else None
        # PyAV needs no more of a stream than read().
        with Decoder(reader, probe_bytes=probe) as decoder:  # type: ignore[arg-type]
            yield from decoder
        self.warnings = _decoder_warnings(decoder)


class MicrophoneSource:
    """A microphone, until :meth:`close` (or the cable is pulled).

    Blocks wait in a bounded queue while the listener is busy; at ``max_pending`` seconds new
    ones are dropped. :attr:`dropped` counts what was lost before the piece given out last, so
    that whoever compares it before taking in a piece knows where the gap lies.
    """

    duration: float | None = None
    BLOCK_SECONDS = 0.05
    PATIENCE = 2.0  # s without a block after which a device counts as gone

    def __init__(self, device: str | int | None = None, *, max_pending: float = 10.0) -> None:
        """Find a device by index, by a part of its name, or take the default one.

        Raises ``MissingDependencyError`` without the sounddevice package, and
        ``InvalidAudioError`` without PortAudio or when there is no such device.
        """
        self._sounddevice = _sounddevice()
        wanted = int(device) if isinstance(device, str) and device.isdecimal() else device
        try:
            info = self._sounddevice.query_devices(wanted, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise InvalidAudioError(
                f"no microphone {device if device is not None else 'was found'} ({_line(error)}); "
                f"devices with an input: {', '.join(self._inputs()) or 'none'}"
            ) from error
        self.name = str(info["name"])
        self.warnings: tuple[str, ...] = ()
        self._device = int(info["index"])
        self._rate = int(info["default_samplerate"])
        self._blocks: queue.Queue[tuple[int, FloatArray]] = queue.Queue(
            max(1, round(max_pending / self.BLOCK_SECONDS))
        )  # with the device's frames lost before each
        self._losing = 0  # frames lost since the newest block in the queue; PortAudio's thread's
        self._lost = 0  # frames lost before what has been given out
        self._closed = False

    @property
    def dropped(self) -> int:
        """Samples at 16 kHz, to the nearest, lost before what has been given out."""
        return round(self._lost * SAMPLE_RATE / self._rate)

    def __iter__(self) -> Iterator[FloatArray]:
        resampler = Resampler(self._rate)
        try:
            with self._sounddevice.InputStream(
                device=self._device,
                channels=1,
                dtype="float32",
                samplerate=self._rate,
                blocksize=round(self._rate * self.BLOCK_SECONDS),
                callback=self._hear,
            ) as stream:
                while (heard := self._next(stream)) is not None:
                    lost, block = heard
                    if lost:
                        yield resampler.finish()
                        resampler = Resampler(self._rate)
                        self._lost += lost
                    yield resampler.feed(block)
        except self._sounddevice.PortAudioError as error:
            raise InvalidAudioError(f"microphone {self.name} failed: {_line(error)}") from error
        yield resampler.finish()
        self._lost += self._losing
        if self.dropped:
            seconds = self.dropped / SAMPLE_RATE
            self.warnings = (
                f"{seconds:.1f} s of {self.name} were dropped: this machine is too slow",
            )
        if not self._closed:
            raise InvalidAudioError(
                f"microphone {self.name} stopped delivering; check that it is plugged in"
            )

    def close(self) -> None:
        """End the iteration after what has been heard so far. May be called from any thread."""
        self._closed = True

    def _hear(self, block: FloatArray, frames: int, when: Any, status: Any) -> None:  # noqa: ARG002
        """Take a block on PortAudio's own thread; it must not wait."""
        if self._closed:
            return
        try:
            self._blocks.put_nowait((self._losing, block[:, 0].copy()))
            self._losing = 0
        except queue.Full:
            self._losing += frames

    def _next(self, stream: Any) -> tuple[int, FloatArray] | None:
        """The next block and the frames lost before it; None when there will be none."""
        silent_since = time.monotonic()
        while True:
            try:
                return self._blocks.get(timeout=self.BLOCK_SECONDS)
            except queue.Empty:
                if self._closed or not stream.active:
                    return None
                if time.monotonic() - silent_since > self.PATIENCE:
                    return None

    def _inputs(self) -> list[str]:
        devices = self._sounddevice.query_devices()
        return [f"{d['index']}: {d['name']}" for d in devices if d["max_input_channels"] > 0]


def paced(
    source: Iterable[FloatArray],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[FloatArray]:
    """Deliver a recording as if it were spoken now: 0.1 s pieces, each when its end has come.

    The schedule is fixed when the first piece is asked for: a listener who is late gets the
    pieces that are due at once, so that being late shows.
    """
    piece = SAMPLE_RATE // 10
    begin = clock()
    delivered = 0
    for chunk in source:
        for first in range(0, len(chunk), piece):
            part = chunk[first : first + piece]
            delivered += len(part)
            wait = begin + delivered / SAMPLE_RATE - clock()
            if wait > 0:
                sleep(wait)
            yield part


class _Pcm:
    """Raw PCM to samples; what is not given is 16 kHz, s16le, mono."""

    def __init__(
        self, *, rate: int | None, encoding: Encoding | None, channels: int | None
    ) -> None:
        rate, encoding, channels = rate or SAMPLE_RATE, encoding or "s16le", channels or 1
        self._decoder = PcmDecoder(encoding, channels)
        self._resampler = Resampler(rate)
        some = bytes(24 * channels)  # whole frames, whether a sample has 1, 2, 3 or 4 bytes
        self.bytes_per_second = rate * len(some) // len(PcmDecoder(encoding, channels).feed(some))

    def decode(self, reader: _Reader) -> Iterator[FloatArray]:
        received = 0
        while data := reader.read(READ):
            received += len(data)
            yield self._resampler.feed(self._decoder.feed(data))
        yield self._resampler.finish()
        if not received:
            raise InvalidAudioError(f"{reader.name} is empty: no audio came")

    def warnings(self, name: str) -> tuple[str, ...]:
        invalid = self._resampler.invalid_samples
        return (_invalid(name, invalid),) if invalid else ()


class _Reader:
    """A binary stream that can be peeked at and gives what it has instead of waiting for more."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._head = b""
        self._read = getattr(stream, "read1", stream.read)

    def peek(self, size: int) -> bytes:
        while len(self._head) < size and (data := self._read(size - len(self._head))):
            self._head += data
        return self._head[:size]

    def read(self, size: int = READ) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        data = self._read(size)
        return bytes(data) if data else b""

    def seekable(self) -> bool:
        return False


def _sounddevice() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise MissingDependencyError("sounddevice", "mic") from error
    except OSError as error:  # the package is there, the library it wraps is not
        raise InvalidAudioError(
            "a microphone needs the PortAudio library; install it with: apt install libportaudio2"
        ) from error


def _decoder_warnings(decoder: Decoder) -> tuple[str, ...]:
    warnings = []
    if decoder.truncated:
        seconds = decoder.samples / SAMPLE_RATE
        warnings.append(f"{decoder.name} is damaged or cut short; {seconds:.1f} s could be decoded")
    if decoder.invalid_samples:
        warnings.append(_invalid(decoder.name, decoder.invalid_samples))
    return tuple(warnings)


def _invalid(name: str, count: int) -> str:
    return f"{name} holds {count} samples that are no numbers (NaN, infinite); they were muted"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
