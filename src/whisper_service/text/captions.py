"""Captions shaped for reading: short lines, few of them, broken where a reader pauses.

The limits are those of the Netflix *Timed Text Style Guide: General Requirements*: 42 characters a
line, two lines, at most 7 s and at least 5/6 s a cue, one line where one is enough, breaks after
punctuation. A character that Unicode calls wide (UAX #11) takes two cells, so a line holds 21
ideographs. Where to break is the cheapest partition, found by dynamic programming, as in D. E.
Knuth and M. F. Plass, "Breaking Paragraphs into Lines", Software: Practice and Experience 11, 1981.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from whisper_service.errors import InvalidOptionError
from whisper_service.text.normalize import is_unspaced
from whisper_service.types import Segment, Word, to_samples

SHOWN = 17  # samples: a millisecond, the formats' resolution, and one that survives ties to even
PAUSE = to_samples(0.3)  # a silence between two words at which a cue may well end
SENTENCE_END = frozenset(".?!…。？！｡؟۔।॥")
CLAUSE_END = frozenset(",;:，、；：､،؛–—")

# Costs of a partition; only their order matters.
CUE = 0.5  # so that short sentences share a cue
CLAUSE_BREAK = 0.8  # after a comma or a pause: dearer than another cue at the end of a sentence
WORD_BREAK = 1.6  # between two words of a clause: dearer than another cue at any better place
SHORT_CUE = 0.5  # gone before it is read
UNEVEN = 0.3  # weight of the squared share of a cue or line that stays empty
LINE = 100.0  # so that the fewest lines win


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionOptions:
    """Limits of a caption. Raises ``InvalidOptionError`` for limits nothing fits into."""

    max_line_width: int = 42  # cells; a wide character takes two
    max_line_count: int = 2
    max_duration: float = 7.0  # s
    min_duration: float = 5 / 6  # s, as far as the next cue leaves the time

    def __post_init__(self) -> None:
        if self.max_line_width < 1 or self.max_line_count < 1:
            raise InvalidOptionError(
                f"captions of {self.max_line_count} lines of {self.max_line_width} characters "
                "hold nothing; give at least 1 and 1"
            )
        if not 0.0 <= self.min_duration <= self.max_duration or self.max_duration < 0.001:
            raise InvalidOptionError(
                f"captions cannot last {self.min_duration} to {self.max_duration} s; "
                "give 0 <= min_duration <= max_duration"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What is shown from ``start`` to ``end`` (samples), in the language of its segment."""

    start: int
    end: int
    language: str
    lines: tuple[tuple[Word, ...], ...]

    @property
    def text(self) -> str:
        return "\n".join(join_words(line) for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Words that no break may separate, such as the letters of a Latin name in Chinese text."""

    words: tuple[Word, ...]
    start: int
    end: int

    @classmethod
    def of(cls, words: Sequence[Word]) -> _Unit:
        return cls(tuple(words), min(w.start for w in words), max(w.end for w in words))


def display_width(text: str) -> int:
    """Cells ``text`` takes: two for a wide character, none for a combining or invisible one."""
    return sum(map(_cells, text))


def join_words(words: Iterable[Word]) -> str:
    """Text of ``words`` on one line."""
    return " ".join("".join(w.text for w in words).split())


def shape(segments: Iterable[Segment], options: CaptionOptions) -> list[Cue]:
    """Cues of ``segments`` in their order.

    Each word appears once; a cue never spans two segments, hence never two sessions. Times are
    monotone and don't overlap. A line is wider than allowed only when a single word is.
    """
    cues = [cue for segment in segments for cue in _Shaper(segment, options).cues()]
    return list(_timed(cues, options))


class _Shaper:
    """The breaks of one segment: first into cues, then each cue into lines."""

    def __init__(self, segment: Segment, options: CaptionOptions) -> None:
        self._language = segment.language
        self._options = options
        self._room = options.max_line_width * options.max_line_count
        self._shortest = to_samples(options.min_duration)
        self._longest = to_samples(options.max_duration)
        self._units = _units(_clean(segment.words or _spread(segment)), options.max_line_width)
        self._penalties = [_break_penalty(a, b) for a, b in pairwise(self._units)] + [0.0]
        widths = [display_width(join_words(u.words)) for u in self._units]
        spaces = [int(u.words[0].text.startswith(" ")) for u in self._units]
        self._ends = [0]  # cells up to the end of each unit, its leading space included
        for space, width in zip(spaces, widths, strict=True):
            self._ends.append(self._ends[-1] + space + width)
        self._starts = [end + space for end, space in zip(self._ends, spaces, strict=False)]
        self._reach = [self._line_end(i) for i in range(len(self._units))]

    def cues(self) -> Iterator[Cue]:
        for first, last in _cheapest(0, len(self._units), self._cue_cost):
            units = self._units[first:last]
            yield Cue(
                start=min(u.start for u in units),
                end=max(u.end for u in units),
                language=self._language,
                lines=tuple(self._lines(first, last)),
            )

    def _lines(self, first: int, last: int) -> Iterator[tuple[Word, ...]]:
        def cost(start: int, end: int) -> float:
            return self._line_cost(start, end, last)

        for start, end in _cheapest(first, last, cost):
            yield tuple(w for unit in self._units[start:end] for w in unit.words)

    def _width(self, first: int, last: int) -> int:
        return self._ends[last] - self._starts[first]

    def _line_end(self, first: int) -> int:
        last = first + 1
        while (
            last < len(self._units) and self._width(first, last + 1) <= self._options.max_line_width
        ):
            last += 1
        return last

    def _fits(self, first: int, last: int) -> bool:
        at = first
        for _ in range(self._options.max_line_count):
            at = self._reach[at]
            if at >= last:
                return True
        return False

    def _cue_cost(self, first: int, last: int) -> float:
        duration = self._units[last - 1].end - self._units[first].start
        too_long = last - first > 1 and duration > self._longest
        if too_long or not self._fits(first, last):
            return math.inf
        short = SHORT_CUE if duration < self._shortest else 0.0
        empty = max(0.0, 1.0 - self._width(first, last) / self._room)
        return CUE + short + UNEVEN * empty**2 + self._penalties[last - 1]

    def _line_cost(self, first: int, last: int, cue_end: int) -> float:
        if last > self._reach[first]:
            return math.inf
        empty = max(0.0, 1.0 - self._width(first, last) / self._options.max_line_width)
        penalty = self._penalties[last - 1] if last < cue_end else 0.0
        return LINE + empty**2 + UNEVEN * penalty


def _cheapest(first: int, last: int, cost: Callable[[int, int], float]) -> list[tuple[int, int]]:
    """Partition ``[first, last)`` into the pieces of least total cost.

    A piece of one is always allowed; where a piece is not (infinite cost), no longer one is.
    """
    best: dict[int, tuple[float, int]] = {first: (0.0, first)}
    for end in range(first + 1, last + 1):
        best[end] = (math.inf, end - 1)
        for start in range(end - 1, first - 1, -1):
            piece = cost(start, end)
            if piece == math.inf:
                break
            best[end] = min(best[end], (best[start][0] + piece, start))
    pieces = []
    while last > first:
        start = best[last][1]
        pieces.append((start, last))
        last = start
    return pieces[::-1]


def _timed(cues: Sequence[Cue], options: CaptionOptions) -> Iterator[Cue]:
    """Make times monotone, then each cue as long as it has to be and not longer than it may."""
    shortest, longest = to_samples(options.min_duration), to_samples(options.max_duration)
    free = 0
    for index, cue in enumerate(cues):
        start = max(cue.start, free)
        end = min(max(cue.end, start + shortest), start + longest)
        if index + 1 < len(cues):
            end = min(end, max(cues[index + 1].start, start))
        free = max(end, start + SHOWN)
        yield replace(cue, start=start, end=free)


def _clean(words: Iterable[Word]) -> Iterator[Word]:
    """Words with text, their spaces inside as one, their leading one kept."""
    spaced = False
    for word in words:
        text = " ".join(word.text.split())
        leading = spaced or word.text[:1].isspace()
        spaced = word.text[-1:].isspace() or (leading and not text)
        if text:
            yield replace(word, text=" " + text if leading else text)


def _spread(segment: Segment) -> list[Word]:
    """Words for a segment that has none, its time shared by width."""
    texts = [t for part in re.findall(r"\s*\S+", segment.text) for t in _characters(part)]
    total = max(1, sum(map(display_width, texts)))
    words, seen = [], 0
    for text in texts:
        start = segment.start + (segment.end - segment.start) * seen // total
        seen += display_width(text)
        end = segment.start + (segment.end - segment.start) * seen // total
        words.append(
            Word(
                text=text,
                start=start,
                end=end,
                probability=segment.confidence,
                language=segment.language,
            )
        )
    return words


def _characters(part: str) -> list[str]:
    return list(part) if any(map(is_unspaced, part)) else [part]


def _units(words: Iterable[Word], max_width: int) -> list[_Unit]:
    groups: list[list[Word]] = []
    for word in words:
        if groups and _glued(groups[-1][-1].text, word.text):
            groups[-1].append(word)
        else:
            groups.append([word])
    units: list[_Unit] = []
    for group in groups:
        fits = display_width(join_words(group)) <= max_width
        units.extend([_Unit.of(group)] if fits else [_Unit.of([w]) for w in group])
    return units


def _glued(before: str, after: str) -> bool:
    """Whether no line may break between the two texts."""
    left, right = before[-1], after[0]
    if right == " ":
        return False
    if left in "¿¡" or unicodedata.category(left) in ("Ps", "Pi"):
        return True
    category = unicodedata.category(right)
    if category[0] == "M" or (category in ("Pe", "Pf", "Po", "Pd") and right not in "¿¡"):
        return True
    one_word = left.isalnum() and right.isalnum()
    return one_word and not (is_unspaced(left) or is_unspaced(right))


def _break_penalty(before: _Unit, after: _Unit) -> float:
    last = before.words[-1].text.rstrip("\"'”’»)]」』")[-1:]
    if last in SENTENCE_END:
        return 0.0
    if last in CLAUSE_END or after.start - before.end >= PAUSE:
        return CLAUSE_BREAK
    return WORD_BREAK


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
