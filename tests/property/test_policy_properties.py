"""Commit policies and alignment on random hypotheses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whisper_service.engine.base import Hypothesis
from whisper_service.policy import AlignAttPolicy, LocalAgreementPolicy, TimedWord
from whisper_service.policy.align_att import token_frames
from whisper_service.policy.guards import repetition_start

FRAMES = 60
TEXTS = st.lists(st.sampled_from([" a", " b", " c", "\ufffd"]), max_size=8)


def decoded(texts, frames, stopped):
    words = [
        TimedWord(text=text, tokens=(i,), start=i, end=i + 1, probability=1.0)
        for i, text in enumerate(texts)
    ]
    hypothesis = Hypothesis(
        tokens=tuple(range(len(texts))),
        logprobs=(0.0,) * len(texts),
        frames=tuple(frames),
        attention=np.zeros((len(texts), FRAMES), np.float32),
        end_logprob=0.0,
        no_speech_prob=0.0,
        stopped=stopped,
    )
    return hypothesis, words


@given(
    data=st.data(),
    frontier=st.integers(0, FRAMES),
    final=st.booleans(),
    stopped=st.sampled_from(["end", "attention", "budget", "repetition"]),
)
def test_what_is_committed_is_clear_and_complete(data, frontier, final, stopped):
    for policy in (AlignAttPolicy(), LocalAgreementPolicy()):
        for _ in range(3):
            texts = data.draw(TEXTS)
            attended = [data.draw(st.integers(0, FRAMES - 1)) for _ in texts]
            hypothesis, words = decoded(texts, attended, stopped)
            count = policy.commit(hypothesis, words, frontier_frame=frontier, final=final)
            assert 0 <= count <= len(words)
            assert all(frame < frontier for frame in attended[:count])
            assert "\ufffd" not in "".join(texts[:count])


@given(updates=st.lists(TEXTS, min_size=2, max_size=6))
def test_local_agreement_commits_only_what_was_seen_twice(updates):
    policy, before = LocalAgreementPolicy(), []
    for texts in updates:
        hypothesis, words = decoded(texts, [0] * len(texts), "end")
        count = policy.commit(hypothesis, words, frontier_frame=1, final=False)
        assert texts[:count] == before[:count]
        before = texts[count:]


@given(
    tokens=st.integers(0, 12),
    frames=st.integers(1, FRAMES),
    seed=st.integers(0, 2**16),
)
def test_token_frames_are_ordered_and_inside_the_window(tokens, frames, seed):
    attention = np.random.default_rng(seed).random((tokens, frames)).astype(np.float32)
    starts, ends = token_frames(attention)
    assert (starts <= ends).all()
    assert (starts[1:] >= ends[:-1]).all()
    assert ((starts >= 0) & (ends <= frames)).all()


@given(
    lengths=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=8),
    tail=st.integers(0, 30),
)
def test_clean_attention_is_found_exactly(lengths, tail):
    at, spans = 0, []
    for length, gap in lengths:
        spans.append((at + gap, at + gap + length))
        at += gap + length
    attention = np.zeros((len(spans), at + tail), np.float32)
    for row, (start, end) in zip(attention, spans, strict=True):
        row[start:end] = 1.0 / (end - start)
    starts, ends = token_frames(attention)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == spans


@given(
    head=st.lists(st.integers(0, 3), max_size=10),
    unit=st.lists(st.integers(4, 9), min_size=1, max_size=12, unique=True),
)
def test_a_long_enough_loop_is_always_found(head, unit):
    start = repetition_start([*head, *unit * 6])
    assert start is not None
    assert start <= len(head) + len(unit)
