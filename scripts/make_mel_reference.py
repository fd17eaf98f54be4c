"""Write tests/data/mel_reference.npz: mel filters and features as transformers computes them.

Needs transformers (4.57 was used): ``pip install transformers``; run once.
"""

from pathlib import Path

import numpy as np
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

OUT = Path(__file__).parent.parent / "tests" / "data" / "mel_reference.npz"


def signal() -> np.ndarray:
    """0.3 s: a rising tone that fades out, with noise; repeatable on any machine."""
    t = np.arange(4_850) / 16_000
    tone = np.sin(2 * np.pi * (200 * t + 2500 * t**2)) * np.exp(-4 * t)
    return (0.5 * tone + 0.001 * np.random.RandomState(0).randn(t.size)).astype(np.float32)


def main() -> None:
    samples = signal()
    arrays = {"samples": samples}
    for n in (80, 128):
        extractor = WhisperFeatureExtractor(feature_size=n)
        features = extractor(
            samples, sampling_rate=16_000, padding="do_not_pad", return_tensors="np"
        )
        arrays[f"log_mel_{n}"] = features.input_features[0].astype(np.float32)
        filters = mel_filter_bank(201, n, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
        arrays[f"filters_{n}"] = filters.T.astype(np.float32)
    np.savez_compressed(OUT, **arrays)
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
