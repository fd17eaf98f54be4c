"""Files of raw PCM, which say nothing about what is in them."""

import os
import threading
from typing import get_args

import numpy as np
import pytest
from audio_files import encoded, frequency, sine

from whisper_service.audio.pcm import Encoding, PcmDecoder
from whisper_service.audio.sources import RawFileSource
from whisper_service.errors import AudioDecodeError, InvalidAudioError, InvalidOptionError

MPEG_LIKE = b"\xff\xff\x10\x00" * 3  # s16le -1 and 16, or the header of an MPEG frame


def heard(source):
    return np.concatenate(list(source))


def test_a_file_is_read_as_described(tmp_path):
    path = tmp_path / "talk.pcm"
    path.write_bytes((sine(1.5, 8_000) * 32767).astype("<i2").tobytes())
    source = RawFileSource(path, rate=8_000)
    assert (source.name, source.duration) == (str(path), 1.5)
    samples = heard(source)
    assert len(samples) == 24_000
    assert frequency(samples) == pytest.approx(440, abs=1)
    assert np.array_equal(heard(source), samples), "a file can be heard again"


def test_what_is_not_described_is_16_khz_s16le_mono(tmp_path):
    path = tmp_path / "talk.pcm"
    path.write_bytes(np.array([0, 16384, -32768], "<i2").tobytes())
    assert heard(RawFileSource(path, channels=1)).tolist() == [0, 0.5, -1]


@pytest.mark.parametrize("encoding", get_args(Encoding))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_duration_is_what_is_heard(tmp_path, encoding, channels):
    path = tmp_path / "talk.pcm"
    path.write_bytes(bytes(36_000))
    source = RawFileSource(path, encoding=encoding, channels=channels)
    assert source.duration == pytest.approx(len(heard(source)) / 16_000)
    assert len(heard(source)) == len(PcmDecoder(encoding, channels).feed(bytes(36_000)))


def test_samples_that_are_no_numbers_are_told(tmp_path):
    path = tmp_path / "talk.pcm"
    path.write_bytes(np.array([0.5, np.nan], "<f4").tobytes())
    source = RawFileSource(path, encoding="f32le")
    assert heard(source).tolist() == [0.5, 0]
    (warning,) = source.warnings
    assert warning.startswith(f"{path} holds 1 samples that are no numbers")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("talk.wav", encoded("wav", "pcm_s16le")),
        ("talk.pcm", encoded("flac", "flac")),
        ("talk.MP3", MPEG_LIKE),
    ],
)
def test_what_says_itself_what_is_in_it_is_not_read_as_noise(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidOptionError, match=r"is no raw PCM.*leave out --rate, --encoding"):
        RawFileSource(tmp_path / name, rate=16_000)


def test_samples_that_look_like_an_mpeg_frame_are_samples(tmp_path):
    path = tmp_path / "talk.pcm"
    path.write_bytes(MPEG_LIKE)
    assert len(heard(RawFileSource(path, rate=16_000))) == 6


def test_what_cannot_be_read_is_told_before_anything_starts(tmp_path):
    (tmp_path / "empty.pcm").touch()
    for name, message in [
        ("nothing.pcm", "no such file: .*nothing"),
        ("", "is a folder; name the files in it"),
        ("empty.pcm", "is empty: 0 bytes"),
    ]:
        with pytest.raises(AudioDecodeError, match=message):
            RawFileSource(tmp_path / name, rate=16_000)
    with pytest.raises(InvalidOptionError, match="sample rate"):
        RawFileSource(tmp_path / "empty.pcm", rate=100)


def test_a_named_pipe_keeps_its_first_samples(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def speak():
        path.write_bytes(np.arange(100, dtype="<i2").tobytes())

    opened = threading.Thread(target=speak)
    source = RawFileSource(path, rate=16_000)
    opened.start()
    samples = heard(source)
    opened.join()
    assert source.duration is None
    assert (samples * 32768).tolist() == list(range(100))


def test_less_than_one_sample_is_no_sample(tmp_path):
    path = tmp_path / "talk.pcm"
    path.write_bytes(b"\x01")
    assert len(heard(RawFileSource(path, rate=16_000))) == 0


def test_a_pipe_that_brings_nothing_is_an_error(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    source = RawFileSource(path, rate=16_000)
    speaker = threading.Thread(target=lambda: path.write_bytes(b""))
    speaker.start()
    with pytest.raises(InvalidAudioError, match="is empty"):
        list(source)
    speaker.join()
