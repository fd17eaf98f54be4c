"""Committed words become numbered segments."""

from dataclasses import replace

import numpy as np
import pytest

from whisper_service.engine.base import Hypothesis
from whisper_service.streaming.segments import HOLE, LONG, LONGEST, SegmentBuilder
from whisper_service.streaming.session import Proposal
from whisper_service.types import SAMPLE_RATE, Word


def word(text, start=0, end=SAMPLE_RATE, *, language="en", tokens=(1,)):
    return Word(text=text, start=start, end=end, probability=0.5, language=language, tokens=tokens)


def said(builder, *texts, language="en"):
    return [w.text for w in builder.add([word(t, language=language) for t in texts])]


def proposal(no_speech):
    hypothesis = Hypothesis(
        tokens=(),
        logprobs=(),
        frames=(),
        attention=np.zeros((0, 4), np.float32),
        end_logprob=0.0,
        no_speech_prob=no_speech,
        stopped="end",
    )
    return Proposal(None, "en", hypothesis, ())


def test_only_the_first_word_of_a_segment_is_spaced_anew():
    builder = SegmentBuilder()
    assert said(builder, " l'", "eau", " froide") == ["l'", "eau", " froide"]
    assert builder.text == "l'eau froide"
    builder.finish()
    assert said(builder, "Hello", "!") == [" Hello", "!"]


def test_the_space_between_segments_goes_by_both_languages():
    builder = SegmentBuilder()
    said(builder, "你", "好", language="zh")
    builder.finish()
    assert said(builder, "是", language="zh") == ["是"]
    builder.finish()
    assert said(builder, " yes") == [" yes"]


@pytest.mark.parametrize(
    ("seconds", "last", "long"),
    [
        (LONG, "end.", False),
        (LONG + 1, "end.", True),
        (LONG + 1, "end。 ", True),
        (LONG + 1, "on", False),
        (LONGEST, "on", False),
        (LONGEST + 1, "on", True),
    ],
)
def test_a_long_segment_ends_with_its_sentence_and_a_longer_one_at_once(seconds, last, long):
    builder = SegmentBuilder()
    assert not builder.is_long()
    builder.add([word("so", 5, 100), word(last, 200, 5 + seconds)])
    assert builder.is_long() is long


def test_a_segment_reaches_from_its_first_word_to_the_last_end():
    builder = SegmentBuilder(border=10)
    builder.add([word("a", 10, 50, tokens=(1, 2)), word(" b", 50, 90, tokens=(3,))])
    segment = builder.finish()
    assert (segment.start, segment.end, segment.tokens) == (10, 90, (1, 2, 3))
    assert (segment.text, segment.words[1].text) == ("a b", " b")


@pytest.mark.parametrize(
    ("first", "start"), [(150, 100), (90, 90), (100 + HOLE, 100), (101 + HOLE, 101 + HOLE)]
)
def test_a_segment_begins_at_the_border_unless_its_first_word_is_too_far_behind(first, start):
    builder = SegmentBuilder(border=100)
    assert builder.begins(first) == start
    builder.add([word("a", first, first + 50)])
    assert builder.begins(first + 20) == start, "of the running segment"
    segment = builder.finish()
    assert (segment.start, segment.words[0].start) == (start, first)


@pytest.mark.parametrize(
    ("until", "end"), [(0, 90), (80, 90), (150, 150), (90 + HOLE, 90 + HOLE), (91 + HOLE, 90)]
)
def test_a_segment_reaches_to_where_its_session_ends_unless_that_is_too_far_behind(until, end):
    builder = SegmentBuilder()
    builder.add([word("a", 10, 50), word(" b", 60, 90)])
    segment = builder.finish(until)
    assert (segment.end, builder.border, segment.words[-1].end) == (end, end, 90)


def test_without_words_the_border_stays_where_it_is():
    builder = SegmentBuilder(border=100)
    assert builder.finish(200) is None
    assert builder.border == 100


def test_a_segment_is_as_sure_of_its_language_as_its_decodes_were():
    builder = SegmentBuilder()
    builder.add([word("a")])
    builder.note(proposal(0.3), language_probability=0.9)
    builder.note(proposal(0.1), language_probability=0.6)
    segment = builder.finish()
    assert segment.language_probability == pytest.approx(0.75)
    assert segment.no_speech_prob == 0.1, "of the newest decode"


def test_nothing_of_a_segment_reaches_the_next_one():
    builder = SegmentBuilder()
    builder.add([word("a")])
    builder.note(proposal(0.9), language_probability=0.9)
    builder.finish()
    builder.add([word("b")])
    second = builder.finish()
    assert (second.id, second.text) == (1, " b")
    assert (second.language_probability, second.no_speech_prob) == (0.0, 0.0)


def test_what_was_noted_without_words_is_forgotten_and_no_number_is_used_up():
    builder = SegmentBuilder()
    builder.note(proposal(0.9), language_probability=0.1)
    assert builder.finish() is None
    builder.add([word("a")])
    segment = builder.finish()
    assert (segment.id, segment.no_speech_prob, segment.language_probability) == (0, 0.0, 0.0)


def test_a_probability_of_one_stays_one_whatever_the_rounding():
    builder = SegmentBuilder()
    builder.add([word("a")])
    for _ in range(3):
        builder.note(proposal(0.0), language_probability=1.0 + 1e-9)
    assert builder.finish().language_probability == 1.0


def test_words_keep_all_but_their_spacing():
    builder = SegmentBuilder()
    given = word(" a", 3, 7)
    assert builder.add([given]) == [replace(given, text="a")]
