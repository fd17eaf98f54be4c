import numpy as np

from whisper_service.config import DecodeOptions
from whisper_service.engine.base import Hypothesis
from whisper_service.policy import (
    AlignAttPolicy,
    LocalAgreementPolicy,
    TimedWord,
    commit_policy,
)
from whisper_service.policy.local_agreement import normalized


def decoded(*texts, stopped="end"):
    """A hypothesis of one-token words, five frames each, and its words."""
    words = [
        TimedWord(text=text, tokens=(i,), start=5 * i, end=5 * i + 5, probability=1.0)
        for i, text in enumerate(texts)
    ]
    hypothesis = Hypothesis(
        tokens=tuple(range(len(texts))),
        logprobs=(-0.1,) * len(texts),
        frames=tuple(word.start + 2 for word in words),
        attention=np.zeros((len(texts), 100), np.float32),
        end_logprob=-0.1,
        no_speech_prob=0.0,
        stopped=stopped,
    )
    return hypothesis, words


def commit(policy, *texts, frontier=1000, final=False, stopped="end"):
    hypothesis, words = decoded(*texts, stopped=stopped)
    return policy.commit(hypothesis, words, frontier_frame=frontier, final=final)


def test_the_first_hypothesis_commits_nothing():
    assert commit(LocalAgreementPolicy(), " a", " b") == 0


def test_the_common_prefix_of_two_is_committed():
    policy = LocalAgreementPolicy()
    commit(policy, " a", " b", " c")
    assert commit(policy, " a", " b", " x", " y") == 2


def test_committed_words_leave_the_next_comparison():
    policy = LocalAgreementPolicy()
    commit(policy, " a", " b")
    assert commit(policy, " a", " c", " d") == 1
    assert commit(policy, " c", " d", " e") == 2
    assert commit(policy, " e") == 1


def test_case_and_punctuation_do_not_disagree():
    policy = LocalAgreementPolicy()
    commit(policy, " Hello,", " World")
    assert commit(policy, " hello", " world.") == 2


def test_words_behind_the_frontier_wait_and_may_be_committed_later():
    policy = LocalAgreementPolicy()
    commit(policy, " a", " b", " c")
    assert commit(policy, " a", " b", " c", frontier=8) == 2
    assert commit(policy, " c", " d") == 1


def test_incomplete_characters_wait():
    policy = LocalAgreementPolicy()
    commit(policy, "你", "\ufffd")
    assert commit(policy, "你", "\ufffd") == 1


def test_the_final_needs_no_agreement():
    assert commit(LocalAgreementPolicy(), " a", " b", final=True) == 2
    assert commit(LocalAgreementPolicy(), " a", " b", final=True, stopped="budget") == 1


def test_reset_forgets():
    policy = LocalAgreementPolicy()
    commit(policy, " a")
    policy.reset()
    assert commit(policy, " a") == 0


def test_normalized_keeps_what_has_no_letters():
    assert normalized(" Straße!") == "strasse"
    assert normalized(" – ") == "–"
    assert normalized("Ｆｉ１") == normalized("ﬁ1") == "fi1"


def test_the_option_names_the_policy():
    assert isinstance(commit_policy(DecodeOptions()), AlignAttPolicy)
    other = commit_policy(DecodeOptions(policy="local_agreement"))
    assert isinstance(other, LocalAgreementPolicy)
