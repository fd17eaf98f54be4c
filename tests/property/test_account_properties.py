from hypothesis import given
from hypothesis import strategies as st

from whisper_service.streaming.account import Account

steps = st.lists(
    st.tuples(st.sampled_from(["receive", "lose", "decode", "skip"]), st.integers(0, 5000)),
    max_size=60,
)


@given(steps)
def test_adds_up_at_every_moment_and_matches_a_list_of_labels(actions):
    account = Account()
    labels: list[str] = []  # one per sample, "?" while undecided
    for action, n in actions:
        if action == "receive":
            account.receive(n)
            labels += ["?"] * n
        elif action == "lose":
            account.lose(n)
            labels += ["x"] * n
        else:
            getattr(account, action)(n)
            labels = [
                {"decode": "d", "skip": "s"}[action] if label == "?" and i < n else label
                for i, label in enumerate(labels)
            ]
        got = account.snapshot()
        assert got.received == got.decoded + got.skipped_silence + got.dropped + got.pending
        assert got.received == len(labels)
        assert got.decoded == labels.count("d")
        assert got.skipped_silence == labels.count("s")
        assert got.dropped == labels.count("x")
        assert got.pending == labels.count("?")
