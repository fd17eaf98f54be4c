from collections import OrderedDict

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from whisper_service.engine.encoder_cache import EncoderCache

MAX_SIZE, MAX_BYTES = 3, 40
keys = st.integers(0, 5)
streams = st.sampled_from("st")


class CacheMachine(RuleBasedStateMachine):
    """The cache against an ordered dictionary, oldest first."""

    def __init__(self):
        super().__init__()
        self.cache = EncoderCache(max_size=MAX_SIZE, max_bytes=MAX_BYTES)
        self.model = OrderedDict()
        self.hits = self.misses = self.evictions = 0

    @rule(stream=streams, key=keys, size=st.integers(0, 12))
    def put(self, stream, key, size):
        value = np.zeros(size, np.float32)
        self.cache.put_span(value, stream, first=key, last=key)
        self.model.pop((stream, key), None)
        if value.nbytes > MAX_BYTES:
            return
        self.model[stream, key] = value
        while len(self.model) > MAX_SIZE or self._bytes() > MAX_BYTES:
            self.model.popitem(last=False)
            self.evictions += 1

    @rule(stream=streams, key=keys, needs=st.integers(1, 4))
    def get(self, stream, key, needs):
        found = self.cache.get_span(stream, key, key, needs=needs)
        assert found is self.model.get((stream, key))
        if found is None:
            self.misses += 1
            self.hits += needs - 1
        else:
            self.hits += needs
            self.model.move_to_end((stream, key))

    @rule(stream=streams)
    def drop(self, stream):
        dropped = [k for k in self.model if k[0] == stream]
        assert self.cache.drop_stream(stream) == len(dropped)
        for key in dropped:
            del self.model[key]

    @invariant()
    def statistics_agree(self):
        statistics = self.cache.get_statistics()
        assert statistics["bytes"] == self._bytes()
        assert (statistics["size"], statistics["hits"]) == (len(self.model), self.hits)
        assert (statistics["misses"], statistics["evictions"]) == (self.misses, self.evictions)

    def _bytes(self):
        return sum(v.nbytes for v in self.model.values())


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
