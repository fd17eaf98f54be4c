import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_service.metrics.sketch import QuantileSketch

durations = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=200)


@settings(deadline=None)
@given(durations, st.floats(0, 1))
def test_any_quantile_is_within_the_relative_error(values, q):
    sketch = QuantileSketch()
    sketch.add(values)
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    assert sketch.quantile(q) == pytest.approx(exact, rel=0.01 + 1e-9)


@settings(deadline=None)
@given(durations, st.data())
def test_how_values_are_cut_into_batches_and_sketches_does_not_matter(values, data):
    cut = data.draw(st.integers(0, len(values)))
    whole, first, second = QuantileSketch(), QuantileSketch(), QuantileSketch()
    whole.add(values)
    for value in values[:cut]:
        first.add([value])
    second.add(values[cut:])
    first.merge(second)
    assert len(first) == len(whole)
    assert [first.quantile(q / 10) for q in range(11)] == [
        whole.quantile(q / 10) for q in range(11)
    ]
