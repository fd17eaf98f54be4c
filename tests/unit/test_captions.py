"""Where captions break, by example; the limits for any text are in the property tests."""

import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.text.captions import CaptionOptions, display_width, shape
from whisper_service.types import Segment, Word, to_samples


def words_of(text, *, per_word=0.3, start=0.0, language="en"):
    """Words of ``text``, split at spaces that stay with the word after them."""
    pieces = [" " + piece for piece in text.split()]
    return spoken(pieces, per_word=per_word, start=start, language=language)


def spoken(pieces, *, per_word=0.3, start=0.0, language="en"):
    return tuple(
        Word(
            text=piece,
            start=to_samples(start + i * per_word),
            end=to_samples(start + (i + 1) * per_word),
            probability=0.9,
            language=language,
        )
        for i, piece in enumerate(pieces)
    )


def segment(words=(), *, language="en", text=None, start=0, end=16_000):
    return Segment(
        id=0,
        start=words[0].start if words else start,
        end=words[-1].end if words else end,
        text="".join(w.text for w in words) if text is None else text,
        language=language,
        language_probability=1.0,
        confidence=0.9,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        words=words,
    )


def texts(*segments, **options):
    return [cue.text for cue in shape(segments, CaptionOptions(**options))]


def test_a_short_sentence_is_one_line():
    assert texts(segment(words_of("Close the door, please."))) == ["Close the door, please."]


def test_the_first_line_ends_at_punctuation_where_it_can():
    text = "When you come home tonight, please close the door."
    assert texts(segment(words_of(text, per_word=0.2))) == [
        "When you come home tonight,\nplease close the door."
    ]


def test_a_comma_weighs_more_than_even_lines():
    text = "If it rains, we will take the bus into town."
    assert texts(segment(words_of(text, per_word=0.2))) == [
        "If it rains,\nwe will take the bus into town."
    ]


def test_lines_are_balanced_where_there_is_no_punctuation():
    text = "they will leave for the mountains early in the morning"
    (cue,) = texts(segment(words_of(text, per_word=0.2)))
    assert cue == "they will leave for the\nmountains early in the morning"


def test_a_cue_ends_with_a_sentence():
    text = (
        "The train to the coast leaves at nine from platform four. "
        "Bring your ticket and something to read on the way there."
    )
    cues = texts(segment(words_of(text, per_word=0.25)))
    assert [cue.replace("\n", " ") for cue in cues] == [
        "The train to the coast leaves at nine from platform four.",
        "Bring your ticket and something to read on the way there.",
    ]


def test_a_cue_ends_with_a_short_sentence_rather_than_evenly():
    text = (
        "Nobody had told us about that. We waited for an hour before somebody came to the door "
        "to let us in."
    )
    cues = texts(segment(words_of(text, per_word=0.25)))
    assert cues[0].replace("\n", " ") == "Nobody had told us about that."


def test_a_cue_ends_with_a_clause_where_no_sentence_ends():
    text = (
        "When the last train had left the station, nobody knew how they would get home before "
        "the snow came"
    )
    cues = texts(segment(words_of(text, per_word=0.25)))
    assert cues[0].replace("\n", " ") == "When the last train had left the station,"


def test_a_pause_ends_a_cue_like_a_comma():
    before = words_of("we waited for the others by the bridge", per_word=0.25)
    after = words_of(
        "then the whole group walked on together along the river until dark",
        per_word=0.25,
        start=before[-1].end / 16_000 + 0.4,
    )
    assert texts(segment(before + after))[0] == "we waited for the others by the bridge"


def test_a_cue_lasts_seven_seconds_at_most():
    cues = shape([segment(words_of("one two three four five six", per_word=2.0))], CaptionOptions())
    assert len(cues) == 2
    assert all(cue.end - cue.start <= to_samples(7.0) for cue in cues)


def test_a_long_word_is_cut_in_time():
    (cue,) = shape([segment(words_of("Goooal", per_word=9.0))], CaptionOptions())
    assert cue.end == to_samples(7.0)


def test_a_change_of_language_starts_a_cue():
    french = segment(words_of("Bonjour", language="fr"), language="fr")
    english = segment(words_of("Hello", start=0.3))
    cues = shape([french, english], CaptionOptions())
    assert [(cue.language, cue.text) for cue in cues] == [("fr", "Bonjour"), ("en", "Hello")]


def test_a_short_cue_stays_as_long_as_the_next_one_allows():
    cues = shape([segment(words_of("Yes.")), segment(words_of("No.", start=0.5))], CaptionOptions())
    assert [(cue.start, cue.end) for cue in cues] == [
        (0, to_samples(0.5)),
        (to_samples(0.5), to_samples(0.5 + 5 / 6)),
    ]


def test_overlapping_times_are_made_monotone():
    first, second = words_of("one", per_word=2.0), words_of("two", start=0.5)
    cues = shape([segment(first), segment(second)], CaptionOptions())
    assert (cues[0].start, cues[0].end) == (0, to_samples(0.5))
    backwards = shape([segment(second), segment(first)], CaptionOptions())
    assert backwards[1].start >= backwards[0].end > backwards[0].start


def test_wide_characters_take_two_cells():
    assert display_width("今天ab") == 6
    assert display_width("e\u0301\u200b") == 1
    text = "今天天气很好我们一起去公园散步吧然后去吃饭好不好呢"
    cues = texts(segment(spoken(text, per_word=0.15, language="zh"), language="zh"))
    assert "".join(cues).replace("\n", "") == text
    assert all(len(line) <= 21 for cue in cues for line in cue.split("\n"))


def test_chinese_breaks_after_punctuation():
    text = ["今", "天", "天", "气", "很", "好，", "我", "们", "去", "公", "园", "散", "步。"]
    cues = texts(segment(spoken(text, per_word=0.2)), max_line_width=16)
    assert cues == ["今天天气很好，\n我们去公园散步。"]


def test_a_latin_name_in_chinese_stays_whole():
    assert texts(segment(spoken("他iPhone", per_word=0.2)), max_line_width=6) == ["他\niPhone"]


def test_no_line_starts_with_closing_or_ends_with_opening_punctuation():
    pieces = [*"他说", "「", *"你好", "」", *"然后走了"]
    cues = texts(segment(spoken(pieces, per_word=0.2)), max_line_width=6, max_line_count=9)
    lines = [line for cue in cues for line in cue.split("\n")]
    assert "".join(lines) == "".join(pieces)
    assert not any(line.startswith("」") or line.endswith("「") for line in lines)
    narrow = {"max_line_width": 4, "max_line_count": 3}
    assert texts(segment(spoken("我们」好", per_word=0.2)), **narrow) == ["我\n们」\n好"]
    assert texts(segment(spoken(["aaa", " ¿", "qué"])), max_line_width=5) == ["aaa\n¿qué"]


def test_a_word_wider_than_a_line_stands_alone():
    cues = texts(segment(words_of("see https://example.org/long now")), max_line_width=10)
    assert "https://example.org/long" in [line for cue in cues for line in cue.split("\n")]


def test_letters_without_end_are_broken_rather_than_too_wide():
    cues = texts(segment(spoken("a" * 30, per_word=0.1)), max_line_width=10)
    lines = [line for cue in cues for line in cue.split("\n")]
    assert "".join(lines) == "a" * 30
    assert max(map(len, lines)) <= 10


def test_one_line_only():
    cues = texts(segment(words_of("one two three four five")), max_line_width=9, max_line_count=1)
    assert all("\n" not in cue for cue in cues)


def test_a_segment_without_words_is_spread_over_its_time():
    long = segment(
        text=" first part of it, and then the second part of it as well.", end=to_samples(8)
    )
    cues = shape([long], CaptionOptions())
    assert len(cues) == 2
    assert cues[0].start == 0
    assert cues[-1].end == to_samples(8)
    chinese = segment(text="今天天气很好", end=to_samples(6))
    assert [cue.text for cue in shape([chinese], CaptionOptions())] == ["今天天气很好"]


def test_segments_without_text_have_no_cue():
    assert shape([segment(text=" "), segment(words_of(""))], CaptionOptions()) == []


def test_odd_spaces_become_single_ones():
    assert texts(segment(spoken([" one\n", "two ", " ", "three"]))) == ["one two three"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_line_width": 0},
        {"max_line_count": 0},
        {"max_duration": 0.0},
        {"min_duration": 8.0},
        {"min_duration": -1.0},
    ],
)
def test_impossible_limits(options):
    with pytest.raises(InvalidOptionError, match="give"):
        CaptionOptions(**options)
