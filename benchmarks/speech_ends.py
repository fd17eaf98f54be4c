"""How late the end of speech is dated, by how sure Silero must have been: positive is too late.

    .venv/bin/python benchmarks/speech_ends.py [--split dev] [--count 60]

Runs the speech detector over recordings of `whisper-service evaluate` and compares each end that it
finds with the end of the last word, which the synthesizer says to the sample. The final text waits
for `min_silence` from the end as dated, so a late date makes the final text late.
"""

from __future__ import annotations

import numpy as np
from common import provenance, recordings_parser, report, table

from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import Plan, Recordings, Suite
from whisper_service.vad import segmenter
from whisper_service.vad.segmenter import Ended, SpeechSegmenter
from whisper_service.vad.silero import SpeechProbabilities

SUITES: tuple[Suite, ...] = ("accuracy", "switches-pause", "monolingual")
SURE = (0.35, 0.5, 0.7, 0.8, 0.9, 0.95)  # the first is the threshold below which speech may end
QUANTILES = (1, 5, 25, 50, 75, 95, 99)
NEAREST = 400  # ms; what lies farther off is another end


def lateness(recording: Recording, heard: list[float], sure: float) -> list[float]:
    """Milliseconds from each true end of speech to the one found next to it."""
    kept = segmenter.SURE
    try:
        segmenter.SURE = sure
        following = SpeechSegmenter()
        found = [b.at for b in following.feed(heard) if isinstance(b, Ended)]
    finally:
        segmenter.SURE = kept
    off = [[(at - stretch.end) / 16 for at in found] for stretch in recording.speech]
    nearest = [min(each, key=abs, default=NEAREST) for each in off]
    return [ms for ms in nearest if abs(ms) < NEAREST]


def main() -> None:
    parser = recordings_parser("How late the end of speech is dated.", count=60, model=False)
    parser.add_argument("--minutes", type=float, default=6.0, help="of speech a language in noise")
    arguments = parser.parse_args()
    plan = Plan(split=arguments.split, count=arguments.count, minutes=arguments.minutes)
    rows, data = [], {}
    for suite in SUITES:
        off: dict[float, list[float]] = {sure: [] for sure in SURE}
        for recording in Recordings(suite, plan, store=RecordingStore()):
            heard = list(SpeechProbabilities().feed(recording.samples))
            for sure in SURE:
                off[sure] += lateness(recording, heard, sure)
        for sure in SURE:
            marks = [round(float(q)) for q in np.percentile(off[sure], QUANTILES)]
            rows.append((suite, sure, len(off[sure]), *marks))
            data[f"{suite} {sure}"] = [round(ms) for ms in off[sure]]
    header = ("suite", "sure from", "ends", *(f"p{q}, ms" for q in QUANTILES))
    facts = {**provenance(), "split": arguments.split}
    report("Ends of speech: dated less true", facts, table(rows, header), data)


if __name__ == "__main__":
    main()
