"""Make ``tests/data/clips.npz``: short synthetic speech for the engine's tests.

    python scripts/make_test_clips.py

Needs the espeak-ng library; run once. The file holds, per language, the features of the
beginning of a sentence (eight bits a value) and the first part of a word after silence as
16-bit samples.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reference.mel import log_mel, pack
from whisper_service.evaluation.synthesizer import VOICES, synthesize

SENTENCES = {
    "en": (1.0, "The meeting starts at nine tomorrow."),
    "es": (2.5, "El tren a Madrid sale a las ocho y media de la mañana."),
    "fr": (5.02, "Bonjour, je voudrais une table pour deux personnes ce soir, s'il vous plaît."),
    "de": (
        9.0,
        "Morgen wird das Wetter schön, am Nachmittag aber regnet es. "
        "Wir treffen uns um zehn Uhr am Bahnhof und gehen dann ins Museum.",
    ),
    "zh": (3.3, "今天天气很好,我们一起去公园吧。"),
}  # seconds kept of each
WORDS = {"en": "meeting", "es": "mañana", "fr": "voudrais", "de": "Nachmittag", "zh": "公园"}
SILENCE, SPOKEN = 3200, 2400  # samples before the word, and of the word


def main() -> None:
    arrays = {}
    for language, (seconds, sentence) in SENTENCES.items():
        samples = synthesize(sentence, VOICES[language]).samples
        samples = np.pad(samples, (3200, 16_000 * 10))[: round(seconds * 16_000)]
        arrays[f"mel_{language}"] = pack(log_mel(samples.astype(np.float64), 80))
        arrays[f"half_{language}"] = _half_word(WORDS[language], VOICES[language])
    path = Path(__file__).parents[1] / "tests" / "data" / "clips.npz"
    np.savez_compressed(path, **arrays)
    print(path, path.stat().st_size, "bytes")


def _half_word(word: str, voice: str) -> np.ndarray:
    utterance = synthesize(word, voice)
    begin = utterance.words[0].start
    loud = begin + int(np.argmax(np.abs(utterance.samples[begin:]) > 0.02))
    spoken = utterance.samples[loud : loud + SPOKEN]
    return np.rint(np.pad(spoken, (SILENCE, 0)) * 32767).astype(np.int16)


if __name__ == "__main__":
    main()
