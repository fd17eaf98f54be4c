"""The ring buffer against a plain list."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from whisper_service.audio.ring_buffer import RingBuffer
from whisper_service.errors import InvalidAudioError


class RingBufferAgainstList(RuleBasedStateMachine):
    """Every sample is its own address, so anything stale or misplaced shows."""

    @initialize(
        capacity=st.one_of(st.integers(1, 40), st.sampled_from([1023, 1024, 1025, 2048])),
        mirrored=st.booleans(),
        begin=st.integers(0, 3000),
    )
    def build(self, capacity, mirrored, begin):
        self.ring = RingBuffer(capacity, mirrored=mirrored)
        self.held = []
        self.end = 0
        self.lost = 0
        while self.end < begin:  # start anywhere within a period
            self.append(min(capacity, begin - self.end))
        self.clear()

    @rule(share=st.floats(0, 1))
    def append_some(self, share):
        self.append(round(share * self.ring.capacity))

    @rule(n=st.integers(0, 9))
    def append_few(self, n):
        self.append(min(n, self.ring.capacity))

    def append(self, n):
        self.ring.append(np.arange(self.end, self.end + n, dtype=np.float32))
        self.held += range(self.end, self.end + n)
        self.end += n
        excess = max(0, len(self.held) - self.ring.capacity)
        self.lost += excess
        del self.held[:excess]

    @rule(n=st.integers(0, 1500))
    def consume(self, n):
        assert self.ring.consume(n) == min(n, len(self.held))
        del self.held[:n]

    @rule()
    def clear(self):
        self.ring.clear()
        self.held.clear()

    @rule(n=st.integers(0, 1500))
    def read_last(self, n):
        assert self.ring.read_last_n(n).tolist() == (self.held[-n:] if n else [])

    @rule(a=st.floats(0, 1), b=st.floats(0, 1))
    def view(self, a, b):
        first, last = sorted(round(x * len(self.held)) for x in (a, b))
        start = self.end - len(self.held)
        assert self.ring.view(start + first, start + last).tolist() == self.held[first:last]

    @rule(extra=st.integers(1, 5))
    def too_much(self, extra):
        with pytest.raises(InvalidAudioError):
            self.ring.append(np.zeros(self.ring.capacity + extra, np.float32))

    @invariant()
    def same_contents(self):
        if not hasattr(self, "ring"):
            return
        ring = self.ring
        assert ring.read_all().tolist() == self.held
        assert len(ring) == len(self.held)
        assert (ring.start, ring.end) == (self.end - len(self.held), self.end)
        assert ring.is_empty() == (not self.held)
        assert ring.is_full() == (len(self.held) == ring.capacity)
        assert ring.remaining_capacity() == ring.capacity - len(self.held)
        assert ring.overwritten == self.lost


TestRingBufferAgainstList = RingBufferAgainstList.TestCase
TestRingBufferAgainstList.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None
)
