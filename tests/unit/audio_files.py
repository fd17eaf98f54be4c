"""Small encoded files, made when a test asks for them."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np


def sine(seconds: float, rate: int, frequency: float = 440.0) -> np.ndarray:
    """A tone at 0.3 of full scale, float32."""
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(
        "f4"
    )


def encoded(
    container: str,
    codec: str,
    *,
    rate: int = 48_000,
    layout: str = "mono",
    channels=None,
    seconds=2.0,
) -> bytes:
    """A file of one audio stream; ``channels`` ``[c, n]`` float32, or the same tone in each."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        if channels is None:
            channels = np.tile(sine(seconds, rate), (len(av.AudioLayout(layout).channels), 1))
        frame = av.AudioFrame.from_ndarray(np.asarray(channels, "f4"), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        size = stream.codec_context.frame_size or 0
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(part))
    return file.getvalue()


def silent_video() -> bytes:
    """A film without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        image = np.zeros((32, 32, 3), np.uint8)
        for part in [*[av.VideoFrame.from_ndarray(image, format="rgb24") for _ in range(5)], None]:
            output.mux(stream.encode(part))
    return file.getvalue()


def frequency(samples: np.ndarray) -> float:
    """The loudest frequency of 16 kHz samples, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * 16_000 / len(samples))


def late_sound(container: str, codec: str, *, after: float, seconds: float) -> bytes:
    """Five seconds of pictures, a tone of ``seconds`` from second ``after`` on."""
    file, rate = io.BytesIO(), 48_000
    with av.open(file, "w", format=container) as output:
        pictures = output.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = output.add_stream(codec, rate=rate, layout="mono")
        image = np.zeros((32, 32, 3), np.uint8)
        for part in [*[av.VideoFrame.from_ndarray(image, format="rgb24") for _ in range(50)], None]:
            output.mux(pictures.encode(part))
        form = sound.codec_context.format
        size = sound.codec_context.frame_size or 1024
        resampler = av.AudioResampler(form, "mono", rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(sine(seconds, rate)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(after * rate)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(sound.encode(part))
    return file.getvalue()
