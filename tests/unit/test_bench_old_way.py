"""The old way, re-implemented: it must do what it is blamed for, and still say the words."""

import math

import numpy as np

from streams import ENGINE
from whisper_service.evaluation.bench import sizes
from whisper_service.evaluation.bench.micro_buffer import memory
from whisper_service.evaluation.bench.old_way import OldWay
from whisper_service.evaluation.bench.pipeline import encoder_gflops
from whisper_service.evaluation.bench.workload import Counted
from whisper_service.testing import EnergyVad, utterance

SCRIPT = [("hello", 0.4), ("world", 0.4), ("please", 0.4), ("everything", 0.5), (None, 1.2)]


def listened():
    engine = Counted(ENGINE)
    old = OldWay(engine, EnergyVad())
    samples = utterance(SCRIPT)
    noise = np.random.default_rng(0).standard_normal(len(samples)) * 1e-4
    samples = samples + noise.astype(np.float32)  # a microphone is never digitally silent
    words = [
        word.text
        for first in range(0, len(samples), 8000)
        for event in old.feed(samples[first : first + 8000])
        for word in event.words
    ]
    return old, engine, words


def test_every_lid_frame_of_100_ms_costs_a_pass_of_30_s():
    old, engine, _ = listened()
    assert old.state.lid_frames >= 15
    assert len(engine.work.encoded) >= old.state.lid_frames
    assert {frames for _, frames in engine.work.encoded} == {3000}


def test_its_cache_never_hits_on_live_speech():
    old, _, _ = listened()
    assert old.state.lid_frames > 0
    assert old.state.hits == 0


def test_it_hears_the_words():
    _, _, words = listened()
    assert [w.strip() for w in words] == ["hello", "world", "please", "everything"]


def test_lid_and_total_are_timed_apart():
    old, _, _ = listened()
    lid, total = old.metrics.totals["lid.total"], old.metrics.totals["total"]
    assert lid[0] == old.state.chunks
    assert 0 < lid[1] < total[1]


def test_one_ring_holds_less_than_three_buffers():
    rows = memory(16_000)
    assert [row["ring"] for row in rows] == [rows[0]["ring"]] * 3
    assert rows[0]["less"] < rows[1]["less"] < rows[2]["less"]


def test_random_checkpoints_have_the_published_number_of_weights():
    """``sum(p.numel())`` of openai/whisper-tiny, -base and -small in transformers."""
    for size, count in (("tiny", 37_760_640), ("base", 72_593_920), ("small", 241_734_912)):
        shapes = sizes._shapes(sizes._config(size, dynamic_context=True))
        assert sum(math.prod(shape) for _, shape in shapes) == count


def test_an_encoder_pass_costs_what_the_formula_says():
    """Table of section 7 in the reference: tiny 30 s 36.9, base 5 s 10.7 GFLOP."""
    assert math.isclose(encoder_gflops("tiny-size", 1500), 36.9, abs_tol=0.1)
    assert math.isclose(encoder_gflops("base-size", 250), 10.7, abs_tol=0.1)
