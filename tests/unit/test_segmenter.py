"""Hysteresis: where speech starts and ends, on the sample clock."""

import pytest

from whisper_service.config import VadOptions
from whisper_service.errors import InvalidOptionError
from whisper_service.events import SpeechEnded, SpeechStarted
from whisper_service.vad.segmenter import (
    FADING,
    SURE,
    Ended,
    Phase,
    SpeechSegmenter,
    Started,
)

W = 512
# 4 windows of speech decide, at the default of 0.1 s. Speech is taken to end one window (LINGER)
# before the last sure one's end, so with it 15 windows make the default of 0.5 s of silence.


def run(*runs, options=None):
    """Feed ``(probability, windows)`` runs; return the events."""
    segmenter = SpeechSegmenter(options)
    events = []
    for probability, windows in runs:
        events += segmenter.feed([probability] * windows)
    return events


def test_times_are_of_the_first_and_last_window():
    assert run((0.1, 10), (0.99, 20), (0.1, 30)) == [
        Started(at=10 * W, known_at=14 * W),
        Ended(at=29 * W, known_at=45 * W),
    ]


def test_boundaries_are_the_streams_events():
    started, ended = run((0.99, 10), (0.1, 20))
    assert isinstance(started, SpeechStarted)
    assert isinstance(ended, SpeechEnded)


def test_speech_shorter_than_min_speech_does_not_count():
    assert run((0.1, 5), (0.99, 3), (0.1, 40)) == []


def test_windows_between_the_thresholds_neither_count_nor_cancel():
    assert run((0.1, 5), (0.99, 2), (0.4, 3), (0.99, 1)) == []
    assert run((0.1, 5), (0.99, 2), (0.4, 3), (0.99, 2)) == [Started(at=5 * W, known_at=12 * W)]
    assert run((0.4, 50)) == []


def test_a_pause_shorter_than_min_silence_does_not_cut():
    assert len(run((0.99, 20), (0.1, 14), (0.99, 20))) == 1
    assert len(run((0.99, 20), (0.1, 15), (0.99, 20))) == 3


def test_speech_goes_on_at_offset():
    assert run((0.99, 10), (0.35, 40)) == [Started(at=0, known_at=4 * W)]
    assert run((0.99, 10), (0.34, 10), (0.35, 1), (0.34, 10)) == [Started(at=0, known_at=4 * W)]


def test_onset_itself_is_speech():
    assert run((0.5, 10)) == [Started(at=0, known_at=4 * W)]
    assert run((0.499, 10)) == []


def test_stopping_since_is_where_speech_is_taken_to_end():
    segmenter = SpeechSegmenter()
    segmenter.feed([0.99] * 10)
    assert segmenter.stopping_since is None
    segmenter.feed([0.1])
    assert segmenter.stopping_since == 9 * W
    segmenter.feed([0.1] * 5)
    assert segmenter.stopping_since == 9 * W
    segmenter.feed([0.4])
    assert segmenter.stopping_since is None
    segmenter.feed([0.2])
    assert segmenter.stopping_since == 17 * W - FADING - W
    segmenter.feed([0.2] * 14)
    assert segmenter.stopping_since is None, "it has ended"


def test_speech_ends_where_it_was_last_sure():
    *_, ended = run((SURE, 10), (0.6, 3), (0.1, 20))
    assert ended.at == 9 * W
    assert ended.known_at == 25 * W, "the wait counts from there"


def test_a_voice_that_is_never_sure_ends_a_little_before_it_is_gone():
    *_, ended = run((0.6, 20), (0.1, 20))
    assert ended.at == 20 * W - FADING - W


def test_what_is_below_offset_is_not_sure_however_high_offset_is():
    *_, ended = run((0.99, 10), (0.955, 20), options=VadOptions(onset=0.98, offset=0.97))
    assert ended.at == 9 * W


def test_the_wait_ends_at_the_nearest_window():
    for min_silence, windows in ((14.4 * W, 14), (14.6 * W, 15)):
        *_, ended = run((0.99, 20), (0.1, 30), options=VadOptions(min_silence=min_silence / 16_000))
        assert ended.known_at - ended.at == windows * W


def test_a_short_dip_of_a_quiet_voice_is_no_end():
    options = VadOptions(min_silence=0.2)
    assert len(run((0.6, 20), (0.1, 2), (0.6, 20), options=options)) == 1
    assert len(run((0.6, 20), (0.1, 4), (0.6, 20), options=options)) == 3


def test_an_end_is_never_dated_earlier_than_the_padding_makes_up_for():
    *_, ended = run((0.6, 20), (0.1, 20), options=VadOptions(pad=0.05))
    assert ended.at == 20 * W - 800 - W


def test_no_speech_ends_before_it_starts():
    *_, ended = run((0.6, 4), (0.1, 20))
    assert ended.at == 0


def test_phases():
    segmenter = SpeechSegmenter()
    phases = []
    for probability in [0.1, 0.99, 0.99, 0.99, 0.99, 0.1, 0.99, *[0.1] * 15]:
        segmenter.feed([probability])
        phases.append((segmenter.state.phase, segmenter.quiet, segmenter.speaking))
    quiet, starting = (Phase.QUIET, True, False), (Phase.STARTING, False, False)
    speaking, stopping = (Phase.SPEAKING, False, True), (Phase.STOPPING, False, True)
    assert phases[:7] == [quiet, starting, starting, starting, speaking, stopping, speaking]
    assert phases[7:] == [stopping] * 14 + [quiet]


def test_zero_durations_decide_at_once():
    options = VadOptions(min_speech=0.0, min_silence=0.0)
    assert run((0.99, 2), (0.1, 2), (0.99, 1), options=options) == [
        Started(at=0, known_at=W),
        Ended(at=W, known_at=3 * W),
        Started(at=4 * W, known_at=5 * W),
    ]


def test_finish_closes_open_speech():
    segmenter = SpeechSegmenter()
    segmenter.feed([0.99] * 10)
    assert segmenter.finish(10 * W - 100) == [Ended(at=10 * W - 100, known_at=10 * W - 100)]
    assert segmenter.finish() == []
    segmenter = SpeechSegmenter()
    segmenter.feed([0.99] * 10 + [0.1] * 3)
    assert segmenter.finish() == [Ended(at=9 * W, known_at=13 * W)]
    segmenter = SpeechSegmenter()
    segmenter.feed([0.99] * 3)
    assert segmenter.finish() == [], "too short to have counted"


def test_switched_off_everything_is_speech():
    segmenter = SpeechSegmenter(VadOptions(enabled=False))
    assert segmenter.feed([0.0] * 100) == [Started(at=0, known_at=W)]
    assert segmenter.speaking
    assert segmenter.stopping_since is None
    assert segmenter.finish(51_000) == [Ended(at=51_000, known_at=51_000)]


@pytest.mark.parametrize(
    "options",
    [
        {"onset": 0.3, "offset": 0.4},
        {"onset": 1.2},
        {"offset": -0.1},
        {"min_speech": -1.0},
        {"min_silence": -0.1},
        {"pre_roll": -1.0},
        {"pad": -1.0},
    ],
)
def test_options_that_cannot_work(options):
    with pytest.raises(InvalidOptionError, match="VAD"):
        SpeechSegmenter(VadOptions(**options))
