"""Windows, tokens and evidence at the limits of what options allow."""

from dataclasses import replace

import numpy as np
import pytest

from streams import committed, options, run, stream
from whisper_service.config import DecodeOptions, LanguageOptions, VadOptions
from whisper_service.lid import LanguageTracker, LidFrame
from whisper_service.policy.guards import ROOM, fitting
from whisper_service.streaming.transcriber import StreamTranscriber
from whisper_service.testing import EnergyVad, ManualClock, ScriptedEngine, silence, utterance
from whisper_service.types import SAMPLE_RATE, to_samples


def test_a_window_without_words_ends_before_it_is_too_long():
    quiet = stream(options("en", vad=VadOptions(enabled=False), online_chunk_size=5.0))
    quiet.feed(silence(40.0))
    assert quiet.finish() is not None
    assert quiet.account.pending == 0


class Slow(ScriptedEngine):
    """Takes longer for each window than its speech lasts."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def encode(self, mels):
        self.clock.advance(3.0)
        return super().encode(mels)


def test_nor_does_it_when_updates_are_rare_because_the_machine_is_slow():
    clock = ManualClock()
    opts = options(
        "en", mode="live", vad=VadOptions(enabled=False), online_chunk_size=2.0, max_context=5.0
    )
    quiet = StreamTranscriber(Slow(clock), opts, detector=EnergyVad(), clock=clock)
    for _ in range(40):
        quiet.feed(silence(1.0))
    quiet.finish()
    assert quiet.account.pending == 0


class Astray(ScriptedEngine):
    """Holds its last word back, whose attention jumps into the middle, after one up to the end."""

    def decode(self, requests):
        return [
            self._astray(h) if r.stop_frame is None and len(h.tokens) >= 2 else h
            for r, h in zip(requests, super().decode(requests), strict=True)
        ]

    def _astray(self, said):
        attention = said.attention.copy()
        frames = attention.shape[1]
        attention[-2:] = 0.0
        attention[-2, -4:] = 0.25
        attention[-1, frames // 2] = 0.9
        ends = (*said.frames[:-2], frames - 2, frames // 2)
        return replace(said, attention=attention, frames=ends, stopped="budget")


@pytest.mark.parametrize("mode", ["fast", "offline"])
def test_nothing_is_taken_up_behind_the_end_of_the_audio(mode):
    transcriber = StreamTranscriber(Astray(), options("en", mode=mode), detector=EnergyVad())
    script = [(None, 0.7), ("hello", 0.5), ("world", 0.5), ("yes", 0.5), (None, 1.2)]
    events = transcriber.feed(utterance(script)) + transcriber.finish()
    assert "hello" in committed(events)
    assert transcriber.account.pending == 0


def test_a_long_prompt_leaves_room_for_the_speech():
    decode = DecodeOptions(prompt="hello world " * 150, max_prompt_tokens=223)
    script = [(None, 0.7), *[("hello", 0.5), ("world", 0.5)] * 18, (None, 1.2)]
    _, events = run(utterance(script), options("en", mode="offline", decode=decode))
    assert "hello world" in committed(events)


@pytest.mark.parametrize(
    ("prefix", "budget", "expected"),
    [(0, 224, (219, 224)), (0, 8, (223, 8)), (200, 224, (19, 224)), (300, 224, (0, 143))],
)
def test_the_prompt_gives_way_then_the_new_tokens(prefix, budget, expected):
    prompt = tuple(range(223))
    kept, new = fitting(prompt, prefix=prefix, budget=budget)
    assert (len(kept), new) == expected
    assert kept == prompt[223 - len(kept) :]
    assert len(kept) + prefix + new <= ROOM


def decided(**more):
    """Seconds at which Spanish is decided after 10 s of English."""
    tracker = LanguageTracker(
        ("en", "es"), LanguageOptions(policy="code_switch", languages=("en", "es"), **more)
    )
    tracker.start_utterance(0)
    hop = to_samples(more.get("hop", 0.1))
    for end in range(hop, to_samples(40.0), hop):
        start = max(0, end - SAMPLE_RATE)
        english = (start + end) / 2 < to_samples(10.0)
        heard = np.array([0.99, 0.01] if english else [0.01, 0.99], np.float32)
        changes = tracker.feed([LidFrame(start=start, end=end, probabilities=heard)]).changes
        if changes:
            return changes[0].decided_at / SAMPLE_RATE
    return None


@pytest.mark.parametrize(
    "more",
    [{"min_dwell": 3.0}, {"min_dwell_frames": 30}, {"hop": 0.02, "min_dwell": 1.0}],
    ids=str,
)
def test_a_change_that_must_hold_long_is_decided_later_not_never(more):
    usual, later = decided(), decided(**more)
    assert usual is not None
    assert later is not None
    assert later > 10.0 + more.get("min_dwell", 3.0)
