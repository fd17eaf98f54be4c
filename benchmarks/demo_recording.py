"""The bundled recording with the embedded model: text, languages, speed, time to the first caption.

    python benchmarks/demo_recording.py [--json]

Live and fast give the same text; `first caption` starts `whisper-service demo` in a terminal of its
own, with the environment and the compiled graphs in place, and waits for the first words.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

from common import provenance, report, table

from whisper_service.audio.decode import load_audio
from whisper_service.config import LanguageOptions, StreamOptions
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.wer import mixed_errors
from whisper_service.streaming.offline import transcribe
from whisper_service.types import SAMPLE_RATE, Mode, Transcript, to_samples

DATA = files("whisper_service") / "data"
RUNS = 7


def main() -> None:
    engine = load_model("demo")
    engine.warm_up()
    truth = json.loads((DATA / "code_switching.json").read_text(encoding="utf-8"))["segments"]
    rows, data = [], {}
    for mode in ("fast", "offline"):
        speeds, transcript = measure(engine, mode)
        low, middle, high = speeds[0], speeds[len(speeds) // 2], speeds[-1]
        wer, right = errors(transcript, truth), right_languages(transcript, truth)
        data[mode] = {"wer": wer, "right_languages": right, "real_time_factors": speeds}
        rows.append(
            (mode, f"{wer:.1%}", f"{right} of {len(transcript.segments)}",
             f"{middle:.0f}x ({low:.0f}-{high:.0f})")
        )  # fmt: skip
    starts = sorted(first_caption() for _ in range(5))
    data["first_caption_seconds"] = starts
    body = table(rows, ["mode", "WER", "captions in the right language", "x real time (spread)"])
    body += f"\n\nfirst caption after {starts[2]:.1f} s ({starts[0]:.1f}-{starts[-1]:.1f})"
    facts = provenance(model=f"demo, {engine.compute_type}, {engine.threads} threads")
    report("The bundled recording", facts, body, data)


def measure(engine: object, mode: Mode) -> tuple[list[float], Transcript]:
    """Speeds of :data:`RUNS` runs as multiples of real time, slowest first, and the text."""
    samples = load_audio(str(DATA / "code_switching.flac"))
    language = LanguageOptions(policy="code_switch", languages=("en", "es", "fr", "de", "zh"))
    speeds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        transcript = transcribe(engine, [samples], StreamOptions(mode=mode, language=language))
        speeds.append(len(samples) / SAMPLE_RATE / (time.perf_counter() - start))
    return sorted(speeds[1:]), transcript


def errors(transcript: Transcript, truth: list[dict]) -> float:
    said = [(s.text, s.language) for s in transcript.segments]
    return mixed_errors([(s["text"], s["language"]) for s in truth], said).rate


def right_languages(transcript: Transcript, truth: list[dict]) -> int:
    """Captions whose middle lies in a sentence of their language (0.3 s of slack)."""
    slack = to_samples(0.3)
    return sum(
        any(
            s["language"] == caption.language
            and to_samples(s["start"]) - slack
            <= (caption.start + caption.end) // 2
            <= to_samples(s["end"]) + slack
            for s in truth
        )
        for caption in transcript.segments
    )


def first_caption() -> float:
    """Seconds from starting `whisper-service demo` to its first words on the terminal."""
    program = Path(sys.executable).with_name("whisper-service")
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    process = subprocess.Popen(
        [program, "demo"], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
    )  # fmt: skip
    shown = b""
    try:
        while time.perf_counter() - start < 30:
            if select.select([ours], [], [], 0.05)[0]:
                shown += os.read(ours, 65536)
            if re.search(rb"Bonjour", shown):
                return time.perf_counter() - start
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
        os.close(ours)
    raise SystemExit("no caption within 30 s")


if __name__ == "__main__":
    main()
