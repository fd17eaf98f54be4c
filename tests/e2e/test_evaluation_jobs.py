"""``evaluate --jobs``: processes hear what one process hears."""

import json
import wave

import numpy as np
import pytest

from whisper_service.evaluation import baselines
from whisper_service.evaluation.harness import run_system
from whisper_service.evaluation.jobs import Corpus, workers

TIMED = {"computed", "lags", "latencies", "finals", "laals"}  # of the clock, not of what is heard


def write_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def corpus(recording, truth, tmp_path_factory):
    """The bundled recording, and its first two sentences alone."""
    folder = tmp_path_factory.mktemp("manifest")
    entries = []
    for name, parts in (("whole.wav", truth), ("short.wav", truth[:2])):
        end = parts[-1]["end"] + 0.8
        write_wav(folder / name, recording[: round(end * 16000)])
        segments = [
            {"start": p["start"], "end": p["end"], "lang": p["language"], "text": p["text"]}
            for p in parts
        ]
        langs = sorted({p["language"] for p in parts})
        entries.append({"file": name, "langs": langs, "segments": segments})
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Corpus(manifest=folder)


def test_two_processes_hear_what_one_does(demo, corpus):
    told = []
    with workers(2, name="demo", compute_type="float32", threads=1) as processes:
        recordings = corpus.recordings()
        shared = processes.run(corpus, recordings, baselines.PRODUCT, progress=told.append)
    alone = run_system(demo, baselines.PRODUCT, recordings)
    for name in set(alone.tally.__slots__) - TIMED:
        assert getattr(shared.tally, name) == getattr(alone.tally, name), name
    assert [t.recording for t in shared.timelines] == [t.recording for t in alone.timelines]
    assert [progress.recordings for progress in told] == [1, 2]
    assert shared.tally.recordings == 2


def test_a_corpus_needs_something_to_read():
    with pytest.raises(ValueError, match="manifest"):
        Corpus().recordings()
