"""What an utterance sounds like, language-wise: LID frames shown to the tracker, change points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from whisper_service.config import LanguageOptions
from whisper_service.engine.base import Engine
from whisper_service.lid import (
    LanguageChange,
    LanguageState,
    LanguageTracker,
    LidFrame,
    LidSpan,
    lid_spans,
)
from whisper_service.metrics import PerformanceMetrics
from whisper_service.streaming.encodings import Encodings, Window
from whisper_service.streaming.localise import ChangePoint, candidates, change_point, snapped
from whisper_service.streaming.word_languages import word_languages
from whisper_service.types import Word, to_samples

WHOLE = to_samples(0.5)
"""Another language this close to the start of the speech concerns the whole utterance."""


NEWEST = to_samples(0.4)  # part of a span that must itself speak for a suspected language

ATONCE = 8  # spans heard together while the language is disputed

UNDOUBTED = 0.95
"""Probability of the session's language in every frame around a word that settles its tag."""


@dataclass(slots=True)
class Heard:
    """How far an utterance has been listened to; positions in samples."""

    until: int  # end of the newest LID frame
    floor: int  # start of the speech or the last change: evidence from before it counts no more
    frames: int = 0
    disputed: bool = False  # whether the newest frames speak for another language
    candidate: int | None = None  # where another language seems to begin: spans are cut there

    def settle(self) -> None:
        """The dispute is over: the change was taken or denied."""
        self.disputed, self.candidate = False, None


class LanguageListener:
    """Shows the tracker the LID frames of the running utterance, and localises changes."""

    def __init__(
        self,
        *,
        engine: Engine,
        options: LanguageOptions,
        encodings: Encodings,
        tracker: LanguageTracker,
        metrics: PerformanceMetrics,
    ) -> None:
        self._engine = engine
        self._options = options
        self._encodings = encodings
        self._tracker = tracker
        self._metrics = metrics
        self._median_delay = options.median // 2 * to_samples(options.hop)

    def follow(self, heard: Heard, *, start: int, end: int, final: bool) -> LanguageState:
        """Show the tracker every LID frame of the window ``[start, end)`` it has not seen yet.

        Stops at a change of language, so that the caller can give what follows to a session of
        its own before more frames are judged.
        """
        while self._tracker.needs_frames:
            spans = self._spans(heard, start=start, end=end, final=final)
            if not spans:
                break
            if heard.disputed:  # what comes next may end the dispute, and is then heard otherwise
                spans = spans[:ATONCE]
            state = self._show(heard, self._listen(heard, spans, start=start, end=end))
            if state is not None and state.change is not None:
                return state
        return self._tracker.end_utterance() if final else self._tracker.feed(())

    def _show(self, heard: Heard, frames: Sequence[LidFrame]) -> LanguageState | None:
        """Feed ``frames`` until one changes where spans are to be cut; ``None``: none did."""
        with self._metrics.measure("lid.smoothing"):
            for frame in frames:
                heard.until = frame.end
                heard.frames += 1
                state = self._tracker.feed([frame])
                if state.change is not None:
                    return state
                heard.disputed = state.candidate_since is not None
                before, heard.candidate = heard.candidate, self._candidate(heard, state)
                if heard.candidate != before:
                    return state
        return None

    def _candidate(self, heard: Heard, state: LanguageState) -> int | None:
        """Where the speech begins that seems to be in another language, if any.

        A span that reaches back before a change hears both languages; cut at the change it is
        right 0.3 s sooner (``benchmarks/span_variants.py``). The centre of the first frame that
        speaks for the other language is close to it; the median filter names it some frames late.
        Near the start of an utterance nothing is cut: the doubt concerns all of it, and cutting
        there doubled the false switches in noise (dev split).
        """
        if state.candidate_since is None:
            return None
        candidate = state.candidate_since - self._median_delay
        return candidate if candidate - heard.floor >= WHOLE else None

    def localise(
        self,
        change: LanguageChange,
        window: Window,
        *,
        floor: int,
        places: Iterable[int],
    ) -> ChangePoint:
        """The sample in ``window``, not before ``floor``, at which the language changed.

        ``window`` ends where the change was decided: what follows would make it depend on load.
        One of ``places`` (samples) is taken where it lies close to it.
        """
        columns = self._engine.languages
        point = change_point(
            listen=partial(self._encodings.shared_frames, window),
            columns=(columns.index(change.old), columns.index(change.new)),
            crossing=change.crossing,
            points=candidates(crossing=change.crossing, floor=floor, end=window.end),
            bounds=(window.start, window.end),
        )
        return snapped(point, places, floor=floor)

    def tag(self, words: list[Word], window: Window) -> list[Word]:
        """``words``, decoded from ``window``, each in the language of its own span.

        Words of which no LID frame had a doubt are not heard again: those are six of seven, and no
        tag was lost by it (``benchmarks/word_languages.py``).
        """
        if not self._tracker.needs_frames or all(map(self.beyond_doubt, words)):
            return words
        return word_languages(
            words,
            window,
            encodings=self._encodings,
            allowed=self._tracker.columns,
            languages=self._engine.languages,
        )

    def beyond_doubt(self, word: Word) -> bool:
        """Whether every LID frame that hears ``word`` heard its session's language."""
        tracker, reach = self._tracker, to_samples(self._options.window / 2)
        if word.language not in tracker.columns:  # the policy has changed since
            return False
        column = tracker.columns.index(word.language)
        least = tracker.timeline.least(column, word.start - reach, word.end + reach)
        return least >= UNDOUBTED

    def _closely(self, heard: Heard, frames: list[LidFrame]) -> list[LidFrame]:
        """``frames``, with the newest part of each heard alone where the language is disputed.

        A span that begins where another language seemed to begin is mostly in that language for
        some time after a single word of it, or a name, is over; its newest part is not.
        """
        if not (heard.disputed and self._tracker.looks_twice and self._engine.dynamic_context):
            return frames
        newest = [LidSpan(start=max(f.start, f.end - NEWEST), end=f.end) for f in frames]
        parts = self._encodings.own_frames(newest, needs=0)
        return [
            replace(frame, newest=part.probabilities)
            for frame, part in zip(frames, parts, strict=True)
        ]

    def _spans(self, heard: Heard, *, start: int, end: int, final: bool) -> list[LidSpan]:
        floor = max(heard.floor, start, heard.candidate or 0)
        with self._metrics.measure("lid.frame_extract"):
            spans = lid_spans(
                after=heard.until,
                until=end,
                floor=floor,
                hop=to_samples(self._options.hop),
                window=to_samples(self._options.window),
            )
        if final and not spans and not heard.frames and floor < end:
            return [LidSpan(start=floor, end=end)]  # shorter than a frame, better than none
        return spans

    def _listen(
        self, heard: Heard, spans: Sequence[LidSpan], *, start: int, end: int
    ) -> list[LidFrame]:
        """Language probabilities of ``spans``, by the kind of evidence the options ask for.

        What the window's encoding says of a span trails a change, because attention carries the
        language before it into the speech after it; a span encoded alone does not, but costs an
        encoding. A span in which the shared encoding is sure of a language needs no second look,
        unless a change is suspected.
        """
        options, encodings = self._options, self._encodings
        suspected = options.evidence == "checked" and heard.candidate is not None
        if (options.evidence == "own" or suspected) and self._engine.dynamic_context:
            return self._closely(heard, encodings.own_frames(spans))
        window = encodings.window(start, end, needs=len(spans), stage="lid.encoder")
        frames = encodings.shared_frames(window, spans)
        if options.evidence == "shared" or not self._engine.dynamic_context:
            return frames
        doubtful = [i for i, f in enumerate(frames) if f.probabilities.max() < options.doubt]
        checked = encodings.own_frames([spans[i] for i in doubtful])
        for i, frame in zip(doubtful, checked, strict=True):
            frames[i] = frame
        return self._closely(heard, frames)
