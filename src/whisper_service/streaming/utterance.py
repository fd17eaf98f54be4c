"""One utterance: following its language, decoding its windows, committing its words."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Event,
    Final,
    LanguageCandidate,
    LanguageDetected,
    LanguageSwitched,
    Partial,
)
from whisper_service.lid import (
    EVERYTHING,
    LanguageChange,
    LanguageState,
    LanguageTracker,
    LidFrame,
    LidSpan,
    lid_spans,
)
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Encodings, Window
from whisper_service.streaming.localise import candidates, change_point, dips_of
from whisper_service.streaming.segments import SegmentBuilder
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.types import FRAME, Switch, Word, to_samples

OTHER_LANGUAGE = 0.6  # mass outside the allowed languages above which nothing is forced into one
LANGUAGE_WEIGHT = 0.5  # of log P(language) beside the mean log-probability of the text
NEAR_START = to_samples(0.4)  # a change this close to a session's start concerns all of it


@dataclass(slots=True)
class UtteranceState:
    """All that changes while one utterance runs; positions in samples."""

    start: int  # of the window, pre-roll included
    speech: int  # of the speech
    lid_until: int
    lid_floor: int
    session: LanguageSession | None = None
    language: LanguageState | None = None
    heard_language: bool = False  # at least one LID frame has been seen
    final_proposal: Proposal | None = None  # of the speculative pass, at a possible end of speech
    heard: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=1000))

    @property
    def window_start(self) -> int:
        return self.session.state.window_start if self.session else self.start


class UtteranceDecoder:
    """Runs the updates of one stream's utterances, one utterance at a time."""

    def __init__(
        self,
        *,
        engine: Engine,
        options: StreamOptions,
        encodings: Encodings,
        tracker: LanguageTracker,
        metrics: PerformanceMetrics,
        emit: Callable[[Event], None],
    ) -> None:
        self._engine = engine
        self._options = options
        self._encodings = encodings
        self._tracker = tracker
        self._metrics = metrics
        self._emit = emit
        self._state: UtteranceState | None = None
        self._candidate: str | None = None
        self.segments = SegmentBuilder()
        self.language: str | None = None  # of the newest session
        self.switches: list[Switch] = []
        self.sessions = 0
        self.frontier = 0  # samples; everything before it is decided

    @property
    def is_open(self) -> bool:
        return self._state is not None

    @property
    def running(self) -> UtteranceState:
        """The open utterance."""
        if self._state is None:
            raise RuntimeError("no utterance is open")
        return self._state

    @property
    def settled(self) -> bool:
        """Whether the running utterance's language is decided and undisputed."""
        state = self._state
        if not self._tracker.needs_frames:
            return True
        return state is not None and state.language is not None and state.language.settled

    def open(self, start: int, speech: int) -> None:
        """Begin an utterance whose window starts at ``start`` and whose speech at ``speech``.

        Language evidence comes from speech alone: pre-roll would dilute the first frames.
        """
        start = start // FRAME * FRAME
        self._state = UtteranceState(start=start, speech=speech, lid_until=start, lid_floor=speech)
        self._tracker.start_utterance(speech)

    def hear(self, at: int, probability: float) -> None:
        """Note the speech probability of the window that ends at ``at``."""
        self.running.heard.append((at, probability))

    def update(self, end: int, *, final: bool = False, speculative: bool = False) -> None:
        """Decode what lies before ``end`` (samples) and commit what is safe.

        ``speculative`` runs the final decode at a possible end of speech without committing
        its tail: if speech ends there, the final needs no further work.
        """
        state = self.running
        if end - state.window_start < FRAME:
            return
        language = self._settle_language(end, final=final)
        if language is None or self._is_other_language(end, final=final):
            return
        session = self._session(language, decided_at=end)
        if not final and self._language_frontier() <= max(state.speech, session.state.last_end):
            return  # nothing could be committed: the language comes first
        with self._metrics.measure("whisper.infer"):
            proposal = self._propose(session, end, final=final or speculative)
            rest = self._commit(session, proposal, final=final)
        state.final_proposal = rest if speculative else None
        if not final:
            self._keep_window_short(session, end)

    def close(self) -> None:
        """End the utterance; its last update was a final one."""
        self._finish_segment()
        self._state = None
        self._set_candidate(None, probability=0.0, since=0)

    # language

    def _settle_language(self, end: int, *, final: bool) -> str | None:
        while True:
            with self._metrics.measure("lid.total"):
                state = self._follow(end, final=final)
            if state.change is None:
                break
            self._restart(state.change, end)
        self.running.language = state
        self._set_candidate(
            state.candidate,
            probability=1.0 - state.probability,
            since=state.candidate_since or end,
        )
        return state.language

    def _is_other_language(self, end: int, *, final: bool) -> bool:
        """Whether this is speech in none of the allowed languages: it is marked, not forced."""
        state, language = self.running, self.running.language
        if language is None or language.other < OTHER_LANGUAGE or not self._tracker.needs_frames:
            return False
        if state.session is not None and state.session.state.committed:
            return False
        if final:
            self._emit(AudioSkipped(start=state.start, end=end, reason="other_language"))
        return True

    def _follow(self, end: int, *, final: bool) -> LanguageState:
        """Show the tracker every LID frame since the last one; stop at a change."""
        state, tracker = self.running, self._tracker
        if tracker.needs_frames:
            options = self._options.language
            with self._metrics.measure("lid.frame_extract"):
                spans = lid_spans(
                    after=state.lid_until,
                    until=end,
                    floor=max(state.lid_floor, state.window_start),
                    hop=to_samples(options.hop),
                    window=to_samples(options.window),
                )
            if final and not spans and not state.heard_language:
                floor = max(state.lid_floor, state.window_start)
                spans = [LidSpan(start=floor, end=end)]  # shorter than a frame, better than none
            if spans:
                state.heard_language = True
                frames = self._listen(spans, end)
                with self._metrics.measure("lid.smoothing"):
                    for frame in frames:
                        state.lid_until = frame.end
                        seen = tracker.feed([frame])
                        if seen.change is not None:
                            return seen
        return tracker.end_utterance() if final else tracker.feed(())

    def _listen(self, spans: Sequence[LidSpan], end: int) -> list[LidFrame]:
        """Language probabilities of ``spans``, by the kind of evidence the options ask for.

        What the window's encoding says of a span trails a change, because attention carries the
        language before it into the speech after it; a span encoded alone does not, but costs an
        encoding. Only a span that the shared encoding doubts can hold a change.
        """
        options, encodings = self._options.language, self._encodings
        if options.evidence == "own" and self._engine.dynamic_context:
            return encodings.own_frames(spans)
        window = encodings.window(
            self.running.window_start, end, needs=len(spans), stage="lid.encoder"
        )
        frames = encodings.shared_frames(window, spans)
        if options.evidence == "shared" or not self._engine.dynamic_context:
            return frames
        doubtful = [i for i, f in enumerate(frames) if f.probabilities.max() < options.doubt]
        checked = encodings.own_frames([spans[i] for i in doubtful])
        for i, frame in zip(doubtful, checked, strict=True):
            frames[i] = frame
        return frames

    def _session(self, language: str, *, decided_at: int) -> LanguageSession:
        state = self.running
        if state.session is None or state.session.language != language:
            self._start_session(language, start=state.start, decided_at=decided_at)
        assert state.session is not None
        return state.session

    def _start_session(self, language: str, *, start: int, decided_at: int) -> None:
        self.sessions += 1
        self.running.session = LanguageSession(
            engine=self._engine,
            options=self._options.decode,
            metrics=self._metrics,
            language=language,
            start=start,
        )
        self.running.final_proposal = None
        probability = self._tracker.feed(()).probability
        at = max(start, self.running.speech)
        if self.language is None:
            self._emit(LanguageDetected(language=language, probability=probability, at=at))
        elif self.language != language:
            self.switches.append(Switch(old=self.language, new=language, at=at))
            self._emit(
                LanguageSwitched(
                    old=self.language,
                    new=language,
                    at=at,
                    decided_at=decided_at,
                    probability=probability,
                )
            )
        self.language = language

    def _restart(self, change: LanguageChange, end: int) -> None:
        """Give the audio after the change to a new session, without losing a word."""
        state = self.running
        if state.session is None:
            near = change.crossing - state.speech <= NEAR_START
            first = change.new if near else change.old
            self._start_session(first, start=state.start, decided_at=end)
            if near:
                return
        session = state.session
        assert session is not None
        floor = session.state.last_end
        untouched = not session.state.committed and floor <= session.start
        if untouched and change.crossing - session.start <= NEAR_START:
            point = session.start
        else:
            point = self._localise(change, session, end)
        if untouched and point - session.start <= NEAR_START:
            point = session.start
        else:
            self._finish_session(session, end=end, point=point)
        state.lid_floor = max(state.lid_floor, point)
        self._start_session(change.new, start=point, decided_at=end)

    def _localise(self, change: LanguageChange, session: LanguageSession, end: int) -> int:
        window = self._window(session, end)
        floor = session.state.last_end
        words = session.propose(window, final=True).words
        gaps = [window.sample((a.end + b.start) // 2) for a, b in pairwise(words)]
        vad = self._options.vad
        points = candidates(
            crossing=change.crossing,
            floor=floor,
            end=end,
            gaps=[*gaps, floor],
            dips=dips_of(self.running.heard, below=vad.onset),
        )
        columns = self._engine.languages
        return change_point(
            listen=(
                self._encodings.own_frames
                if self._engine.dynamic_context
                else partial(self._encodings.shared_frames, window)
            ),
            columns=(columns.index(session.language), columns.index(change.new)),
            points=points,
            bounds=(session.start, end),
        )

    def _finish_session(self, session: LanguageSession, *, end: int, point: int) -> None:
        """Commit everything ``session`` still has to say before ``point``."""
        window = self._window(session, end)
        proposal = session.propose(window, final=True, until=point)
        words = session.accept(proposal, frontier=point, final=True)
        self._publish(words, proposal, language=session.language)
        self._finish_segment()
        self.frontier = max(self.frontier, point)

    # text

    def _window(self, session: LanguageSession, end: int) -> Window:
        return self._encodings.window(session.state.window_start, end, stage="whisper.insert_audio")

    def _propose(self, session: LanguageSession, end: int, *, final: bool) -> Proposal:
        window = self._window(session, end)
        ready = self.running.final_proposal
        if final and ready is not None and ready.covers(window):
            return ready
        proposal = session.propose(window, final=final)
        if not final:
            return proposal
        if session.loops(proposal):
            padded = self._encodings.padded(window.start, window.end)
            again = session.propose(padded, final=True, until=window.end)
            proposal = proposal if session.loops(again) else again
        return self._second_language(session, proposal)

    def _second_language(self, session: LanguageSession, proposal: Proposal) -> Proposal:
        """When unsure, decode the runner-up from the same encoding and keep the better one."""
        if session.state.committed or not self._tracker.uncertain:
            return proposal
        scores = {proposal.language: (proposal, _score(proposal, self._tracker))}
        for language, _ in self._tracker.best_two:
            if language not in scores:
                other = session.propose(proposal.window, final=True, language=language)
                scores[language] = (other, _score(other, self._tracker))
        return max(scores.values(), key=lambda pair: pair[1])[0]

    def _commit(self, session: LanguageSession, proposal: Proposal, *, final: bool) -> Proposal:
        """Commit what is safe; returns the proposal without the words just committed."""
        state = self.running
        if final and proposal.language != session.language:
            self._tracker.adopt(proposal.language)
            self._start_session(
                proposal.language, start=session.start, decided_at=proposal.window.end
            )
            session = self._session(proposal.language, decided_at=proposal.window.end)
        if final and session.judged_silent(proposal):
            self._emit(
                AudioSkipped(start=session.start, end=proposal.window.end, reason="no_speech")
            )
            words = list[Word]()
        else:
            words = session.accept(proposal, frontier=self._language_frontier(), final=final)
        self._publish(words, proposal, language=session.language)
        self.frontier = proposal.window.end if final else max(self.frontier, session.state.last_end)
        rest = proposal.after(len(words))
        if not final:
            self._emit(
                Partial(
                    committed=self.segments.text,
                    tentative=rest.text,
                    language=session.language,
                    start=state.start,
                    end=proposal.window.end,
                )
            )
        return rest

    def _language_frontier(self) -> int:
        """No word after this sample may be committed: its language is not certain yet."""
        return self._tracker.feed(()).frontier if self._tracker.needs_frames else EVERYTHING

    def _publish(self, words: list[Word], proposal: Proposal, *, language: str) -> None:
        self.segments.note(proposal, language_probability=self._tracker.feed(()).probability)
        if words:
            placed = self.segments.add(words)
            self._emit(Committed(words=tuple(placed), language=language))
        if self.segments.is_long():
            self._finish_segment()

    def _finish_segment(self) -> None:
        segment = self.segments.finish()
        if segment is not None:
            self._emit(Final(segment=segment))

    # the window

    def _keep_window_short(self, session: LanguageSession, end: int) -> None:
        soft, hard = to_samples(self._options.max_context), to_samples(self._options.hard_context)
        if end - session.state.window_start > soft:
            session.shorten(keep=soft // 2)
        if end - session.state.window_start > hard - soft // 4:
            self.cut(end)

    def cut(self, end: int) -> None:
        """End the window at the least likely speech of its second half and go on from there."""
        session = self.running.session
        if session is None:
            return
        start = session.state.window_start
        half = max(session.state.last_end, (start + end) // 2)
        quietest = [(p, at) for at, p in self.running.heard if half < at < end - FRAME]
        point = min(quietest)[1] // FRAME * FRAME if quietest else end
        self._finish_session(session, end=end, point=point)
        self._start_session(session.language, start=point, decided_at=end)
        self.running.lid_floor = point

    def _set_candidate(self, language: str | None, *, probability: float, since: int) -> None:
        if language != self._candidate:
            self._candidate = language
            self._emit(LanguageCandidate(language=language, probability=probability, since=since))


def _score(proposal: Proposal, tracker: LanguageTracker) -> float:
    probabilities = dict(tracker.best_two)
    language = probabilities.get(proposal.language, 1e-3)
    return proposal.hypothesis.avg_logprob + LANGUAGE_WEIGHT * math.log(max(language, 1e-3))
