"""Follows the language of a stream: the one class of this package that a session uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from whisper_service.config import LanguageOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.lid.allowed import AllowedLanguages
from whisper_service.lid.smoother import LanguageSmoother, Vector, log_evidence
from whisper_service.lid.state import EVERYTHING, LanguageChange, LanguageState, LidFrame
from whisper_service.lid.sustained import Candidate, SustainedChange
from whisper_service.lid.timeline import LanguageTimeline
from whisper_service.lid.tracker_state import Contest, Strong, TrackerState
from whisper_service.types import SAMPLE_RATE, LanguagePolicy, to_samples

INDEPENDENT = 2 / 3
"""Share of a window after which its evidence counts as new. Frames overlap, so each would count
``hop / window`` of its evidence; but after a change most of them still hear the language before
it too. On simulated streams this share decides 0.25 s earlier at no more false changes."""

HEARD_SLACK = 2
"""A change needs one raw frame more than ``min_dwell_frames``, among this many more than that:
a burst of errors as long as the dwell never suffices, and one stray frame costs nothing."""

STRONG_SPEECH = to_samples(0.4)  # frames of less do not count against the language before it
CAUTION = to_samples(0.3)  # frames agree with the decided language so far behind a change of it
CONTEST_LIMIT = to_samples(3.0)  # a contest that neither language wins holds text back so long


class LanguageTracker:
    """From LID frames to the language of the speech, by policy.

    ``forced``: the one language named; ``auto_lock``: decided once and kept;
    ``code_switch``: followed, within ``options.languages`` or all. How frames are grouped into
    feeds does not change any decision. Raises ``InvalidOptionError`` for a language that
    ``languages`` (the engine's, the columns of a frame) lacks, and for ``forced`` without one.
    """

    looks_twice = True  # whether a frame's ``newest`` counts, and what the text says of a change

    def __init__(
        self,
        languages: Sequence[str],
        options: LanguageOptions,
        *,
        initial: str | None = None,
    ) -> None:
        self._languages = tuple(languages)
        self._options = options
        self._initial = initial
        self._floor = to_samples(options.evidence_floor)
        self._max_wait = to_samples(options.max_wait)
        self._hop = to_samples(options.hop)
        self._independent = round(to_samples(options.window) * INDEPENDENT)
        self._unheard = (options.median // 2 + 1) * self._hop
        self._sustained = SustainedChange(options)
        self._apply(options.policy, options.languages or self._forced_by(initial))
        self.reset()

    @property
    def needs_frames(self) -> bool:
        """False once frames cannot change anything: the caller saves the work."""
        return not (self._policy == "forced" or self._state.locked or len(self._languages) == 1)

    @property
    def uncertain(self) -> bool:
        """The two best languages lie within ``confidence_margin``: decode both."""
        unsure = self._margin() < self._options.confidence_margin
        return self.needs_frames and len(self.best_two) == 2 and unsure

    @property
    def best_two(self) -> tuple[tuple[str, float], ...]:
        """The most probable allowed languages with their probabilities, best first."""
        if not self.needs_frames and self._state.language is not None:
            return ((self._allowed.codes[self._state.language], self._state.lock_probability),)
        belief = self._smoother.posterior[: len(self._allowed)]
        order = np.argsort(-belief, kind="stable")[:2]
        return tuple((self._allowed.codes[i], float(belief[i])) for i in order)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of :attr:`timeline`: allowed languages, then ``"other"``."""
        return self._allowed.columns

    @property
    def timeline(self) -> LanguageTimeline:
        """``(centre, probabilities [columns])`` of the newest frames, as fed."""
        return self._state.timeline

    def reset(self) -> None:
        """Forget the stream; policy and languages stay as last set."""
        self._state = TrackerState()
        self._state.language = self._column(self._initial)
        self._smoother = self._new_smoother()

    def set_policy(self, policy: LanguagePolicy, languages: Sequence[str] = ()) -> None:
        """Change policy and allowed languages; evidence restarts at the next frame.

        A decided language stays if it is still allowed. A forced language holds at once and is
        not reported as a change. Raises ``InvalidOptionError`` as the constructor does.
        """
        state = self._state
        current = None if state.language is None else self._allowed.codes[state.language]
        self._apply(policy, languages)
        state.language = self._column(current)
        state.locked, state.confirmed, state.contest = False, policy == "forced", None
        state.first_centre = None if state.newest is None else -1  # not the utterance's first
        state.strong = Strong()
        for columns in (state.heard, state.timeline):
            columns.clear()  # of the languages before
        self._smoother = self._new_smoother()
        self._smoother.restart(self._prior())

    def start_utterance(self, at: int) -> None:
        """Speech begins at sample ``at``: evidence restarts.

        The language so far becomes a mild prior; if the utterance turns out to be in another
        one, that is a change whose ``crossing`` is ``at``.
        """
        self._smoother.restart(self._prior())
        self._state.begin(at, confirmed=not self.needs_frames)

    def feed(self, frames: Sequence[LidFrame]) -> LanguageState:
        """Take the frames since the last feed (oldest first, maybe none): what is known now."""
        changes = [self._step(frame) for frame in frames] if self.needs_frames else []
        return self._snapshot(tuple(change for change in changes if change))

    def adopt(self, language: str) -> None:
        """Take ``language`` (an allowed one) as decided: the caller has better evidence.

        Raises ``InvalidOptionError`` for a language outside the allowed ones.
        """
        if language not in self._allowed.codes:
            allowed = ", ".join(self._allowed.codes)
            raise InvalidOptionError(f"{language!r} is not one of: {allowed}")
        self._state.settle(self._allowed.codes.index(language))

    def deny(self, change: LanguageChange) -> None:
        """Take ``change`` back: the text speaks for the language before it.

        From where it seemed to happen nothing is known, as at the start of an utterance.
        """
        state, newest = self._state, self._state.newest
        self.adopt(change.old)
        state.confirmed = state.locked = False
        if state.started is not None:
            state.speech += change.crossing - state.started
            self.start_utterance(change.crossing)
            state.newest = newest  # the next frame overlaps it

    def postpone(self, change: LanguageChange) -> None:
        """Take ``change`` back for now: a later frame may decide it again.

        The evidence stays, and so does the contest that holds text back.
        """
        if self._state.language == self._allowed.codes.index(change.new):
            self._state.undo()

    def end_utterance(self) -> LanguageState:
        """Speech has ended: decide with what there is. The frontier is :data:`EVERYTHING`.

        An utterance below the evidence floor keeps the language before it unless every frame
        over at least 0.4 s of speech gives another one a probability of 0.95 or more.
        """
        state = self._state
        changes: tuple[LanguageChange, ...] = ()
        if self.needs_frames and state.newest is not None and not state.confirmed:
            change = self._decide_at_end(state.newest)
            changes = (change,) if change else ()
        if state.started is not None and state.newest is not None:
            state.speech += state.newest.end - state.started
        state.confirmed, state.contest = True, None
        snapshot = self._snapshot(changes)
        state.started, state.newest = None, None
        return replace(snapshot, frontier=EVERYTHING)

    def _step(self, frame: LidFrame) -> LanguageChange | None:
        state = self._state
        if state.started is None:
            self.start_utterance(frame.start)
        previous = state.newest
        state.newest = frame
        if state.first_centre is None:
            state.first_centre = frame.centre
        probabilities = self._allowed.restrict(frame.probabilities)
        state.timeline.add(frame.centre, probabilities)
        seconds = (frame.end - frame.start) / SAMPLE_RATE
        step = frame.start - previous.start if previous else frame.end
        self._smoother.feed(
            log_evidence(probabilities, seconds),
            at=frame.centre,
            weight=min(1.0, self._hop / self._independent) if 0 < step <= self._hop else 1.0,
            nested=step == 0,
        )
        state.heard.append(int(np.argmax(probabilities)))
        if len(state.heard) > self._options.min_dwell_frames + HEARD_SLACK:
            state.heard.popleft()
        if frame.end - (state.started or 0) >= STRONG_SPEECH:
            state.strong.note(probabilities, len(self._allowed))
        self._note_contest(frame)
        change = self._decide(frame)
        if state.heard[-1] == state.language:
            state.agreed = frame.centre
        return change

    def _decide(self, frame: LidFrame) -> LanguageChange | None:
        """Judge the newest frame: a change, a confirmation, or nothing yet."""
        state = self._state
        speech = frame.end - (state.started or 0)
        if speech < self._floor:
            return None
        candidate = self._candidate()
        if (
            candidate is not None
            and candidate.sustained
            and self._is_heard(candidate.language, frame)
        ):
            return self._settle(candidate.language, self._crossing(candidate), frame)
        best = int(np.argmax(self._smoother.posterior[: len(self._allowed)]))
        waited = speech >= self._max_wait
        if state.language is None and waited:
            return self._settle(best, state.started or 0, frame)
        sure = self._margin() > self._options.confidence_margin and self._mostly_heard(best)
        if state.language == best and not state.confirmed and (sure or waited):
            return self._settle(best, state.started or 0, frame)
        state.confirmed = state.confirmed or waited
        return None

    def _decide_at_end(self, frame: LidFrame) -> LanguageChange | None:
        """Judge an utterance that ended before its language was confirmed."""
        state = self._state
        start = state.started or 0
        speech = frame.end - start
        best = int(np.argmax(self._smoother.posterior[: len(self._allowed)]))
        if state.language is None:
            return self._settle(best, start, frame, final=speech + state.speech >= self._floor)
        strong = state.strong.column
        if speech < self._floor and strong is not None and strong != state.language:
            return self._settle(strong, start, frame)
        return None

    def _settle(
        self, column: int, crossing: int, frame: LidFrame, *, final: bool = True
    ) -> LanguageChange | None:
        """Take ``column`` as the language; a change if another one was decided before."""
        state = self._state
        old, probability = state.language, float(self._smoother.posterior[column])
        state.settle(column)
        if self._policy == "auto_lock" and final:
            state.locked, state.lock_probability = True, probability
        if old is None or old == column:
            return None
        return LanguageChange(
            old=self._allowed.codes[old],
            new=self._allowed.codes[column],
            crossing=crossing,
            decided_at=frame.end,
            probability=probability,
        )

    def _candidate(self) -> Candidate | None:
        """Ask the switch detector; beliefs are smoothed only where the newest one disagrees."""
        newest = self._smoother.posterior
        if int(np.argmax(newest)) == self._state.language:
            return None
        candidate = self._sustained.check(
            self._smoother.times, self._smoother.smoothed(), old=self._state.language
        )
        return None if candidate and candidate.language >= len(self._allowed) else candidate

    def _is_heard(self, column: int, frame: LidFrame) -> bool:
        """Whether more raw frames than a burst of errors lasts, the newest included, agree.

        The newest part of the newest frame must agree too: a single word may be over by now.
        """
        heard, old = self._state.heard, self._state.language
        if old is None:
            return True
        lasts = True
        if frame.newest is not None:
            newest = self._allowed.restrict(frame.newest)
            lasts = bool(newest[column] > newest[old])
        return (
            lasts and heard[-1] == column and heard.count(column) > self._options.min_dwell_frames
        )

    def _mostly_heard(self, column: int) -> bool:
        """Whether the newest frames themselves say so, not only what was spoken before them."""
        return 2 * self._state.heard.count(column) > len(self._state.heard)

    def _crossing(self, candidate: Candidate) -> int:
        """Where a change happened: the utterance's start if it reaches back to its first frame."""
        state = self._state
        if candidate.since == state.first_centre and state.started is not None:
            return state.started
        return candidate.crossing

    def _note_contest(self, frame: LidFrame) -> None:
        """Open, keep or close the contest by the newest median-filtered evidence alone.

        It sees another language several frames before the belief does, and in the meantime
        no text of the disputed stretch may be committed.
        """
        state = self._state
        if state.language is None:
            return
        instant = self._smoother.instant[: len(self._allowed)]
        best = int(np.argmax(instant))
        lead = float(instant[best] - instant[state.language])
        if lead <= self._options.confidence_margin:
            state.contest = None
        elif state.contest is None:
            frozen = self._heard_to(frame) - CAUTION
            state.contest = Contest(language=best, since=frame.centre, frozen=frozen)
        else:
            state.contest.language = best

    def _snapshot(self, changes: tuple[LanguageChange, ...]) -> LanguageState:
        state = self._state
        best = self.best_two
        contest = state.contest
        language = None if state.language is None else self._allowed.codes[state.language]
        restricted = self._allowed.restricted and self.needs_frames
        return LanguageState(
            language=language,
            probability=self._probability(),
            margin=self._margin(),
            settled=language is not None and state.confirmed and contest is None,
            frontier=self._frontier(),
            candidate=self._candidate_name(best[0][0], language),
            candidate_since=contest.since if contest else None,
            changes=changes,
            other=float(self._smoother.posterior[-1]) if restricted else 0.0,
        )

    def _candidate_name(self, best: str, language: str | None) -> str | None:
        """Name the contested language, or the best guess while nothing is decided."""
        if self._state.contest is not None:
            return self._allowed.codes[self._state.contest.language]
        return best if language is None and self._state.newest is not None else None

    def _probability(self) -> float:
        state = self._state
        if not self.needs_frames and state.language is not None:
            return state.lock_probability
        if state.language is None:
            return self.best_two[0][1]
        return float(self._smoother.posterior[state.language])

    def _margin(self) -> float:
        best = self.best_two
        return best[0][1] - (best[1][1] if len(best) == 2 else 0.0)

    def _frontier(self) -> int:
        """Sample up to which the language is known to hold."""
        state = self._state
        if not self.needs_frames:
            return EVERYTHING
        if state.newest is None or not state.confirmed or state.language is None:
            return state.started or 0
        contest = state.contest
        if contest and state.newest.centre - contest.since < CONTEST_LIMIT:
            return contest.frozen
        return state.newest.centre if contest else self._heard_to(state.newest)

    def _heard_to(self, frame: LidFrame) -> int:
        """Where the language holds: a frame itself agrees, or the median has seen two behind it."""
        return max(self._state.agreed, frame.centre - self._unheard)

    def _prior(self) -> Vector:
        """Belief at the start of an utterance: the language so far, or nothing."""
        if self._state.language is None:
            return self._smoother.shares
        return self._smoother.after_pause(self._state.language)

    def _apply(self, policy: LanguagePolicy, languages: Sequence[str]) -> None:
        allowed = AllowedLanguages(self._languages, languages)
        if policy == "forced" and len(allowed) != 1:
            raise InvalidOptionError("a forced language needs exactly one language code")
        self._policy, self._allowed = policy, allowed

    def _column(self, language: str | None) -> int | None:
        """Column of the only possible language, or of the one given if it is allowed."""
        if self._policy == "forced" or len(self._languages) == 1:
            return 0
        codes = self._allowed.codes
        return codes.index(language) if language in codes else None

    def _forced_by(self, initial: str | None) -> tuple[str, ...]:
        return (initial,) if initial and self._options.policy == "forced" else ()

    def _new_smoother(self) -> LanguageSmoother:
        shares = self._allowed.shares
        return LanguageSmoother(self._options, len(shares), shares=shares)
