"""What waits in a stage while it is being brought up to date."""

from whisper_service.metrics.stage import Stage


class AppendedToMeanwhile(list):
    """A list that another thread appends to while it is being copied."""

    def __getitem__(self, index):
        copied = super().__getitem__(index)
        self.append(7.0)
        return copied


def test_a_sample_that_arrives_during_a_drain_is_kept_for_the_next():
    stage = Stage(10, lambda now: None)
    stage.pending = AppendedToMeanwhile([1.0, 2.0])
    stage.drain()
    assert (stage.count, list(stage.pending)) == (2, [7.0])
