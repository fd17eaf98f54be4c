"""Write tests/data/speech.flac: one short synthetic sentence between two stretches of near silence.

Needs the espeak-ng library; run once: ``python scripts/make_speech_clip.py``
"""

from pathlib import Path

import av
import numpy as np

from whisper_service.evaluation.synthesizer import VOICES, synthesize

OUT = Path(__file__).parent.parent / "tests" / "data" / "speech.flac"


def main() -> None:
    speech = synthesize("See you at nine.", VOICES["en"]).samples
    samples = np.concatenate((np.zeros(8_000), speech, np.zeros(14_000)))
    samples += 5e-5 * np.random.RandomState(0).randn(samples.size)
    pcm = (np.clip(samples, -1, 1) * 32767).round().astype(np.int16)
    with av.open(OUT, "w") as file:
        stream = file.add_stream("flac", rate=16_000, layout="mono")
        stream.options = {"compression_level": "12"}
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.rate = 16_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    print(OUT, OUT.stat().st_size, "bytes,", pcm.size / 16_000, "s")


if __name__ == "__main__":
    main()
