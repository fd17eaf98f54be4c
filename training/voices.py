"""Voices to train on, and clips of clean speech with exact times.

Three synthesizers: espeak-ng through its library (word and phoneme times), and the
commands ``flite`` and festival's ``text2wave`` for a few English clips (whole-sentence
times only).
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.io import wavfile

from training.variants import RandomVariants
from whisper_service.evaluation.corpus import HELD_OUT_RATES, HELD_OUT_VARIANTS
from whisper_service.evaluation.synthesizer import (
    SAMPLE_RATE,
    VOICES,
    Utterance,
    synthesize,
)

ACCENTS = {
    "en": ("en-us", "en-us", "en", "en-gb-x-rp"),
    "es": ("es", "es-419"),
    "fr": ("fr", "fr", "fr-be", "fr-ch"),
    "de": ("de",),
    "zh": (VOICES["zh"],),
}
_NAMES = """
    m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Jacky
    Lee Marco Mario Michael Mike adam anika antonio aunty belinda benjamin boris caleb david ed
    edward grandma grandpa gustave iven3 john klatt2 klatt4 linda marcelo max michel miguel norbert
    pablo paul pedro quincy rob robert sandro shelby steph travis victor zac
"""
VARIANTS = tuple(_NAMES.split())
FLITE_VOICES = ("kal16", "awb", "rms", "slt")

assert not set(VARIANTS) & set(HELD_OUT_VARIANTS), "a held-out voice is among the training voices"


INVENTED = 0.75  # share of clips whose voice is a random variant


@cache
def _variants() -> RandomVariants:
    return RandomVariants(VARIANTS)


def speak(text: str, language: str, rng: random.Random) -> Utterance:
    """Speak a sentence with a random training voice, rate and pitch of espeak-ng."""
    made = _variants()  # before the library is loaded
    variant = made.draw(rng) if rng.random() < INVENTED else rng.choice(VARIANTS)
    voice = f"{rng.choice(ACCENTS[language])}+{variant}"
    rate = rng.randint(120, 195)
    while rate in HELD_OUT_RATES:
        rate = rng.randint(120, 195)
    return synthesize(text, voice, rate, rng.randint(25, 75), rng.randint(25, 75))


def speak_flite(text: str, voice: str) -> NDArray[np.float32]:
    """Speak English with the ``flite`` command; mono float32 samples at 16 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        subprocess.run(
            ["flite", "-voice", voice, "-t", text, "-o", out.name], check=True, capture_output=True
        )
        return _read(Path(out.name))


def speak_festival(text: str) -> NDArray[np.float32]:
    """Speak English with festival's default voice; mono float32 samples at 16 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        subprocess.run(
            ["text2wave", "-o", out.name], input=text.encode(), check=True, capture_output=True
        )
        return _read(Path(out.name))


def _read(path: Path) -> NDArray[np.float32]:
    rate, raw = wavfile.read(path)
    samples = raw.astype(np.float32) / 32768.0
    return soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)
