"""First measure, then choose: what does the text say of true and of false changes of language?

    .venv/bin/python benchmarks/second_opinions.py [--split dev] [--count 40] [--hours 1]

Runs the product, with no change denied, over the suites of `whisper-service evaluate` that change
language and over monolingual speech with noise. Of each change that the sound decides it notes how
well a decode from there on fits in the new and in the old language (mean log-probability of the
tokens; -10 where nothing can be read), and says how many changes each margin would deny; and of
changes of two words inside an utterance by how much (nats) the sound says that the old language
goes on at the end, and how many would wait for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from unittest.mock import patch

from common import provenance, recordings_parser, report, table

from whisper_service.engine.base import Engine
from whisper_service.engine.by_name import load_model
from whisper_service.evaluation.baselines import PRODUCT
from whisper_service.evaluation.recording import Recording
from whisper_service.evaluation.replay import replay
from whisper_service.evaluation.store import RecordingStore
from whisper_service.evaluation.suites import SUITES, Plan, Recordings
from whisper_service.lid import LanguageChange
from whisper_service.streaming import utterance
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.localise import ChangePoint
from whisper_service.streaming.second_opinion import Verdict, is_short
from whisper_service.streaming.session import NOTHING, LanguageSession
from whisper_service.types import SAMPLE_RATE

CHANGING = [suite for suite in SUITES if suite != "accuracy"]
MARGINS = (0.0, 0.1, 0.2, 0.3, 0.5)
BACK = (0.5, 1.0, 2.0)
NEWEST = 1600  # samples before a decision at which the language is looked up


@dataclass(frozen=True, slots=True)
class Opinion:
    """How well the text from a change on fits in the new language and in the old one."""

    true: bool
    single: bool  # inside an utterance, with one word of text
    back: float  # nats for a return to the old language behind two words, inside an utterance
    new: float
    old: float

    def denied(self, margin: float) -> bool:
        return self.new == NOTHING or self.old > self.new + margin


def opinions(engine: Engine, recording: Recording) -> list[Opinion]:
    """One for each change that the sound decides."""
    found: list[Opinion] = []

    def take(
        change: LanguageChange,
        trial: LanguageSession,
        window: Window,
        *,
        point: ChangePoint,
        whole: bool,
    ) -> Verdict:
        at = min(change.decided_at - NEWEST, len(recording.samples) - 1)
        new = trial.propose(window, final=False)
        old = trial.propose(window, final=False, language=change.old)
        true = change.new == recording.language_at(at) and not inserted(recording, at)
        single = not whole and is_short(new)
        back = point.back if not whole and is_short(new, words=2) else 0.0
        found.append(Opinion(true=true, single=single, back=back, new=new.fit, old=old.fit))
        return Verdict.TAKEN

    with patch.object(utterance, "judge", take):
        replay(engine, recording.samples, PRODUCT.options(recording))
    return found


def inserted(recording: Recording, at: int) -> bool:
    """Whether sample ``at`` is within 1 s of a single word of another language."""
    return any(abs(at - (w.start + w.end) // 2) < SAMPLE_RATE for w in recording.inserted)


def counts(found: Iterable[Opinion]) -> list[tuple[str, int, *tuple[int, ...]]]:
    """Rows of the table: true and false changes, of one word, held back, unreadable, denied."""
    rows = []
    for kind, wanted in (("true", True), ("false", False)):
        some = [opinion for opinion in found if opinion.true == wanted]
        single = sum(opinion.single for opinion in some)
        waits = [sum(not o.single and o.back > limit for o in some) for limit in BACK]
        unread = sum(opinion.new == NOTHING for opinion in some)
        rows.append(
            (
                kind,
                len(some),
                single,
                *waits,
                unread,
                *(sum(o.denied(m) for o in some) for m in MARGINS),
            )
        )
    return rows


def main() -> None:
    parser = recordings_parser("What the text says of changes of language.", count=40)
    parser.add_argument("--hours", type=float, default=1.0, help="of monolingual speech")
    arguments = parser.parse_args()
    plan = Plan(split=arguments.split, count=arguments.count, minutes=12 * arguments.hours)
    engine, store = load_model(arguments.model), RecordingStore()
    found = [
        opinion
        for suite in CHANGING
        for recording in Recordings(suite, plan, store=store)
        for opinion in opinions(engine, recording)
    ]
    header = (
        "change",
        "decided by sound",
        "of one word",
        *(f"of two, old goes on by {limit}" for limit in BACK),
        "unreadable",
        *(f"denied at {m}" for m in MARGINS),
    )
    facts = {
        **provenance(),
        "model": arguments.model,
        "split": arguments.split,
        "monolingual": f"{arguments.hours} h",
    }
    rows = counts(found)
    data = {kind: dict(zip(header[1:], numbers, strict=True)) for kind, *numbers in rows}
    report("What the text says of changes", facts, table(rows, header), data)


if __name__ == "__main__":
    main()
