"""Files, standard input and a microphone as sources of 16 kHz samples."""

import contextlib
import io
import os
import sys
import threading
import types

import numpy as np
import pytest
from audio_files import encoded, frequency, sine

from whisper_service.audio.containers import is_container
from whisper_service.audio.decode import load_audio
from whisper_service.audio.sources import (
    FileSource,
    MicrophoneSource,
    StdinSource,
    paced,
)
from whisper_service.errors import (
    AudioDecodeError,
    InvalidAudioError,
    InvalidOptionError,
    MissingDependencyError,
)
from whisper_service.testing import ManualClock


def heard(source):
    return np.concatenate(list(source))


# files


def test_a_file(tmp_path):
    path = tmp_path / "tone.ogg"
    path.write_bytes(encoded("ogg", "libopus"))
    source = FileSource(path)
    assert source.name == str(path)
    assert source.duration == pytest.approx(2.0, abs=0.1)
    assert np.array_equal(heard(source), load_audio(path))
    assert source.warnings == ()


def test_a_truncated_file_is_heard_and_warned_of(tmp_path):
    path = tmp_path / "cut.wav"
    data = encoded("wav", "pcm_s16le", rate=16_000)
    path.write_bytes(data[: len(data) // 2])
    source = FileSource(path)
    assert len(heard(source)) == pytest.approx(16_000, abs=100)
    assert source.warnings == (f"{path} is damaged or cut short; 1.0 s could be decoded",)


def test_a_missing_file_is_told_before_anything_starts(tmp_path):
    with pytest.raises(AudioDecodeError, match="no such file"):
        FileSource(tmp_path / "nothing.mp3")


# standard input


def test_raw_pcm():
    pcm = (sine(1.0, 8_000) * 32767).astype("<i2").tobytes()
    source = StdinSource(io.BytesIO(pcm), rate=8_000)
    samples = heard(source)
    assert len(samples) == 16_000
    assert frequency(samples) == pytest.approx(440, abs=1)
    assert source.duration is None
    assert source.warnings == ()


def test_raw_pcm_defaults_to_16_khz_s16le_mono():
    pcm = np.array([0, 16384, -32768], "<i2").tobytes()
    for given in ({"rate": 16_000}, {"encoding": "s16le"}, {"channels": 1}):
        assert heard(StdinSource(io.BytesIO(pcm), **given)).tolist() == [0, 0.5, -1]


def test_raw_pcm_with_channels_and_bad_samples():
    pcm = np.array([0.5, 0.0, np.nan, 0.0, 1.0, 1.0], "<f4").tobytes()
    source = StdinSource(io.BytesIO(pcm), encoding="f32le", channels=2)
    assert heard(source).tolist() == [0.25, 0, 1]
    assert source.warnings == (
        "standard input holds 1 samples that are no numbers (NaN, infinite); they were muted",
    )


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
        ("adts", "aac"),
        ("aiff", "pcm_s16be"),
        ("caf", "pcm_s16le"),
        ("au", "pcm_s16be"),
        ("w64", "pcm_s16le"),
    ],
)
def test_containers_are_recognised(container, codec):
    data = encoded(container, codec)
    assert is_container(data[:12])
    samples, expected = heard(StdinSource(io.BytesIO(data))), load_audio(data)
    # The padding at the end of an MP3 is only known to FFmpeg where it can seek.
    assert len(expected) <= len(samples) <= len(expected) + (1200 if container == "mp3" else 0)
    assert np.array_equal(samples[:31_000], expected[:31_000])


def test_a_fragmented_mp4_is_recognised():
    assert is_container(encoded("mp4", "aac")[:12])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * 12,
        b"\xff" * 12,
        b"\xff\xfe\xff\xfe" * 3,
        b"\xff\xfb\xf0\0" * 3,
        b"\xff\xe8\x50\0" * 3,
        b"\x01\x00\x02\x00" * 3,
        b"hello world!",
    ],
)
def test_raw_samples_and_text_are_no_container(head):
    assert not is_container(head)


def test_unknown_and_empty_input_say_what_to_do():
    with pytest.raises(AudioDecodeError, match="for raw samples give --rate and --encoding"):
        heard(StdinSource(io.BytesIO(b"\0" * 32_000)))
    with pytest.raises(AudioDecodeError, match="standard input is empty"):
        heard(StdinSource(io.BytesIO(b"")))
    with pytest.raises(InvalidAudioError, match="standard input is empty"):
        heard(StdinSource(io.BytesIO(b""), rate=16_000))
    with pytest.raises(InvalidOptionError, match="encoding"):
        StdinSource(io.BytesIO(b""), encoding="opus")
    with pytest.raises(InvalidOptionError, match="sample rate"):
        StdinSource(io.BytesIO(b""), rate=100)


def test_a_damaged_container_names_the_source():
    with pytest.raises(AudioDecodeError, match=r"^standard input is not audio or video"):
        heard(StdinSource(io.BytesIO(b"RIFF\0\0\0\0WAVE")))


@pytest.mark.parametrize(("raw", "said"), [(True, 1_600), (False, 72_000)])
def test_samples_come_while_the_pipe_is_still_open(raw, said):
    """Someone speaks into the pipe: what has been said must not wait for what has not."""
    data = encoded("wav", "pcm_s16le", rate=16_000, seconds=3.0)
    data = data[data.index(b"data") + 8 :] if raw else data
    reading, writing = os.pipe()
    source = StdinSource(os.fdopen(reading, "rb"), rate=16_000 if raw else None)
    go_on = threading.Event()

    waited_in_vain = []

    def speak():
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(data[:said])
            waited_in_vain.append(not go_on.wait(5))
            pipe.write(data[said:])

    speaker = threading.Thread(target=speak)
    speaker.start()
    chunks = iter(source)
    first = next(chunks)
    go_on.set()
    assert len(first) + sum(map(len, chunks)) == 48_000
    speaker.join()
    source._stream.close()
    assert waited_in_vain == [False]


# a microphone


class FakePortAudio(types.ModuleType):
    """What MicrophoneSource uses of sounddevice: devices and a stream that plays blocks."""

    class PortAudioError(Exception):
        pass

    def __init__(self, blocks, *, rate=48_000, unplugged=True):
        super().__init__("sounddevice")
        self.blocks, self.unplugged = blocks, unplugged
        self.opened = None
        self.devices = [
            {"index": 0, "name": "Speakers", "max_input_channels": 0, "default_samplerate": rate},
            {
                "index": 1,
                "name": "Built-in Mic",
                "max_input_channels": 2,
                "default_samplerate": rate,
            },
            {"index": 2, "name": "USB Mic", "max_input_channels": 1, "default_samplerate": rate},
        ]

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self.devices
        for info in self.devices[1:]:
            if device in (None, info["index"]) or str(device) in info["name"]:
                return info
        raise ValueError(f"No input device matching {device!r}")

    def InputStream(self, *, callback, **options):  # noqa: N802
        self.opened, self.say = options, lambda b: callback(b[:, None], len(b), None, None)
        fake = self

        class Stream:
            active = True

            def __enter__(self):
                for block in fake.blocks:
                    fake.say(block)
                self.active = not fake.unplugged
                return self

            def __exit__(self, *error):
                pass

        return Stream()


@pytest.fixture
def microphone(monkeypatch):
    monkeypatch.setattr(MicrophoneSource, "PATIENCE", 1e9)

    def build(blocks, device=None, max_pending=10.0, **options):
        fake = FakePortAudio(blocks, **options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return MicrophoneSource(device, max_pending=max_pending), fake

    return build


def blocks_of(samples, size):
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def test_an_unplugged_microphone_ends_after_what_was_heard(microphone):
    source, fake = microphone(blocks_of(sine(1.0, 48_000), 2400))
    chunks = []
    with pytest.raises(InvalidAudioError, match="Built-in Mic stopped delivering; check"):
        chunks.extend(source)
    samples = np.concatenate(chunks)
    assert len(samples) == 16_000
    assert frequency(samples) == pytest.approx(440, abs=1)
    assert fake.opened["samplerate"] == 48_000
    assert fake.opened["device"] == 1
    assert source.warnings == ()


def test_a_closed_microphone_ends_in_order(microphone):
    source, _ = microphone(blocks_of(sine(1.0, 16_000), 800), rate=16_000, unplugged=False)
    heard_so_far = 0
    for chunk in source:
        heard_so_far += len(chunk)
        if heard_so_far >= 4_000:
            source.close()
    assert heard_so_far == 16_000, "what was waiting is still delivered"


def test_a_microphone_that_hangs_counts_as_gone(microphone, monkeypatch):
    monkeypatch.setattr(MicrophoneSource, "PATIENCE", 0.1)
    source, _ = microphone(blocks_of(sine(0.2, 16_000), 800), rate=16_000, unplugged=False)
    with pytest.raises(InvalidAudioError, match="stopped delivering"):
        heard(source)


def test_a_listener_who_is_too_slow_loses_the_newest_blocks_and_is_told(microphone):
    source, _ = microphone(blocks_of(sine(1.0, 48_000), 2400), max_pending=0.5, unplugged=False)
    chunks = iter(source)
    samples = next(chunks)
    source.close()
    samples = np.concatenate([samples, *chunks])
    assert len(samples) == 8_000, "ten blocks of 50 ms"
    assert source.dropped == 8_000
    assert source.warnings == ("0.5 s of Built-in Mic were dropped: this machine is too slow",)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_what_was_lost_is_told_between_what_was_heard_before_and_after_it(microphone, rate):
    block = sine(0.05, rate)
    source, fake = microphone([block] * 15, rate=rate, max_pending=0.5, unplugged=False)
    heard_by_gap = dict.fromkeys((0, 4_000), 0)  # samples heard, by samples lost before them
    for chunk in source:
        if not source._closed:  # nine blocks wait: there is room for one
            fake.say(block)
            fake.say(block)
            source.close()
        heard_by_gap[source.dropped] += len(chunk)
    assert heard_by_gap == {0: 8_000, 4_000: 800}, "ten blocks, five lost, one more"
    assert source.dropped == 4_800, "and one lost after the last"


@pytest.mark.parametrize("device", [2, "2", "USB"])
def test_a_microphone_is_chosen_by_index_or_name(microphone, device):
    source, fake = microphone([], device=device)
    assert source.name == "USB Mic"
    with pytest.raises(InvalidAudioError):
        list(source)
    assert fake.opened["device"] == 2


def test_an_unknown_microphone_lists_those_there_are(microphone):
    with pytest.raises(
        InvalidAudioError, match=r"no microphone Fancy .*1: Built-in Mic, 2: USB Mic"
    ):
        microphone([], device="Fancy")


def test_without_sounddevice_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingDependencyError, match=r"whisper-service\[mic\]"):
        MicrophoneSource()


def test_without_portaudio_the_package_is_named(monkeypatch):
    def refuse(name):
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(InvalidAudioError, match="apt install libportaudio2"):
        MicrophoneSource()


# real time


def test_a_paced_recording_arrives_as_it_would_be_spoken():
    clock = ManualClock()
    recording = [sine(0.25, 16_000), sine(0.3, 16_000)]
    arrivals = [(round(clock(), 6), len(p)) for p in paced(recording, clock, clock.sleep)]
    assert arrivals == [
        (0.1, 1600),
        (0.2, 1600),
        (0.25, 800),
        (0.35, 1600),
        (0.45, 1600),
        (0.55, 1600),
    ]


def test_a_late_listener_gets_what_is_due_at_once():
    clock = ManualClock()
    pieces = paced([sine(1.0, 16_000)], clock, clock.sleep)
    next(pieces)
    clock.advance(0.5)
    times = [round(clock(), 6) for _ in pieces]
    assert times == [0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_a_container_on_a_pipe_is_read_once(tmp_path):
    data = encoded("wav", "pcm_s16le", rate=16_000, seconds=6.0)
    pipe = tmp_path / "talk.wav"
    os.mkfifo(pipe)

    def write():
        with contextlib.suppress(OSError), pipe.open("wb") as file:
            file.write(data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    source = FileSource(pipe)
    assert source.duration is None
    assert sum(map(len, source)) == 6 * 16_000
    writer.join(5)
