"""The cache of encoder outputs."""

import json
import threading

import numpy as np
import pytest

from whisper_service.engine.encoder_cache import EncoderCache, SpanKey
from whisper_service.errors import InvalidAudioError, InvalidOptionError


def output(value=0, size=4):
    return np.full(size, value, np.float32)


def audio(seed, size=1600):
    return np.random.default_rng(seed).uniform(-1, 1, size).astype(np.float32)


class Tensor:
    """What the cache needs to know of a framework's tensor."""

    def __init__(self, device, nbytes=64):
        self.device = device
        self.nbytes = nbytes
        self.moved = 0

    def to(self, device):
        copy = Tensor("cuda:0" if device == "cuda" else device, self.nbytes)
        copy.moved = self.moved + 1
        return copy


def test_an_output_comes_back_for_equal_audio():
    cache, stored = EncoderCache(), output(1)
    cache.put(stored, audio=audio(1))
    assert cache.get(audio=audio(1).copy()) is stored
    assert cache.get(audio=audio(2)) is None


def test_a_hash_made_before_finds_the_same():
    cache, stored = EncoderCache(), output(1)
    key = cache.precompute_hash(audio(1))
    cache.put(stored, audio_hash=key)
    assert cache.get(audio=audio(1)) is stored
    assert cache.get(audio_hash=key) is stored
    assert cache.contains(audio_hash=key)
    assert cache.contains(audio=audio(1))


def test_an_output_that_is_false_is_still_a_hit():
    cache = EncoderCache()
    cache.put_key("k", 0)
    assert cache.get_key("k") == 0
    assert cache.get_statistics()["hits"] == 1


@pytest.mark.parametrize(
    ("precision", "difference", "equal"), [(6, 1e-8, True), (6, 1e-4, False), (2, 1e-4, True)]
)
def test_the_hash_is_of_rounded_samples(precision, difference, equal):
    cache = EncoderCache(hash_precision=precision)
    base = np.array([0.5, -0.25, 0.13], np.float32)
    near = base.astype(np.float64) + difference
    assert (cache.precompute_hash(base) == cache.precompute_hash(near)) is equal


def test_the_hash_knows_length_order_and_sign_but_not_dtype_layout_or_the_sign_of_zero():
    hash_of = EncoderCache().precompute_hash
    base = np.array([0.0, 0.5, -0.5], np.float32)
    assert hash_of(base) == hash_of(base.astype(np.float64))
    assert hash_of(base) == hash_of(np.repeat(base, 2)[::2])
    assert hash_of(base) == hash_of(np.array([-1e-9, 0.5, -0.5]))
    others = [base[:2], base[::-1], -base, np.append(base, 0)]
    assert hash_of(base) not in {hash_of(x) for x in others}
    assert len(hash_of(base)) == 32


def test_any_samples_have_a_hash():
    hash_of = EncoderCache().precompute_hash
    assert hash_of(np.array([np.nan, np.inf, 3e38])) == hash_of(np.array([np.nan, np.inf, 3e38]))
    assert hash_of(np.zeros(0, np.float32))


def test_only_mono_has_a_hash():
    with pytest.raises(InvalidAudioError, match="shape \\[n\\]"):
        EncoderCache().precompute_hash(np.zeros((1, 16)))


def test_nothing_to_look_up():
    with pytest.raises(InvalidOptionError, match="audio= or audio_hash="):
        EncoderCache().get()


def test_the_least_recently_used_leaves_first():
    cache = EncoderCache(max_size=2)
    cache.put_key("a", 1)
    cache.put_key("b", 2)
    cache.get_key("a")
    cache.put_key("c", 3)
    assert [cache.contains(audio_hash=k) for k in "abc"] == [True, False, True]
    assert cache.get_statistics()["evictions"] == 1


def test_contains_neither_counts_nor_touches():
    cache = EncoderCache(max_size=2)
    cache.put_key("a", 1)
    cache.put_key("b", 2)
    assert cache.contains(audio_hash="a")
    cache.put_key("c", 3)
    assert not cache.contains(audio_hash="a")
    assert cache.get_statistics()["hits"] == cache.get_statistics()["misses"] == 0


def test_replacing_makes_recent_and_evicts_nothing():
    cache = EncoderCache(max_size=2)
    cache.put_key("a", output(1, 100))
    cache.put_key("b", output(2))
    cache.put_key("a", output(3))
    assert len(cache) == 2
    assert cache.get_statistics()["bytes"] == 32
    cache.put_key("c", output(4))
    assert cache.get_key("a")[0] == 3
    assert cache.get_key("b") is None


def test_bytes_bound_the_cache_too():
    cache = EncoderCache(max_size=50, max_bytes=100)
    for key in range(5):
        cache.put_key(key, output(key, 10))  # 40 bytes each
    assert [k for k in range(5) if cache.contains(audio_hash=k)] == [3, 4]
    assert cache.get_statistics()["bytes"] == 80


def test_an_output_larger_than_all_room_is_not_kept_and_pushes_nothing_out():
    cache = EncoderCache(max_bytes=100)
    cache.put_key("small", output(1, 10))
    cache.put_key("large", output(1, 1000))
    assert cache.contains(audio_hash="small")
    assert not cache.contains(audio_hash="large")
    cache.put_key("small", output(1, 1000))
    assert cache.get_statistics()["bytes"] == len(cache) == 0


def test_bytes_of_tuples_and_of_what_has_no_size():
    cache = EncoderCache()
    cache.put_key("pair", (output(1, 10), [output(2, 5)]))
    assert cache.get_statistics()["bytes"] == 60
    cache.put_key("plain", "text")
    assert cache.get_statistics()["bytes"] > 60


def test_statistics():
    cache = EncoderCache(max_size=4)
    cache.put_key("a", output())
    for key in ("a", "a", "x", "a"):
        cache.get_key(key)
    assert json.loads(json.dumps(cache.get_statistics())) == {
        "hits": 3,
        "misses": 1,
        "hit_rate": 0.75,
        "size": 1,
        "capacity": 4,
        "evictions": 0,
        "utilization": 0.25,
        "bytes": 16,
        "max_bytes": None,
    }
    cache.reset_statistics()
    assert cache.get_statistics()["hit_rate"] == cache.get_statistics()["misses"] == 0
    assert cache.get_key("a") is not None


def test_clear_forgets_outputs_and_keeps_the_counts():
    cache = EncoderCache()
    cache.put_key("a", output())
    cache.get_key("a")
    cache.clear()
    statistics = cache.get_statistics()
    assert (statistics["size"], statistics["bytes"], statistics["hits"]) == (0, 0, 1)


def test_needs_are_counted_not_lookups():
    cache = EncoderCache()
    assert cache.get_span("s", 0, 16_000, needs=6) is None  # encoded once, serves all six
    cache.put_span(output(), "s", first=0, last=16_000)
    assert cache.get_span("s", 0, 16_000, needs=3) is not None
    cache.count_hits(2)
    assert cache.get_statistics()["misses"] == 1
    assert cache.get_statistics()["hits"] == 5 + 3 + 2
    with pytest.raises(InvalidOptionError, match="at least one"):
        cache.get_key("s", needs=0)


def test_spans_are_known_by_position():
    cache = EncoderCache()
    cache.put_span(output(1), "s", first=0, last=8000)
    assert cache.get_span("s", 0, 8000)[0] == 1
    assert cache.get_key(("s", 0, 8000))[0] == 1
    assert cache.get_key(SpanKey("s", 0, 8000))[0] == 1
    for other in (("t", 0, 8000), ("s", 1, 8000), ("s", 0, 8001)):
        assert cache.get_span(*other) is None


def test_dropping_a_stream_leaves_the_others():
    cache = EncoderCache()
    for stream in ("s", "t"):
        for first in (0, 160):
            cache.put_span(output(), stream, first=first, last=320)
    cache.put(output(), audio=audio(1))
    assert cache.drop_stream("s") == 2
    assert cache.drop_stream("s") == 0
    assert len(cache) == 3
    assert cache.get_statistics()["bytes"] == 48
    assert cache.get_statistics()["evictions"] == 0


def test_batches_of_audio_and_keys():
    cache = EncoderCache()
    cache.put_batch([output(1), output(2)], [audio(1), "key"])
    first, missing, second = cache.get_batch([audio(1), audio(3), "key"])
    assert (first[0], missing, second[0]) == (1, None, 2)
    assert cache.get_statistics()["hits"] == 2
    with pytest.raises(InvalidOptionError, match="one output for each"):
        cache.put_batch([output()], [])


def test_a_cuda_cache_keeps_gpu_tensors_as_they_are():
    cache = EncoderCache(device="cuda")
    for device in ("cuda", "cuda:0", "cuda:1"):
        tensor = Tensor(device)
        cache.put_key(device, tensor)
        assert cache.get_key(device) is tensor
    cache.put_key("host", Tensor("cpu"))
    assert cache.get_key("host").device == "cuda:0"


def test_a_cache_for_one_gpu_brings_tensors_there():
    cache = EncoderCache(device="cuda:1")
    cache.put_key("here", here := Tensor("cuda:1"))
    cache.put_key("there", Tensor("cuda:0"))
    assert cache.get_key("here") is here
    assert cache.get_key("there").device == "cuda:1"


def test_a_cpu_cache_brings_tensors_to_the_host_and_arrays_stay():
    cache, array = EncoderCache(device="cpu"), output()
    cache.put_batch([Tensor("cuda:0"), host := Tensor("cpu"), array], "abc")
    assert cache.get_key("a").device == "cpu"
    assert cache.get_key("b") is host
    assert cache.get_key("c") is array


@pytest.mark.parametrize(
    "options",
    [
        {"max_size": 0},
        {"device": "tpu"},
        {"hash_precision": -1},
        {"hash_precision": 10},
        {"max_bytes": 0},
    ],
)
def test_impossible_options(options):
    with pytest.raises(InvalidOptionError, match="give"):
        EncoderCache(**options)


def test_threads():
    cache = EncoderCache(max_size=8)
    failures = []

    def work(stream):
        for i in range(500):
            cache.put_span(output(i, 4), stream, first=i % 12, last=i)
            found = cache.get_span(stream, i % 12, i)
            if found is not None and found[0] != i:
                failures.append((stream, i))
            if i % 100 == 0:
                cache.drop_stream(stream)

    workers = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    statistics = cache.get_statistics()
    assert failures == []
    assert statistics["hits"] + statistics["misses"] == 2000
    assert statistics["bytes"] == 16 * statistics["size"] == 16 * len(cache)


class Growing:
    """An output to which a decode adds keys and values."""

    nbytes = 100


def test_outputs_that_grow_are_weighed_again():
    cache, outputs = EncoderCache(max_size=8, max_bytes=400), [Growing() for _ in range(3)]
    for i, each in enumerate(outputs):
        cache.put_key(i, each)
    outputs[1].nbytes = 150
    assert cache.get_statistics()["bytes"] == 350
    outputs[2].nbytes = 300
    assert cache.get_key(2) is outputs[2]
    assert cache.get_statistics()["bytes"] == 300
    assert cache.get_statistics()["evictions"] == 2
