"""Files of any common format, and files that are none."""

import contextlib
import io
import os
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audio_files import encoded, frequency, late_sound, silent_video, sine

from whisper_service.audio.decode import SERVER_FORMATS, Decoder, decode, duration, load_audio
from whisper_service.errors import AudioDecodeError, InvalidAudioError

KINDS = {
    "wav": ("wav", "pcm_s16le"),
    "float wav": ("wav", "pcm_f32le"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "webm": ("webm", "libopus"),
    "m4a": ("mp4", "aac"),
    "adts": ("adts", "aac"),
    "mpegts": ("mpegts", "aac"),
    "aiff": ("aiff", "pcm_s16be"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_formats(kind):
    samples = load_audio(encoded(*KINDS[kind], layout="stereo"))
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(32_000, abs=1600)
    assert frequency(samples) == pytest.approx(440, abs=1)
    assert np.abs(samples[3200:-3200]).max() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_rates_and_channels(rate, layout):
    samples = load_audio(encoded("wav", "pcm_s16le", rate=rate, layout=layout, seconds=1.0))
    assert abs(len(samples) - 16_000) <= 1
    np.testing.assert_allclose(samples[200:15_800], sine(1.0, 16_000)[200:15_800], atol=2e-3)


def test_5_1_is_mixed_by_the_meaning_of_its_channels():
    def level(channel, codec):
        channels = np.zeros((6, 16_000), np.float32)
        channels[channel] = sine(1.0, 16_000)
        data = encoded("wav", codec, rate=16_000, layout="5.1", channels=channels)
        return np.abs(load_audio(data)).max() / 0.3

    for codec in ("pcm_s16le", "pcm_f32le"):
        left, right, centre, subwoofer, *surround = (level(c, codec) for c in range(6))
        assert left == pytest.approx(right, abs=1e-3)
        assert centre == pytest.approx(left * np.sqrt(2), abs=1e-3)
        assert surround == pytest.approx([left / np.sqrt(2)] * 2, abs=1e-3)
        assert subwoofer == 0
        assert left + right + centre + sum(surround) == pytest.approx(1, abs=1e-3), "no overload"


def test_every_kind_of_source_gives_the_same(tmp_path):
    data = encoded("flac", "flac")
    path = tmp_path / "tone with spaces é.flac"
    path.write_bytes(data)
    expected = load_audio(data)
    with path.open("rb") as file:
        for source in (path, str(path), io.BytesIO(data), file):
            assert np.array_equal(load_audio(source), expected)


def test_a_pipe_can_be_decoded():
    data = encoded("ogg", "libopus")
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as file:
        samples = load_audio(file)
    writer.join()
    assert np.array_equal(samples, load_audio(data))


def test_blocks_are_half_a_second_and_make_up_the_whole():
    data = encoded("mp3", "libmp3lame", seconds=3.3)
    blocks = list(decode(data))
    assert all(8_000 <= len(block) < 10_000 for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks), load_audio(data))


def test_memory_does_not_grow_with_length():
    data = encoded("flac", "flac", rate=16_000, channels=np.zeros((1, 16_000 * 120), np.float32))
    tracemalloc.start()
    try:
        count = sum(len(block) for block in decode(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 16_000 * 120
    assert peak < 1_000_000, "the whole would be 7.7 MB"


def test_duration(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(encoded("wav", "pcm_s16le", seconds=2.5))
    assert duration(path) == pytest.approx(2.5)
    assert duration(encoded("mp4", "aac")) == pytest.approx(2.0, abs=0.1)
    file = io.BytesIO(encoded("flac", "flac"))
    assert duration(file) == pytest.approx(2.0)
    assert file.tell() == 0, "it can be decoded now"


def test_more_than_max_seconds_is_an_error_before_it_is_decoded():
    data = encoded("flac", "flac", rate=16_000, channels=np.zeros((1, 16_000 * 60), np.float32))
    assert len(load_audio(data, max_seconds=60)) == 960_000
    decoder = Decoder(data, max_seconds=5.5)
    with pytest.raises(AudioDecodeError, match=r"longer than the 5\.5 s that are allowed"):
        list(decoder)
    assert decoder.samples <= 6 * 16_000, "one block too many at most"


@pytest.mark.parametrize("kind", ["wav", "flac", "webm", "aiff"])
def test_a_truncated_file_is_decoded_as_far_as_it_goes_and_said_to_be(kind):
    data = encoded(*KINDS[kind], seconds=3.0)
    whole, cut = Decoder(data), Decoder(data[: len(data) // 2])
    assert sum(map(len, whole)) / 16_000 == pytest.approx(3.0, abs=0.05)
    assert not whole.truncated
    assert 0.8 < sum(map(len, cut)) / 16_000 < 1.6
    assert cut.truncated
    whole.close()
    cut.close()


@pytest.mark.parametrize("kind", ["mp3", "opus", "adts", "mpegts"])
def test_truncated_streams_without_a_declared_length_just_work(kind):
    data = encoded(*KINDS[kind], seconds=3.0)
    assert 12_000 < len(load_audio(data[: len(data) // 2])) < 36_000


def test_damage_inside_is_skipped_and_said():
    data = bytearray(encoded("adts", "aac", seconds=3.0))
    for place in range(len(data) // 2, len(data) // 2 + 200):
        data[place] ^= 0x5A
    with Decoder(bytes(data)) as decoder:
        samples = np.concatenate(list(decoder))
    assert decoder.truncated
    assert len(samples) > 40_000
    assert frequency(samples[:16_000]) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("kind", ["wav", "flac", "webm"])
def test_a_stream_that_breaks_is_decoded_as_far_as_it_came(kind):
    class Breaking(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > len(self.getbuffer()) // 2:
                raise OSError(5, "the disk is broken")
            return super().read(min(size, 4096))

        def seekable(self):
            return False

        seek = None  # PyAV asks for the method

    with Decoder(Breaking(encoded(*KINDS[kind], seconds=20.0)), probe_bytes=4096) as decoder:
        samples = np.concatenate(list(decoder))
    assert 16_000 * 5 < len(samples) < 16_000 * 13
    assert decoder.truncated


def test_bad_samples_are_muted_and_counted():
    channels = sine(1.0, 16_000)[None].copy()
    channels[0, 100:103] = np.nan
    with Decoder(encoded("wav", "pcm_f32le", rate=16_000, channels=channels)) as decoder:
        samples = np.concatenate(list(decoder))
    assert decoder.invalid_samples == 3
    assert np.isfinite(samples).all()


def test_silence_is_audio():
    assert not load_audio(encoded("wav", "pcm_s16le", channels=np.zeros((1, 48_000), "f4"))).any()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"hello, this is a letter\n" * 500,
        np.random.default_rng(0).bytes(50_000),
        b"RIFF\0\0\0\0WAVE",
        PLAYLIST,
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        encoded("mp4", "aac")[:-3_000],
    ],
    ids=["byte", "text", "noise", "header only", "playlist", "concat", "cut mp4"],
)
def test_what_is_no_audio_is_one_line(data):
    with pytest.raises(AudioDecodeError, match="the input is not audio or video") as caught:
        load_audio(data)
    assert "\n" not in str(caught.value)


def test_missing_empty_folder_and_unreadable(tmp_path):
    with pytest.raises(AudioDecodeError, match=r"^no such file: .*nowhere\.wav$"):
        load_audio(tmp_path / "nowhere.wav")
    with pytest.raises(AudioDecodeError, match="is a folder"):
        load_audio(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioDecodeError, match=r"empty\.wav is empty: 0 bytes"):
        load_audio(tmp_path / "empty.wav")
    with pytest.raises(AudioDecodeError, match="empty"):
        load_audio(b"")
    with pytest.raises(AudioDecodeError, match="cannot be opened"):
        load_audio("a" * 5000)
    with pytest.raises(AudioDecodeError, match="no such file"):
        load_audio("http://127.0.0.1/tone.wav")


def test_a_film_without_sound():
    with pytest.raises(AudioDecodeError, match="has no sound, only: video"):
        load_audio(silent_video())


def test_a_file_without_a_single_sample():
    data = encoded("wav", "pcm_s16le")
    header = data[: data.index(b"data") + 4] + bytes(4)
    with pytest.raises(AudioDecodeError, match=r"holds no sound|is not audio"):
        load_audio(header)


def test_a_rate_that_cannot_be_used():
    with pytest.raises(AudioDecodeError, match="4000 samples a second"):
        load_audio(encoded("wav", "pcm_s16le", rate=4_000))


def test_integers_as_floats_are_told():
    channels = sine(1.0, 16_000)[None] * 32768
    with pytest.raises(InvalidAudioError, match="divide by 32768"):
        load_audio(encoded("wav", "pcm_f32le", rate=16_000, channels=channels))


def test_the_list_of_formats_is_kept():
    data = encoded("aiff", "pcm_s16be")
    assert len(load_audio(data)) == 32_000
    with pytest.raises(AudioDecodeError):
        Decoder(data, formats=SERVER_FORMATS)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus", "webm", "m4a", "adts"])
def test_flipped_bits_never_raise_anything_else(kind):
    data = encoded(*KINDS[kind], seconds=0.5)
    random = np.random.default_rng(1)
    for _ in range(25):
        damaged = np.frombuffer(data, np.uint8).copy()
        places = random.integers(0, random.choice([100, len(data)]), random.choice([1, 5, 40]))
        damaged[places] ^= (1 << random.integers(0, 8, len(places))).astype(np.uint8)
        with contextlib.suppress(InvalidAudioError):
            assert np.isfinite(load_audio(damaged.tobytes(), max_seconds=30)).all()


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_files_are_closed(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(encoded("wav", "pcm_s16le"))
    before = open_files()
    for _ in range(3):
        load_audio(path)
        duration(path)
        blocks = decode(path)
        next(blocks)
        blocks.close()
    assert open_files() == before
    own = io.BytesIO(encoded("wav", "pcm_s16le"))
    load_audio(own)
    assert not own.closed, "a caller's stream stays open"


@pytest.mark.parametrize(("container", "codec"), [("matroska", "pcm_s16le"), ("mp4", "aac")])
def test_a_track_that_begins_late_keeps_its_times(container, codec):
    film = late_sound(container, codec, after=2.0, seconds=1.0)
    with Decoder(film) as decoder:
        samples = np.concatenate(list(decoder))
    assert np.argmax(np.abs(samples) > 0.1) / 16_000 == pytest.approx(2.0, abs=0.1)
    assert len(samples) / 16_000 == pytest.approx(3.0, abs=0.1)
    assert not decoder.truncated


def test_pictures_that_outlast_the_sound_are_no_damage():
    with Decoder(late_sound("matroska", "pcm_s16le", after=0.0, seconds=1.0)) as decoder:
        assert sum(map(len, decoder)) == pytest.approx(16_000, abs=800)
    assert not decoder.truncated


def test_a_start_that_cannot_be_true_adds_no_silence():
    """A damaged time stamp of a year must not become a year of silence."""
    with Decoder(late_sound("matroska", "pcm_s16le", after=0.0, seconds=1.0)) as decoder:
        stream = decoder._stream
        year = SimpleNamespace(
            start_time=365 * 86_400_000, time_base=Fraction(1, 1000), duration=None
        )
        decoder._stream = year
        assert next(decoder._before_it_begins(), None) is None
        decoder._stream = stream
        assert sum(map(len, decoder)) == pytest.approx(16_000, abs=800)
