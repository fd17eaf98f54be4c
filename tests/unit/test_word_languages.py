"""A word's own language, told without turning its session's."""

from dataclasses import dataclass

import numpy as np
import pytest

from whisper_service.lid import LidFrame
from whisper_service.streaming.encodings import Window
from whisper_service.streaming.segments import SegmentBuilder
from whisper_service.streaming.word_languages import SURE, widened, word_languages
from whisper_service.types import Word, to_samples

LANGUAGES = ("en", "es", "fr", "zh")


@dataclass
class Encoded:
    frames: int
    nbytes: int = 0


WINDOW = Window(0, to_samples(4.0), Encoded(200))


class Head:
    """Stands in for the encodings: Spanish from 1 s to 2 s, French from 2 s on, else English."""

    def __init__(self, sure=0.99):
        self.sure, self.calls = sure, []

    def shared_frames(self, window, spans):
        self.calls.append(list(spans))
        return [LidFrame(start=s.start, end=s.end, probabilities=self.hear(s)) for s in spans]

    def hear(self, span):
        index = min(2, int(span.centre >= to_samples(1.0)) + int(span.centre >= to_samples(2.0)))
        row = np.full(len(LANGUAGES), (1 - self.sure) / (len(LANGUAGES) - 1), np.float32)
        row[index] = self.sure
        return row


def word(text, start, end, language="en"):
    times = {"start": to_samples(start), "end": to_samples(end)}
    return Word(text=text, probability=0.9, language=language, tokens=(1,), **times)


WORDS = [word(" a", 0.2, 0.8), word(" b", 1.2, 1.8), word(" c", 2.2, 2.8)]


def tagged(head, words=WORDS, allowed=LANGUAGES):
    made = word_languages(words, WINDOW, encodings=head, allowed=allowed, languages=LANGUAGES)
    return [w.language for w in made]


def test_a_word_is_in_the_language_of_its_own_span_in_one_call():
    head = Head()
    assert tagged(head) == ["en", "es", "fr"]
    assert len(head.calls) == 1
    assert [(s.start, s.end) for s in head.calls[0]] == [(w.start, w.end) for w in WORDS]


def test_nothing_but_the_tag_changes():
    words = word_languages(WORDS, WINDOW, encodings=Head(), allowed=LANGUAGES, languages=LANGUAGES)
    assert [(w.text, w.start, w.end, w.tokens) for w in words] == [
        (w.text, w.start, w.end, w.tokens) for w in WORDS
    ]


@pytest.mark.parametrize(("sure", "language"), [(SURE + 0.01, "es"), (SURE - 0.01, "en")])
def test_a_doubtful_word_stays_in_its_session(sure, language):
    assert tagged(Head(sure), WORDS[1:2]) == [language]


def test_a_language_that_is_not_allowed_is_no_tag():
    assert tagged(Head(), allowed=("en", "es", "other")) == ["en", "es", "en"]


@pytest.mark.parametrize("allowed", [("en",), ("en", "other")])
def test_where_one_language_is_allowed_nothing_is_asked(allowed):
    head = Head()
    assert tagged(head, allowed=allowed) == ["en", "en", "en"]
    assert head.calls == []


def test_a_short_word_is_heard_with_what_is_around_it():
    span = widened(to_samples(1.5), to_samples(1.6), WINDOW)
    assert (span.start, span.end) == (to_samples(1.4), to_samples(1.7))


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.1), (3.95, 4.0), (4.0, 4.0), (4.1, 4.1)])
def test_spans_lie_within_the_window_and_are_never_empty(start, end):
    span = widened(to_samples(start), to_samples(end), WINDOW)
    assert 0 <= span.start < span.end
    assert span.end <= max(WINDOW.end, span.start + 320)


def test_segment_and_spacing_go_by_the_session_not_by_a_tag():
    builder = SegmentBuilder()
    builder.add([word("你", 0.0, 0.3, "zh")], language="zh")
    builder.finish()
    builder.add([word("OK", 0.4, 0.7, "en"), word("好", 0.7, 1.0, "zh")], language="zh")
    segment = builder.finish()
    assert segment.text == "OK好"  # no space: the session is Chinese
    assert segment.language == "zh"
    assert [w.language for w in segment.words] == ["en", "zh"]
    (after,) = builder.add([word("Yes", 1.2, 1.5)], language="en")
    assert after.text == " Yes"
