from whisper_service.streaming.pace import WIDEST, Pace
from whisper_service.types import SAMPLE_RATE

HALF = SAMPLE_RATE // 2


class Wall:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_without_a_clock_nothing_gives_way():
    pace = Pace(None)
    pace.observe(10 * SAMPLE_RATE)
    assert pace.widen(HALF) == HALF
    assert pace.previews


def test_audio_in_real_time_is_not_behind():
    wall = Wall()
    pace = Pace(wall)
    for second in range(5):
        pace.observe(second * SAMPLE_RATE)
        wall.now += 1.0
    assert pace.behind == 0.0
    assert pace.widen(HALF) == HALF


def test_a_burst_is_not_lag():
    wall = Wall()
    pace = Pace(wall)
    pace.observe(0)
    pace.observe(20 * SAMPLE_RATE)  # a file read at once
    wall.now += 1.0
    pace.observe(21 * SAMPLE_RATE)
    assert pace.behind == 0.0


def test_updates_get_rarer_first_then_previews_go():
    wall = Wall()
    pace = Pace(wall)
    pace.observe(0)
    wall.now += 1.5
    pace.observe(SAMPLE_RATE)
    assert HALF < pace.widen(HALF) <= WIDEST * HALF
    assert pace.previews
    wall.now += 20
    pace.observe(2 * SAMPLE_RATE)
    assert pace.widen(HALF) == WIDEST * HALF
    assert not pace.previews
