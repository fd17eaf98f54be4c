from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.text.captions import CaptionOptions, display_width, join_words, shape
from whisper_service.text.formats import FormatOptions, write_transcript
from whisper_service.types import AudioAccount, Segment, Transcript, Word, to_samples

pieces = st.builds(
    lambda space, text: space + text,
    st.sampled_from(["", " "]),
    st.one_of(
        st.text(alphabet="aé9", min_size=1, max_size=12),
        st.sampled_from(
            ["今", "天，", "「", "」。", "ท", "ี่", "한국", "¿qué", "end.", "well,", "—", "<b>"]
        ),
    ),
)


@st.composite
def segments(draw):
    made, at = [], 0
    for number in range(draw(st.integers(0, 4))):
        words = []
        for text in draw(st.lists(pieces, min_size=1, max_size=25)):
            at += draw(st.integers(0, 16_000))
            length = draw(st.integers(0, 8000))
            words.append(Word(text=text, start=at, end=at + length, probability=0.5, language="en"))
            at += draw(st.integers(length // 2, length))  # words may overlap a little
        made.append(
            Segment(
                id=number,
                start=words[0].start,
                end=at,
                text="".join(w.text for w in words),
                language=draw(st.sampled_from(["en", "zh"])),
                language_probability=1.0,
                confidence=0.5,
                avg_logprob=-1.0,
                no_speech_prob=0.0,
                compression_ratio=1.0,
                words=tuple(words),
            )
        )
    return made


options = st.builds(
    CaptionOptions, max_line_width=st.integers(1, 42), max_line_count=st.integers(1, 4)
)


@settings(deadline=None)
@given(segments(), options)
def test_every_word_appears_once_in_order(spoken, limits):
    shown = [w.text.strip() for cue in shape(spoken, limits) for line in cue.lines for w in line]
    assert shown == [w.text.strip() for s in spoken for w in s.words]


@settings(deadline=None)
@given(segments(), options)
def test_limits_hold_unless_one_word_is_too_wide(spoken, limits):
    for cue in shape(spoken, limits):
        assert 1 <= len(cue.lines) <= limits.max_line_count
        assert 0 < cue.end - cue.start <= to_samples(limits.max_duration)
        for line in cue.lines:
            fits = display_width(join_words(line)) <= limits.max_line_width
            assert fits or len(line) == 1


@settings(deadline=None)
@given(segments(), options)
def test_times_are_monotone_and_do_not_overlap(spoken, limits):
    cues = shape(spoken, limits)
    assert all(a.end <= b.start for a, b in pairwise(cues))


@settings(deadline=None)
@given(segments(), options)
def test_a_cue_lies_within_one_segment(spoken, limits):
    cues = iter(shape(spoken, limits))
    for s in spoken:
        left = len(s.words)
        while left > 0:
            cue = next(cues)
            assert cue.language == s.language
            left -= sum(map(len, cue.lines))
        assert left == 0


@settings(deadline=None)
@given(segments())
def test_written_times_never_run_backwards(spoken):
    transcript = Transcript(
        task="transcribe",
        duration=0,
        language="en",
        segments=tuple(spoken),
        switches=(),
        audio=AudioAccount(),
        model="demo",
    )
    vtt = write_transcript(transcript, "vtt", options=FormatOptions(language_tags=True))
    times = [t for line in vtt.splitlines() if " --> " in line for t in line.split(" --> ")]
    long = [t if t.count(":") == 2 else f"00:{t}" for t in times]
    assert long == sorted(long)
    assert all(a < b for a, b in zip(long[::2], long[1::2], strict=True))
