"""One utterance: following its language, decoding its windows, committing its words."""

from __future__ import annotations

from collections.abc import Callable

from whisper_service.config import StreamOptions
from whisper_service.engine.base import Engine
from whisper_service.events import Committed, Event, Partial
from whisper_service.lid import EVERYTHING, LanguageChange, LanguageTracker
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.checks import window_limits
from whisper_service.streaming.encodings import Encodings, Window
from whisper_service.streaming.listening import Heard, LanguageListener
from whisper_service.streaming.localise import ChangePoint
from whisper_service.streaming.news import LanguageNews, Started
from whisper_service.streaming.parallel import DecodeAhead
from whisper_service.streaming.second_opinion import ENOUGH, Verdict, better_language, judge
from whisper_service.streaming.segments import HOLE, SegmentBuilder
from whisper_service.streaming.session import LanguageSession, Proposal
from whisper_service.streaming.session_maker import SessionMaker
from whisper_service.streaming.utterance_state import UtteranceState
from whisper_service.types import FRAME, GapReason, Word, to_samples

OTHER_LANGUAGE = 0.6  # mass outside the allowed languages: such speech is marked, not forced
BEFORE_ONSET = to_samples(0.1)  # a word may begin so long before speech was detected
SKIPS = 4  # times a final decode is taken up again after it left out speech
OVERSHOT = to_samples(0.6)  # how far committed words may reach into the next language
NEAR_START = to_samples(0.4)  # a change this close to a session's start concerns all of it


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
        previews: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._options = options
        self._encodings = encodings
        self._tracker = tracker
        self._metrics = metrics
        self._emit = emit
        self._longest, self._soft = window_limits(engine, options)
        self._sessions = SessionMaker(engine=engine, options=options, metrics=metrics)
        self._previews = previews  # whether there is time for text that may still change
        self._listener = LanguageListener(
            engine=engine,
            options=options.language,
            encodings=encodings,
            tracker=tracker,
            metrics=metrics,
        )
        self._state: UtteranceState | None = None
        self.news = LanguageNews(emit, keep=options.max_segments)
        self.segments = SegmentBuilder()
        self.sessions = 0

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
        self._state = UtteranceState(
            start=start, speech=speech, listened=Heard(until=start, floor=speech)
        )
        self.segments.border = speech
        self._tracker.start_utterance(speech)

    def hear(self, at: int, probability: float) -> None:
        """Note the speech probability of the window that ends at ``at``."""
        self.running.voicing.hear(at, probability)

    def update(self, end: int, *, final: bool = False, speculative: bool = False) -> None:
        """Decode what lies before ``end`` (samples) and commit what is safe.

        ``speculative`` runs the final decode at a possible end of speech without committing
        its tail: if speech ends there, the final needs no further work unless speech was left out.
        """
        state = self.running
        if end - state.window_start < FRAME:
            return
        self._decode_ahead(end, final=final or speculative)
        language = self._settle_language(end, final=final)
        if self._tracker.needs_frames and state.other >= OTHER_LANGUAGE:
            self._pass_over(end, final=final)
            return
        if language is None:
            return
        session = self._session(language, decided_at=end)
        if not (final or speculative):
            self._announce()
        if not final and self._language_frontier() <= max(state.speech, session.state.last_end):
            if self.is_full(end):
                self._cut(session, end)
            return  # nothing could be committed: the language comes first
        with self._metrics.measure("whisper.infer"):
            proposal = self._propose(session, end, final=final or speculative)
            rest = self._commit(session, proposal, final=final)
            if final:
                self._take_up(rest, end)
        state.final_proposal = rest if speculative else None
        if not final:
            self._keep_window_short(session, end)

    def close(self, at: int) -> None:
        """End the utterance, whose speech ended ``at`` (samples); its last update was final."""
        reason = self.running.unwritten
        self._finish_segment(at, reason)
        self._tell(self.segments.leave_out(at, reason))
        self._state = None
        self.news.candidate(None, probability=0.0, since=0)

    def _settle_language(self, end: int, *, final: bool) -> str | None:
        while True:
            with self._metrics.measure("lid.total"):
                state = self._listener.follow(
                    self.running.listened, start=self.running.window_start, end=end, final=final
                )
            if state.change is None:
                break
            self._restart(state.change, end)
        if state.language is None and (final or self.is_full(end)):
            self._tracker.adopt(self._tracker.best_two[0][0])  # a poor guess beats losing words
            state = self._tracker.feed(())
        self.running.language = state
        likely = dict(self._tracker.best_two)
        since = state.candidate_since
        self.news.candidate(
            state.candidate,
            probability=likely.get(state.candidate or "", min(likely.values())),
            since=end if since is None else since,
        )
        return state.language

    def _pass_over(self, end: int, *, final: bool) -> None:
        """Mark what follows the committed words as speech in another language."""
        if not final and not self.is_full(end):
            return
        self._finish_before_other(end)
        state = self.running
        self._finish_segment()
        point = end
        if final:
            state.unwritten = "other_language"
        else:
            point = state.voicing.quietest(max(state.unsaid, self.segments.border), end)
            self._tell(self.segments.leave_out(point, "other_language"))
        state.session, state.start = None, point
        state.listened.floor = max(state.listened.floor, point)

    def _finish_before_other(self, end: int) -> None:
        """Commit what was said in an allowed language before the other one began."""
        state = self.running
        spoken_to = max(state.speech, state.decided)
        began = self._tracker.timeline.other_since(spoken_to)
        point = end if began is None else began
        language = state.language.language if state.language is not None else None
        if language is not None and point - spoken_to > NEAR_START:
            session = self._session(language, decided_at=end)
            self._finish_session(session, end=end, point=ChangePoint.given(point))

    def _session(self, language: str, *, decided_at: int) -> LanguageSession:
        state = self.running
        if state.session is None or state.session.language != language:
            self._finish_segment()  # of a language that the policy allows no more
            start, said = state.unsaid, self.segments.border
            start = max(start, said) if said > state.speech else start
            self._start_session(language, start=start, decided_at=decided_at, after=start)
        assert state.session is not None
        return state.session

    def _start_session(self, language: str, *, start: int, decided_at: int, after: int = 0) -> None:
        self.sessions += 1
        self.running.session = self._sessions.make(
            language, start=start, speech=max(after, self.running.speech - BEFORE_ONSET)
        )
        self.running.final_proposal = None
        at = max(start, self.running.speech)
        self.news.start(Started(language=language, at=at, decided_at=decided_at))
        if not self._tracker.uncertain:
            self._announce()

    def _announce(self) -> None:
        self.news.tell(self._tracker.feed(()).probability)

    def _restart(self, change: LanguageChange, end: int) -> None:
        """Give the audio after the change to a new session, unless its text speaks against it."""
        state = self.running
        if state.session is None and change.crossing - state.speech > NEAR_START:
            self._start_session(change.old, start=state.start, decided_at=end)
        session, point = state.session, self._change_point(change, end)
        if self._tracker.looks_twice and end - point.at >= FRAME:
            verdict = self._judge(change, point, end)
            if verdict is Verdict.POSTPONED:
                self._tracker.postpone(change)
                return
            if verdict is Verdict.DENIED:
                state.listened.settle()
                self._tracker.deny(change)
                return
        state.listened.settle()
        start, after = point.at, 0
        if session is not None:
            state.listened.floor = max(state.listened.floor, start)
            if start > session.start or not session.untouched:
                start = self._finish_session(session, end=end, point=point)
            after = session.state.last_end
        self._start_session(change.new, start=start, decided_at=end, after=after)

    def _judge(self, change: LanguageChange, point: ChangePoint, end: int) -> Verdict:
        session, speech = self.running.session, self.running.speech
        trial = self._sessions.make(change.new, start=point.at)
        heard = min(end, max(change.decided_at, point.at + ENOUGH))
        begins = speech if session is None else max(session.start, speech)
        untouched = session is None or session.untouched
        whole = untouched and point.at - begins <= NEAR_START
        return judge(change, trial, self._window(trial, heard), point=point, whole=whole)

    def _change_point(self, change: LanguageChange, end: int) -> ChangePoint:
        """Where the new language begins: at the session's start if that is near and untouched."""
        session = self.running.session
        if session is None:
            return ChangePoint.given(self.running.start)
        start = ChangePoint.given(session.start)
        if session.untouched and change.crossing - session.start <= NEAR_START:
            return start
        said = session.state.last_end
        point = self._listener.localise(
            change,
            self._window(session, min(end, change.decided_at)),
            floor=max(session.state.window_start, said - OVERSHOT),
            places=[*self.running.voicing.dips(below=self._options.vad.onset), said],
        )
        near = session.untouched and point.at - session.start <= NEAR_START
        return start if near else point

    def _finish_session(self, session: LanguageSession, *, end: int, point: ChangePoint) -> int:
        """Commit what ``session`` says before ``point`` (samples); returns where it ends."""
        self._announce()
        window, at = self._window(session, end), point.at
        if window.frame(at) > 0:
            proposal = session.propose(window, final=True, until=at)
            at = session.before_fragment(proposal, point)
            words = session.accept(proposal, frontier=at, final=True, until=at)
            self._publish(words, proposal, language=session.language)
        self._finish_segment(at)
        return at

    def _decode_ahead(self, end: int, *, final: bool) -> None:
        """Begin the decode that follows unless the language changes, where that is wanted."""
        session, engine = self.running.session, self._engine
        if isinstance(engine, DecodeAhead) and session is not None and self._tracker.needs_frames:
            window = self._window(session, end)
            engine.begin(session.request(window, final=final, preview=self._previews()))

    def _window(self, session: LanguageSession, end: int) -> Window:
        return self._encodings.window(session.state.window_start, end, stage="whisper.insert_audio")

    def _propose(self, session: LanguageSession, end: int, *, final: bool) -> Proposal:
        window = self._window(session, end)
        ready = self.running.final_proposal
        if final and ready is not None and ready.covers(window):
            return ready
        proposal = session.propose(window, final=final, preview=self._previews())
        if not final:
            return proposal
        if session.loops(proposal):
            padded = self._encodings.padded(window.start, window.end)
            again = session.propose(padded, final=True, until=window.end)
            proposal = proposal if session.loops(again) else again
        if session.state.committed or not self._tracker.uncertain:
            return proposal
        return better_language(session, proposal, likely=dict(self._tracker.best_two))

    def _commit(self, session: LanguageSession, proposal: Proposal, *, final: bool) -> Proposal:
        """Commit what is safe; returns the proposal without the words just committed."""
        if proposal.language != session.language and not final:
            return proposal  # another language is taken where speech has ended, not before
        if proposal.language != session.language:
            self._tracker.adopt(proposal.language)
            end, after = proposal.window.end, session.state.last_end
            self._finish_segment()
            self._start_session(proposal.language, start=session.start, decided_at=end, after=after)
            session = self._session(proposal.language, decided_at=end)
        self._announce()
        if final and session.judged_silent(proposal):
            self.running.unwritten = "no_speech" if session.untouched else "no_words"
            words, proposal = list[Word](), proposal.until(0)
        else:
            sure = proposal.until(session.before_skip(proposal, self.running.voicing))
            words = session.accept(sure, frontier=self._language_frontier(), final=final)
        self._publish(words, proposal, language=session.language)
        rest = proposal.after(len(words))
        if not final:
            if self.segments.is_long():
                self._finish_segment()
            begins = max(rest.begins(self.running.speech), session.state.last_end)
            self._emit(
                Partial(
                    committed=self.segments.text,
                    tentative=rest.text,
                    language=session.language,
                    start=self.segments.begins(begins),
                    end=proposal.window.end,
                )
            )
        return rest

    def _take_up(self, rest: Proposal, end: int) -> None:
        """Decode from the newest committed word on while a final decode left out speech."""
        for _ in range(SKIPS):
            session, before = self.running.session, self.running.decided
            heard = self.running.voicing.spoken(before, end) if self._options.vad.enabled else 0
            if session is None or not session.leaves_out(rest, end, spoken=heard):
                break
            session.go_on_from(max(before, session.state.window_start))
            said = [word.text for word in self.segments.words]
            proposal = session.propose(self._window(session, end), final=True, said=said)
            rest = self._commit(session, proposal, final=True)
            if session.state.last_end == before and rest.words:
                words = session.accept(proposal, frontier=EVERYTHING, final=True)
                self._publish(words, proposal, language=session.language)
                rest = proposal.after(len(proposal.words))

    def _language_frontier(self) -> int:
        """No word after this sample may be committed: its language is not certain yet."""
        return self._tracker.feed(()).frontier if self._tracker.needs_frames else EVERYTHING

    def _publish(self, words: list[Word], proposal: Proposal, *, language: str) -> None:
        if words:
            sure = proposal.language_probability or self._tracker.feed(()).probability
            self.segments.note(proposal, language_probability=sure)
            if not self.segments.words:
                self._tell(self.segments.leave_out(words[0].start, "no_words", over=HOLE))
            tagged = self._listener.tag(words, proposal.window)
            placed = self.segments.add(tagged, language=language)
            self._emit(Committed(words=tuple(placed), language=language))

    def _finish_segment(self, until: int | None = None, reason: GapReason = "no_words") -> None:
        self._tell(self.segments.close(until, reason))

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._emit(event)

    def is_full(self, end: int) -> bool:
        """Whether a window up to ``end`` is as long as one may get."""
        return end - self.running.window_start > self._longest

    def _keep_window_short(self, session: LanguageSession, end: int) -> None:
        if end - session.state.window_start > self._soft:
            session.shorten(keep=self._soft // 2)
        if self.is_full(end):
            self._cut(session, end)

    def _cut(self, session: LanguageSession, end: int) -> None:
        """End the window at the least likely speech of its second half and go on from there."""
        point = self.running.voicing.quietest(
            max(session.state.last_end, session.state.window_start), end
        )
        self._finish_session(session, end=end, point=ChangePoint.given(point))
        self._start_session(session.language, start=point, decided_at=end)
        self.running.listened.floor = max(self.running.listened.floor, point)
