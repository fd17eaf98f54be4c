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
    pace.begin()
    pace.observe(10 * SAMPLE_RATE)
    assert pace.widen(HALF) == HALF
    assert pace.previews


def work(pace, wall, *, audio, seconds, times=1):
    """Handle ``audio`` seconds in ``seconds`` of work, ``times`` over."""
    for _ in range(times):
        pace.begin()
        wall.now += seconds
        pace.observe(pace._now + round(audio * SAMPLE_RATE))


def test_work_faster_than_the_audio_is_not_behind():
    wall = Wall()
    pace = Pace(wall)
    work(pace, wall, audio=0.5, seconds=0.4, times=50)
    assert pace.behind == 0.0
    assert pace.widen(HALF) == HALF


def test_time_between_calls_is_not_lag():
    wall = Wall()
    pace = Pace(wall)
    work(pace, wall, audio=0.5, seconds=0.1)
    wall.now += 60.0  # a muted microphone
    work(pace, wall, audio=0.5, seconds=0.1)
    assert not pace.late


def test_one_slow_moment_is_caught_up():
    wall = Wall()
    pace = Pace(wall)
    work(pace, wall, audio=0.5, seconds=2.0)
    assert pace.behind == 1.5
    work(pace, wall, audio=0.5, seconds=0.1, times=4)
    assert pace.behind == 0.0


def test_updates_get_rarer_first_then_previews_go():
    wall = Wall()
    pace = Pace(wall)
    work(pace, wall, audio=0.5, seconds=1.0)
    assert HALF < pace.widen(HALF) <= WIDEST * HALF
    assert pace.previews
    work(pace, wall, audio=0.5, seconds=20.0)
    assert pace.widen(HALF) == WIDEST * HALF
    assert not pace.previews


def test_nothing_gives_way_at_the_limits_themselves():
    barely = Pace(Wall(), behind=0.25)
    assert not barely.late
    assert barely.widen(HALF) == HALF
    assert Pace(Wall(), behind=1.0).previews


def test_updates_are_widened_by_what_is_piled_up():
    pace = Pace(Wall(), behind=0.5)
    assert pace.widen(HALF) == 2 * HALF
    assert pace.widen(2 * HALF) == 3 * HALF
