from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from whisper_service.engine.base import DecodeRequest
from whisper_service.engine.graph_vocabulary import FIRST, NO_END, TIMESTAMPS
from whisper_service.engine.openvino_search import Candidate, Continuation, Special

END, BEGIN = 100, 110
FRAMES = 50


@dataclass
class Window:
    frames: int = FRAMES
    nbytes: int = 0


def continuation(**options: object) -> Continuation:
    values: dict[str, object] = {"encoded": Window(), "language": "en"}
    return Continuation(DecodeRequest(**(values | options)), Special(END, BEGIN))  # type: ignore[arg-type]


def looking_at(frame: int, context: int = 100) -> np.ndarray:
    row = np.zeros(context, np.float32)
    row[frame] = 0.7
    return row


def offer(to: Continuation, tokens: list[int], frame: int = 3) -> None:
    """Offer tokens until one ends the decode."""
    for token in tokens:
        if to.stopped is None:
            to.offer(Candidate(token, -0.5), -4.0, looking_at(frame))


def test_the_end_is_scored_but_not_part_of_the_text() -> None:
    row = continuation()
    offer(row, [1, 2, END])
    result = row.hypothesis(np.log(0.25))
    assert (result.tokens, result.stopped) == ((1, 2), "end")
    assert result.logprobs == (-0.5, -0.5)
    assert result.end_logprob == -4.0
    assert result.no_speech_prob == pytest.approx(0.25)
    assert row.mean_logprob == pytest.approx(-0.5)
    assert result.attention.shape == (2, FRAMES)


def test_a_token_at_or_after_the_stop_frame_is_refused() -> None:
    row = continuation(stop_frame=40)
    offer(row, [1, 2], frame=39)
    offer(row, [3], frame=40)
    assert (row.hypothesis(0.0).tokens, row.stopped) == ((1, 2), "attention")


def test_the_end_is_accepted_wherever_it_looks() -> None:
    row = continuation(stop_frame=10)
    offer(row, [END], frame=49)
    assert row.stopped == "end"


def test_attention_beyond_the_content_is_at_its_end() -> None:
    row = continuation()
    offer(row, [1], frame=80)
    assert row.hypothesis(0.0).frames == (FRAMES - 1,)
    stopping = continuation(stop_frame=FRAMES)
    offer(stopping, [1], frame=80)
    assert stopping.stopped == "attention"


@pytest.mark.parametrize("budget", [0, 1, 3])
def test_the_budget_is_kept(budget: int) -> None:
    row = continuation(max_new_tokens=budget)
    offer(row, [1, 2, 3, 4, 5])
    assert (len(row.hypothesis(0.0).tokens), row.stopped) == (budget, "budget")


@pytest.mark.parametrize(
    ("phrase", "times"), [([7], 12), ([7, 8], 6), ([7, 8, 9], 4), ([1, 2, 3, 4, 5, 6], 4)]
)
def test_a_loop_is_cut_to_one_phrase(phrase: list[int], times: int) -> None:
    row = continuation()
    offer(row, [50, 51, *phrase * (times + 3)])
    result = row.hypothesis(0.0)
    assert result.stopped == "repetition"
    assert result.tokens == (50, 51, *phrase)
    assert len(result.frames) == len(result.attention) == len(result.tokens)


@pytest.mark.parametrize("text", [[7] * 11, [7, 8, 9] * 3, [1, 2, 3, 1, 2, 4] * 1, [5, 5, 6] * 3])
def test_repeating_a_little_is_speech(text: list[int]) -> None:
    row = continuation()
    offer(row, [*text, END])
    assert row.hypothesis(0.0).tokens == tuple(text)


def test_a_fixed_workload_is_not_ended_by_a_loop() -> None:
    row = continuation(allow_end=False, max_new_tokens=25)
    offer(row, [7] * 30)
    assert (len(row.hypothesis(0.0).tokens), row.stopped) == (25, "budget")


def test_timestamps_are_fed_back_but_are_no_text() -> None:
    row = continuation(timestamps=True, stop_frame=10)
    offer(row, [BEGIN, 1], frame=4)
    offer(row, [BEGIN + 30], frame=20)
    assert row.stopped is None
    assert row.sequence == [BEGIN, 1, BEGIN + 30]
    assert row.hypothesis(0.0).tokens == (1,)


def test_the_rule_of_the_first_token_holds_without_prefix_only() -> None:
    row = continuation()
    assert row.rule == FIRST
    offer(row, [1])
    assert row.rule == 0
    assert continuation(prefix=(4,)).rule == 0
    assert continuation(timestamps=True, allow_end=False).rule == FIRST | TIMESTAMPS | NO_END


def test_a_copy_goes_its_own_way() -> None:
    row = continuation()
    offer(row, [7] * 11)
    other = row.copy()
    offer(other, [7])
    offer(row, [8, END])
    assert (other.stopped, row.stopped) == ("repetition", "end")
    assert row.hypothesis(0.0).tokens == (*[7] * 11, 8)
