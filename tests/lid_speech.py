"""Made-up LID frames for the tracker: utterances that sound like a language for some seconds."""

import numpy as np

from whisper_service.config import LanguageOptions
from whisper_service.lid import LidFrame, lid_spans

LANGUAGES = ("en", "es", "fr", "de", "zh")
SECOND = 16_000
PAIR = LanguageOptions(policy="code_switch", languages=("en", "es"))


def probabilities(**share):
    row = np.full(5, (1 - sum(share.values())) / 5, np.float32)
    for code, value in share.items():
        row[LANGUAGES.index(code)] += value
    return row


EN, ES, FR = probabilities(en=0.97), probabilities(es=0.97), probabilities(fr=0.97)
NOISE = probabilities()


def frames(start, *parts):
    """Frames of an utterance at ``start``: parts are ``(seconds, probabilities)`` in order."""
    ends = np.cumsum([seconds for seconds, _ in parts]) * SECOND + start
    spans = lid_spans(after=start, until=int(ends[-1]), floor=start, hop=1600, window=SECOND)
    rows = [parts[int(np.searchsorted(ends, s.end - 1e-6))][1] for s in spans]
    return [
        LidFrame(start=s.start, end=s.end, probabilities=row)
        for s, row in zip(spans, rows, strict=True)
    ]


def say(tracker, start, *parts):
    """Feed one utterance frame by frame; every state, the last after its end."""
    tracker.start_utterance(start)
    return [*(tracker.feed([f]) for f in frames(start, *parts)), tracker.end_utterance()]


def changes(states):
    return [change for state in states for change in state.changes]
