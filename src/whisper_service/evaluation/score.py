"""Scores of a run, with the exact definitions of ``docs/CODE_SWITCHING_BENCHMARK.md``.

A :class:`Tally` holds what adds up: counts and samples, never means, so that tallies of many
recordings give the same figures as one long one. Times are samples at 16 kHz.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from whisper_service.evaluation.latency import (
    EmittedWord,
    Erasure,
    SpokenWord,
    laal,
    word_latencies,
)
from whisper_service.evaluation.recording import Recording, Token, reference_tokens
from whisper_service.evaluation.replay import Replay, Timed
from whisper_service.evaluation.switching import (
    Decision,
    DiarizationError,
    Stretch,
    TrueSwitch,
    diarization_error,
    score_switches,
)
from whisper_service.evaluation.wer import Errors, Step, align, count
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Final,
    LanguageDetected,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.text.normalize import normalize
from whisper_service.types import Segment, Word, to_samples

NEAR = to_samples(1.0)  # around a change
PAUSE = to_samples(0.5)  # the VAD's silence wait; a shorter pause ends no utterance
LAST_WORDS = to_samples(0.5)  # a segment that ends so long before an end of speech may be its last
COVERED = 0.5  # share of an inserted word that committed words must overlap


@dataclass(slots=True)
class Tally:
    """What a system did on some recordings."""

    recordings: int = 0
    streamed: int = 0  # recordings whose events came while they were being heard
    samples: int = 0
    speech: int = 0
    computed: float = 0.0  # s of wall time
    errors: dict[str, Errors] = field(default_factory=dict)
    near: Errors = field(default_factory=Errors)
    lags: list[int] = field(default_factory=list)  # computation-aware
    lags_heard: list[int] = field(default_factory=list)  # computation-unaware
    point_errors: list[int] = field(default_factory=list)
    switches: int = 0
    missed: int = 0
    false_switches: int = 0
    reversals: int = 0
    diarization: DiarizationError = field(default_factory=DiarizationError)
    near_words: int = 0
    near_wrong: int = 0
    words_wrong: int = 0
    words: int = 0
    latencies: list[int] = field(default_factory=list)
    latencies_heard: list[int] = field(default_factory=list)
    laals: list[float] = field(default_factory=list)
    finals: list[int] = field(default_factory=list)
    erased: int = 0
    erasable: int = 0
    edits: int = 0
    lost: int = 0
    uncovered: int = 0
    doubled: int = 0
    inserted: int = 0
    inserted_heard: int = 0
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    encoder_passes: int = 0
    encoded: float = 0.0
    hits: int = 0
    needs: int = 0

    def add(self, other: Tally) -> None:
        """Add what ``other`` holds."""
        for each in fields(self):
            mine, new = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, list):
                mine.extend(new)
            elif isinstance(mine, dict):
                for key, value in new.items():
                    mine[key] = mine.get(key, Errors()) + value
            else:
                setattr(self, each.name, mine + new)


def score(recording: Recording, run: Replay) -> Tally:
    """Score one run of one recording.

    Of a run that was not streamed, whatever depends on when something was known is left empty.
    """
    tally = Tally(
        recordings=1,
        streamed=int(run.streamed),
        samples=len(recording.samples),
        speech=sum(s.end - s.start for s in recording.speech),
        computed=run.computed,
    )
    _score_switches(tally, recording, run)
    _score_words(tally, recording, run)
    _score_coverage(tally, recording, run)
    if run.streamed:
        _score_stability(tally, run)
        tally.finals = final_lags(recording, run)
        cache = run.transcript.statistics["encoder_cache"]
        tally.hits, tally.needs = cache["hits"], cache["hits"] + cache["misses"]
        tally.encoder_passes = run.transcript.statistics["encoder_passes"]
        tally.encoded = run.transcript.statistics["encoded_seconds"]
    return tally


def hypothesis(run: Replay, length: int) -> list[Stretch]:
    """What the run says was spoken when: unpadded VAD intervals cut at the changes it localised."""
    borders = [
        (t.event.at, t.event.language if isinstance(t.event, LanguageDetected) else t.event.new)
        for t in run.events
        if isinstance(t.event, LanguageDetected | LanguageSwitched)
    ]
    stretches: list[Stretch] = []
    for start, end in speech_intervals(run, length):
        inside = [(at, code) for at, code in borders if start < at < end]
        before = [code for at, code in borders if at <= start]
        first = before[-1] if before else (borders[0][1] if borders else None)
        if first is None:
            continue
        cuts = [(start, first), *inside, (end, first)]
        stretches += [
            Stretch(start=a, end=b, language=code)
            for (a, code), (b, _) in itertools.pairwise(cuts)
            if b > a
        ]
    return stretches


def speech_intervals(run: Replay, length: int) -> list[tuple[int, int]]:
    """The unpadded intervals in which the run heard speech."""
    intervals: list[tuple[int, int]] = []
    opened: int | None = None
    for timed in run.events:
        if isinstance(timed.event, SpeechStarted):
            opened = timed.event.at
        elif isinstance(timed.event, SpeechEnded) and opened is not None:
            intervals.append((opened, timed.event.at))
            opened = None
    return intervals if opened is None else [*intervals, (opened, length)]


def final_lags(recording: Recording, run: Replay) -> list[int]:
    """From each true end of speech to its final text, less the VAD's silence wait.

    Only ends that a pause longer than the wait follows; computation counts. A final belongs to the
    end that its segment overlaps; an end without one, because nothing was written, has no lag.
    """
    ends = [
        a
        for a, b in itertools.pairwise(recording.speech)
        if b.start - a.end > PAUSE + to_samples(0.15)
    ]
    if recording.speech and len(recording.samples) - recording.speech[-1].end > PAUSE:
        ends.append(recording.speech[-1])
    finals = [(t, t.event.segment) for t in run.events if isinstance(t.event, Final)]
    lags = []
    for said in ends:
        near = said.end - LAST_WORDS
        found = [t for t, s in finals if s.start < said.end and s.end > near and t.heard > said.end]
        lags += [found[0].available - said.end - PAUSE] if found else []
    return lags


def _score_switches(tally: Tally, recording: Recording, run: Replay) -> None:
    truth = recording.switches
    result = score_switches(truth, [_decision(e, t, run) for e, t in run.switches()])
    if run.streamed:
        heard = score_switches(truth, [_heard(e, t) for e, t in run.switches()])
        tally.lags, tally.lags_heard = list(result.lags), list(heard.lags)
    tally.point_errors = list(result.errors)
    tally.switches, tally.missed = len(truth), len(result.missed)
    tally.false_switches, tally.reversals = len(result.false), result.reversals
    tally.diarization = diarization_error(recording.speech, hypothesis(run, len(recording.samples)))


def _decision(event: LanguageSwitched, timed: Timed, run: Replay) -> Decision:
    """Return a switch with the moment it was available.

    One that was not made live is matched by its place, from 1 s before the change on.
    """
    available = timed.available if run.streamed else event.at + NEAR
    return Decision(old=event.old, new=event.new, at=event.at, available=available)


def _heard(event: LanguageSwitched, timed: Timed) -> Decision:
    return Decision(old=event.old, new=event.new, at=event.at, available=timed.heard)


def _score_words(tally: Tally, recording: Recording, run: Replay) -> None:
    truth = reference_tokens(recording)
    committed = run.committed()
    emitted = [
        (token, word, timed)
        for word, timed in committed
        for token in normalize(word.text, word.language)
    ]
    steps = align([t.text for t in truth], [token for token, _, _ in emitted])
    tally.errors = by_language(steps, truth, default=recording.language)
    tally.near = near_changes(steps, truth, recording.switches)
    right = {s.hypothesis for s in steps if s.operation == "equal"}
    tally.confidences = [(w.probability, i in right) for i, (_, w, _) in enumerate(emitted)]
    _score_word_languages(tally, recording, [word for word, _ in committed])
    if recording.words:
        _score_insertions(tally, recording, [word for word, _ in committed])
    if recording.words and run.streamed:
        spoken = [SpokenWord(text=t.text, end=t.end or 0) for t in truth]
        words = [EmittedWord(text=k, heard=t.heard, available=t.available) for k, _, t in emitted]
        tally.latencies = word_latencies(spoken, words, computation=True)
        tally.latencies_heard = word_latencies(spoken, words, computation=False)
        if recording.suite == "accuracy":
            start, end = recording.speech[0].start, recording.speech[-1].end
            delays = [w.heard - start for w in words]
            tally.laals = [laal(delays, source=end - start, reference=len(truth))] if delays else []


def by_language(
    steps: Sequence[Step], truth: Sequence[Token], *, default: str
) -> dict[str, Errors]:
    """Errors by the language of the reference token; an insertion counts for the token before."""
    groups: dict[str, list[Step]] = {}
    language = truth[0].language if truth else default
    for step in steps:
        if step.reference is not None:
            language = truth[step.reference].language
        groups.setdefault(language, []).append(step)
    return {code: count(group) for code, group in groups.items()}


def near_changes(
    steps: Sequence[Step], truth: Sequence[Token], switches: Sequence[TrueSwitch]
) -> Errors:
    """Errors on words within 1 s of a change, insertions behind such a word included."""
    inside = False
    chosen: list[Step] = []
    for step in steps:
        if step.reference is not None:
            inside = _is_near(truth[step.reference], switches)
        if inside:
            chosen.append(step)
    return count(chosen)


def _is_near(token: Token, switches: Sequence[TrueSwitch]) -> bool:
    if token.start is None or token.end is None:
        return False
    return any(token.start < s.at + NEAR and token.end > s.at - NEAR for s in switches)


def _score_word_languages(tally: Tally, recording: Recording, words: Sequence[Word]) -> None:
    switches = recording.switches
    for word in words:
        middle = (word.start + word.end) // 2
        wrong = word.language != recording.language_at(middle)
        tally.words += 1
        tally.words_wrong += wrong
        if any(abs(middle - s.at) <= NEAR for s in switches):
            tally.near_words += 1
            tally.near_wrong += wrong


def _score_insertions(tally: Tally, recording: Recording, words: Sequence[Word]) -> None:
    """How many inserted words have committed words over at least half of their time."""
    for stretch in _insertions(recording):
        start, end = stretch
        overlap = sum(max(0, min(w.end, end) - max(w.start, start)) for w in words)
        tally.inserted += 1
        tally.inserted_heard += overlap >= COVERED * (end - start)


def _insertions(recording: Recording) -> list[tuple[int, int]]:
    """Stretches of inserted words: the characters of one Chinese word belong together."""
    joined: list[tuple[int, int]] = []
    for word in recording.inserted:
        if joined and word.start - joined[-1][1] < to_samples(0.3):
            joined[-1] = (joined[-1][0], word.end)
        else:
            joined.append((word.start, word.end))
    return joined


def _score_stability(tally: Tally, run: Replay) -> None:
    """Erasure of partials, and edits to what had been committed."""
    erasure = Erasure()
    committed = shown = ""
    for event in (t.event for t in run.events):
        match event:
            case Committed():
                committed += event.text
                shown += event.text
            case Partial():
                tally.edits += not _same(shown, event.committed)
                tokens = normalize(event.committed + event.tentative, event.language)
                erasure.show(tokens)
            case Final():
                erasure.end(normalize(event.segment.text, event.segment.language))
                tally.edits += not _same(shown, event.segment.text)
                shown = ""
    text = "".join(s.text for s in run.transcript.segments)
    tally.edits += not _same(committed, text)
    tally.erased, tally.erasable = erasure.erased, erasure.final


def _same(one: str, other: str) -> bool:
    return one.strip() == other.strip()


def _score_coverage(tally: Tally, recording: Recording, run: Replay) -> None:
    """Speech in no segment and no reasoned gap, and speech in two segments."""
    account = run.transcript.audio
    sums = account.decoded + account.skipped_silence + account.dropped + account.pending
    tally.lost = account.dropped + account.pending + abs(account.received - sums)
    tally.lost += abs(account.received - len(recording.samples))
    segments = run.transcript.segments
    gaps = [t.event for t in run.events if isinstance(t.event, AudioSkipped)]
    tally.uncovered, tally.doubled = coverage(recording.speech, segments, gaps)


def coverage(
    speech: Sequence[Stretch], segments: Sequence[Segment], gaps: Sequence[AudioSkipped]
) -> tuple[int, int]:
    """Samples of true speech in no segment and no gap, and in more than one segment."""
    spans = [(s.start, s.end) for s in segments]
    reasons = [(g.start, g.end) for g in gaps]
    borders = sorted(
        {p for pair in (*spans, *reasons) for p in pair}
        | {p for s in speech for p in (s.start, s.end)}
    )
    none = twice = 0
    for start, end in itertools.pairwise(borders):
        if not any(s.start <= start < s.end for s in speech):
            continue
        held = sum(a <= start < b for a, b in spans)
        gap = any(a <= start < b for a, b in reasons)
        none += (end - start) * (not held and not gap)
        twice += (end - start) * (held > 1)
    return none, twice


def percentile(values: Sequence[float], q: float) -> float | None:
    """The ``q``-th percentile (0-100), linear between values; ``None`` when there are none."""
    return float(np.percentile(values, q)) if len(values) else None


def total_errors(errors: Iterable[Errors]) -> Errors:
    """Sum of error counts: over several languages this is the mixed error rate."""
    return sum(errors, Errors())
