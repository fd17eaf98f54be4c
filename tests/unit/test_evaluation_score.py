"""Scores on hand-made runs whose right answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from whisper_service.evaluation.calibration import expected_error, reliability
from whisper_service.evaluation.corpus import SpokenWord
from whisper_service.evaluation.goals import GOALS, figures, less_wrong_time
from whisper_service.evaluation.recording import Recording, reference_tokens, stretches
from whisper_service.evaluation.replay import Replay, Timed
from whisper_service.evaluation.score import Tally, coverage, final_lags, hypothesis, score
from whisper_service.evaluation.switching import Stretch
from whisper_service.events import (
    AudioSkipped,
    Committed,
    Final,
    LanguageDetected,
    LanguageSwitched,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.types import AudioAccount, Segment, Transcript, Word

SECOND = 16_000


def s(seconds):
    return round(seconds * SECOND)


def spoken(text, start, end, language):
    return SpokenWord(text, s(start), s(end), language)


def word(text, start, end, language, probability=0.9):
    return Word(text=text, start=s(start), end=s(end), probability=probability, language=language)


def segment(words, number=0):
    return Segment(
        id=number,
        start=words[0].start,
        end=words[-1].end,
        text="".join(w.text for w in words),
        language=words[0].language,
        language_probability=0.9,
        confidence=0.9,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        words=tuple(words),
    )


def recording(words, *, seconds=8.0, inserted=()):
    return Recording(
        name="made",
        suite="mix3",
        languages=("en", "es"),
        samples=np.zeros(s(seconds), np.float32),
        speech=stretches(words),
        words=tuple(words),
        inserted=tuple(inserted),
    )


def run(events, segments, *, seconds=8.0):
    """A replay of ``(event, heard, available)`` in seconds."""
    account = AudioAccount(received=s(seconds), decoded=s(seconds))
    transcript = Transcript(
        task="transcribe",
        duration=s(seconds),
        language="en",
        segments=tuple(segments),
        switches=(),
        audio=account,
        model="made",
        statistics={
            "encoder_cache": {"hits": 3, "misses": 1},
            "encoder_passes": 4,
            "encoded_seconds": 2.0,
        },
    )
    timed = tuple(Timed(e, s(heard), s(available)) for e, heard, available in events)
    return Replay(timed, transcript, 0.8, (0.1,))


ENGLISH = [spoken("good", 1.0, 1.4, "en"), spoken("morning", 1.4, 2.0, "en")]
SPANISH = [spoken("hola", 3.0, 3.5, "es"), spoken("amigo", 3.5, 4.0, "es")]
TRUTH = recording([*ENGLISH, *SPANISH])


def two_languages(*, decided=3.9, available=4.1, at=3.1):
    first = [word(" Good", 1.0, 1.4, "en"), word(" morning.", 1.4, 2.0, "en")]
    second = [word(" Hola", 3.0, 3.5, "es"), word(" enemigo", 3.5, 4.0, "es", 0.5)]
    return run(
        [
            (SpeechStarted(at=s(1.0)), 1.2, 1.2),
            (LanguageDetected(language="en", probability=0.9, at=s(1.0)), 1.9, 1.9),
            (
                Partial(committed="", tentative="god morning", language="en", start=0, end=s(2)),
                2.0,
                2.0,
            ),
            (Committed(words=tuple(first), language="en"), 2.5, 2.6),
            (Final(segment=segment(first)), 2.5, 2.6),
            (SpeechEnded(at=s(2.0)), 2.5, 2.6),
            (SpeechStarted(at=s(3.0)), 3.2, 3.2),
            (
                LanguageSwitched(
                    old="en", new="es", at=s(at), decided_at=s(decided), probability=0.9
                ),
                decided,
                available,
            ),
            (Committed(words=tuple(second), language="es"), 4.5, 4.7),
            (Final(segment=segment(second, 1)), 4.5, 4.7),
            (SpeechEnded(at=s(4.0)), 4.5, 4.7),
        ],
        [segment(first), segment(second, 1)],
    )


def test_a_change_has_its_lag_with_and_without_computing():
    tally = score(TRUTH, two_languages())
    assert tally.lags == [s(1.1)]
    assert tally.lags_heard == [s(0.9)]
    assert tally.point_errors == [s(0.1)]
    assert (tally.switches, tally.missed, tally.false_switches) == (1, 0, 0)


def test_a_decision_before_the_change_is_false_and_the_change_is_missed():
    tally = score(TRUTH, two_languages(decided=2.8, available=2.9))
    assert (tally.false_switches, tally.missed, tally.lags) == (1, 1, [])


def test_errors_belong_to_the_language_that_was_spoken():
    tally = score(TRUTH, two_languages())
    assert tally.errors["en"].total == 0
    assert tally.errors["es"].substitutions == 1
    assert tally.near.reference == 2  # morning ends 1 s before the change
    assert tally.near.total == 1


def test_latency_counts_from_the_true_end_of_right_words_only():
    tally = score(TRUTH, two_languages())
    assert tally.latencies == [s(1.2), s(0.6), s(1.2)]
    assert tally.latencies_heard == [s(1.1), s(0.5), s(1.0)]


def test_the_time_before_the_localised_point_counts_as_wrong_language():
    tally = score(TRUTH, two_languages())
    assert tally.diarization.speech == s(2.0)
    assert tally.diarization.wrong_language == s(0.1)
    assert tally.diarization.missed == 0


def test_speech_before_the_first_decision_is_in_the_first_language():
    heard = hypothesis(two_languages(), s(8))
    assert heard[0] == Stretch(start=s(1.0), end=s(2.0), language="en")
    assert [x.language for x in heard] == ["en", "en", "es"]


def test_a_word_in_the_language_not_spoken_there_is_wrong():
    events = two_languages()
    tally = score(TRUTH, events)
    assert (tally.near_words, tally.near_wrong) == (2, 0)  # hola and enemigo
    english = [word(" Ola", 3.0, 3.5, "en")]
    moved = run([(Committed(words=tuple(english), language="en"), 4, 4)], [segment(english)])
    tally = score(TRUTH, moved)
    assert (tally.near_words, tally.near_wrong, tally.words_wrong) == (1, 1, 1)


def test_partials_taken_back_are_erasure_and_commitments_are_not_edited():
    tally = score(TRUTH, two_languages())
    assert tally.edits == 0
    assert tally.erased == 2  # "god" and, behind it, "morning"
    assert tally.erasable == 4


def test_a_partial_that_forgets_committed_text_is_an_edit():
    events = list(two_languages().events)
    wrong = Partial(committed="Bad", tentative="", language="es", start=0, end=s(5))
    at = next(i for i, t in enumerate(events) if isinstance(t.event, SpeechEnded))
    events.insert(at + 1, Timed(wrong, s(3), s(3)))
    made = two_languages()
    tally = score(TRUTH, Replay(tuple(events), made.transcript, 0.0, ()))
    assert tally.edits == 1


def test_end_of_speech_to_final_leaves_out_the_silence_wait():
    tally = score(TRUTH, two_languages())
    assert tally.finals == [s(0.1), s(0.2)]


def test_coverage_counts_speech_in_no_segment_and_in_two():
    speech = [Stretch(start=0, end=100, language="en")]
    one = segment([Word(text="a", start=0, end=60, probability=1.0, language="en")])
    two = segment([Word(text="b", start=50, end=80, probability=1.0, language="en")])
    gap = AudioSkipped(start=80, end=90, reason="no_speech")
    assert coverage(speech, [one, two], [gap]) == (10, 10)


def test_inserted_words_are_no_changes_and_must_be_heard():
    inserted = spoken("hola", 1.5, 1.9, "es")
    words = [spoken("we", 1.0, 1.4, "en"), inserted, spoken("said", 2.0, 2.5, "en")]
    made = recording(words, inserted=[inserted])
    assert made.switches == []
    heard = [word(" we", 1.0, 1.4, "en"), word(" ola", 1.5, 1.9, "en")]
    missed = [word(" we", 1.0, 1.4, "en"), word(" said", 1.9, 2.5, "en")]
    for words, count in ((heard, 1), (missed, 0)):
        events = [(Committed(words=tuple(words), language="en"), 3, 3)]
        tally = score(made, run(events, [segment(words)]))
        assert (tally.inserted, tally.inserted_heard) == (1, count)
        assert tally.false_switches == 0


def test_lost_audio_shows():
    made = two_languages()
    account = AudioAccount(received=s(8), decoded=s(7), dropped=s(1))
    transcript = Transcript(
        task="transcribe",
        duration=s(8),
        language="en",
        segments=made.transcript.segments,
        switches=(),
        audio=account,
        model="made",
        statistics=made.transcript.statistics,
    )
    assert score(TRUTH, Replay(made.events, transcript, 0.0, ())).lost == s(1)


def test_tallies_add_up_to_the_whole():
    total = Tally()
    total.add(score(TRUTH, two_languages()))
    total.add(score(TRUTH, two_languages(available=4.5)))
    made = figures(total, suite="switches-pause")
    assert made["switches"] == 2
    assert made["switch_lag_p50"] == pytest.approx(1.3)
    assert made["switch_recall"] == 1.0
    assert made["mer"] == pytest.approx(1 / 4)
    assert made["cache_hit_rate"] == pytest.approx(0.75)
    assert made["real_time_factor"] == pytest.approx(0.1)


def test_a_late_switch_counts_as_found_but_not_in_time():
    tally = score(TRUTH, two_languages(available=4.9))
    made = figures(tally, suite="switches-pause")
    assert (made["switch_recall"], made["switch_recall_any"]) == (0.0, 1.0)
    assert figures(tally, suite="switches-no-pause")["switch_recall"] == 1.0


def test_every_goal_names_a_figure_that_exists():
    known = {*figures(Tally(), suite="mix3"), "mer_over_offline"}
    assert {goal.figure for goal in GOALS} <= known


def test_less_wrong_time_is_a_share_of_the_baselines():
    assert less_wrong_time({"wrong_language_time": 0.02}, {"wrong_language_time": 0.1}) == (
        pytest.approx(0.8)
    )
    assert less_wrong_time({"wrong_language_time": 0.0}, {"wrong_language_time": 0.0}) is None


def test_stretches_join_over_short_gaps_of_one_language():
    words = [
        spoken("a", 0.0, 1.0, "en"),
        spoken("b", 1.2, 2.0, "en"),
        spoken("c", 2.0, 3.0, "es"),
        spoken("d", 3.5, 4.0, "es"),
    ]
    assert [(x.start, x.end, x.language) for x in stretches(words)] == [
        (0, s(2), "en"),
        (s(2), s(3), "es"),
        (s(3.5), s(4), "es"),
    ]


def test_reference_tokens_split_what_scripts_without_spaces_join():
    made = recording([spoken("你好", 0, 1, "zh"), spoken("world!", 1, 2, "en")])
    assert [t.text for t in reference_tokens(made)] == ["你", "好", "world"]


def test_calibration_of_honest_and_boastful_confidences():
    honest = [(0.75, True)] * 3 + [(0.75, False)]
    assert expected_error(honest) == pytest.approx(0.0)
    boastful = [(0.95, False)] * 4
    assert expected_error(boastful) == pytest.approx(0.95)
    assert expected_error([]) is None
    table = reliability([*honest, *boastful, (1.0, True)])
    assert [(b.low, b.words) for b in table] == [(0.7, 4), (0.9, 5)]


def test_an_inserted_word_of_two_characters_is_no_change():
    chinese = [spoken("色", 1.5, 1.7, "zh"), spoken("的", 1.7, 1.9, "zh")]
    words = [spoken("we", 1.0, 1.4, "en"), *chinese, spoken("said", 2.0, 2.5, "en")]
    assert recording(words, inserted=chinese).switches == []


def finals_at(*found):
    """Lags of finals ``(segment's start, end, available)`` after speech at 1-2 and 3-4 s."""
    events = [
        (Final(segment=segment([word("x", start, end, "en")])), when, when)
        for start, end, when in found
    ]
    return [lag / SECOND for lag in final_lags(TRUTH, run(events, []))]


def test_a_late_final_is_a_late_final():
    assert finals_at((1.0, 2.0, 3.8), (3.0, 4.0, 4.6)) == pytest.approx([1.3, 0.1])


def test_the_final_of_a_segment_before_the_last_words_is_not_theirs():
    assert finals_at((1.0, 1.4, 2.05), (1.4, 2.0, 2.9)) == pytest.approx([0.4])


def test_a_sentence_of_which_nothing_was_written_has_no_laal():
    accuracy = replace(TRUTH, suite="accuracy")
    assert score(accuracy, run([], [])).laals == []
    assert len(score(accuracy, two_languages()).laals) == 1
