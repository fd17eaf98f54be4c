"""Committed words become segments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from whisper_service.events import AudioSkipped, Event, Final
from whisper_service.policy.guards import compression_ratio
from whisper_service.streaming.session import Proposal, average_logprob, confidence, spaced
from whisper_service.types import GapReason, Segment, Word, to_samples

SENTENCE_END = ("。", "？", "！", ".", "?", "!", "…")
LONG = to_samples(10.0)  # a segment longer than this ends with its next sentence
LONGEST = to_samples(25.0)  # and one longer than this at the next word
HOLE = to_samples(1.0)  # a longer stretch without words is no edge of a segment: it is left out


@dataclass(slots=True)
class SegmentBuilder:
    """Collects the words of the running segment and numbers the finished ones.

    Words are timed by attention, which leaves some speech around each, so segments are not made of
    their times alone: up to ``border`` (samples) all speech is in a segment or left out, and the
    next segment begins there. ``previous`` is the language of the newest session that committed
    words in the stream, which decides about the space in front of the next segment.
    """

    next_id: int = 0
    border: int = 0
    start: int = 0  # of the running segment, in samples
    language: str = ""  # of the running segment
    words: list[Word] = field(default_factory=list)
    previous: str | None = None
    language_probabilities: list[float] = field(default_factory=list)
    no_speech_prob: float = 0.0

    @property
    def text(self) -> str:
        return "".join(w.text for w in self.words)

    def add(self, words: list[Word], *, language: str | None = None) -> list[Word]:
        """Append committed words of a session in ``language`` (default: the words' own).

        A word may be tagged with another language than its session's; the segment, and the space
        in front of it, go by the session's. Returns the words with the spacing they have in the
        transcript.
        """
        spaced_words = []
        for word in words:
            own = language or word.language
            text = word.text
            if not self.words:
                self.start = self.begins(word.start)
                self.language = own
                text = spaced(text, language=own, previous=self.previous)
            placed = replace(word, text=text)
            self.words.append(placed)
            self.previous = own
            spaced_words.append(placed)
        return spaced_words

    def begins(self, at: int) -> int:
        """Where the running segment begins if its first word begins at ``at`` (samples)."""
        if self.words:
            return self.start
        return at if at - self.border > HOLE else min(at, self.border)

    def note(self, proposal: Proposal, *, language_probability: float) -> None:
        """Remember what a decode said about the running segment as a whole."""
        self.no_speech_prob = proposal.hypothesis.no_speech_prob
        self.language_probabilities.append(language_probability)

    def is_long(self) -> bool:
        """Whether the running segment should end here rather than at the end of speech."""
        if not self.words:
            return False
        length = self.words[-1].end - self.words[0].start
        ends = self.words[-1].text.rstrip().endswith(SENTENCE_END)
        return length > LONGEST or (length > LONG and ends)

    def close(self, until: int | None, reason: GapReason) -> list[Event]:
        """Close the running segment; what is left before ``until`` is the next one's, if short."""
        segment = self.finish(until)
        events: list[Event] = [Final(segment=segment)] if segment else []
        return events if until is None else events + self.leave_out(until, reason, over=HOLE)

    def leave_out(self, until: int, reason: GapReason, *, over: int = 0) -> list[Event]:
        """Mark what lies before ``until`` and in no segment, if longer than ``over`` (samples)."""
        start = self.border
        if until - start <= over:
            return []
        self.border = until
        return [AudioSkipped(start=start, end=until, reason=reason)]

    def finish(self, until: int | None = None) -> Segment | None:
        """Close the running segment; ``None`` when it has no words.

        It reaches to ``until`` (samples), where its session or the speech ends, unless its last
        word ends behind that or :data:`HOLE` before it.
        """
        if not self.words:
            self._clear()
            return None
        text = self.text
        said = max(w.end for w in self.words)
        self.border = said if until is None or not 0 < until - said <= HOLE else until
        probabilities = self.language_probabilities or [0.0]
        segment = Segment(
            id=self.next_id,
            start=self.start,
            end=self.border,
            text=text,
            language=self.language,
            language_probability=min(1.0, sum(probabilities) / len(probabilities)),
            confidence=confidence(self.words),
            avg_logprob=average_logprob(self.words),
            no_speech_prob=self.no_speech_prob,
            compression_ratio=compression_ratio(text),
            tokens=tuple(t for w in self.words for t in w.tokens),
            words=tuple(self.words),
        )
        self.next_id += 1
        self._clear()
        return segment

    def _clear(self) -> None:
        self.words = []
        self.language_probabilities = []
        self.no_speech_prob = 0.0
