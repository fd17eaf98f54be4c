"""The mergeable quantile sketch."""

import math

import numpy as np
import pytest

from whisper_service.errors import InvalidOptionError
from whisper_service.metrics.sketch import QuantileSketch


def exact(values, q):
    return sorted(values)[math.floor(q * (len(values) - 1))]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_quantiles_are_within_one_percent(scale):
    values = np.random.default_rng(1).lognormal(0.0, 2.0, 20_000) * scale
    sketch = QuantileSketch()
    sketch.add(values)
    for q in (0.0, 0.01, 0.5, 0.95, 0.99, 0.999, 1.0):
        assert sketch.quantile(q) == pytest.approx(exact(values, q), rel=0.01)
    assert len(sketch) == 20_000


def test_merging_equals_adding():
    values = np.random.default_rng(2).exponential(5.0, 5000)
    whole, left, right = QuantileSketch(), QuantileSketch(), QuantileSketch()
    whole.add(values)
    left.add(values[:1234])
    right.add(values[1234:])
    left.merge(right)
    for q in np.linspace(0, 1, 21):
        assert left.quantile(q) == whole.quantile(q)
    assert len(left) == len(whole)
    assert len(right) == 5000 - 1234


def test_merging_keeps_the_zeros():
    first, second = QuantileSketch(), QuantileSketch()
    first.add([5.0])
    second.add([0.0, 0.0])
    first.merge(second)
    assert (len(first), first.quantile(0.5)) == (3, 0.0)


def test_a_sketch_may_be_merged_with_itself():
    sketch = QuantileSketch()
    sketch.add([1.0, 2.0])
    sketch.merge(sketch)
    assert len(sketch) == 4


def test_zeros_are_counted_apart():
    sketch = QuantileSketch()
    sketch.add([0.0, 0.0, 0.0, 8.0])
    assert sketch.quantile(0.5) == 0.0
    assert sketch.quantile(1.0) == pytest.approx(8.0, rel=0.01)


def test_an_empty_sketch_says_zero():
    assert QuantileSketch().quantile(0.99) == 0.0


def test_memory_is_bounded_at_the_cost_of_the_low_end():
    values = np.geomspace(1e-6, 1e9, 10_000)
    sketch = QuantileSketch(max_bins=64)
    sketch.add(values)
    assert sketch.bins == 64
    assert len(sketch) == 10_000
    assert sketch.quantile(0.99) == pytest.approx(exact(values, 0.99), rel=0.01)
    assert sketch.quantile(0.01) > values[100] * 1.01


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_quantiles_outside_0_to_1_are_an_error(q):
    with pytest.raises(InvalidOptionError, match="from 0 to 1"):
        QuantileSketch().quantile(q)


def test_only_equal_errors_merge():
    with pytest.raises(InvalidOptionError, match="cannot be merged"):
        QuantileSketch(0.01).merge(QuantileSketch(0.02))


@pytest.mark.parametrize(
    "options", [{"relative_error": 0.0}, {"relative_error": 1.0}, {"max_bins": 0}]
)
def test_impossible_options(options):
    with pytest.raises(InvalidOptionError):
        QuantileSketch(**options)
