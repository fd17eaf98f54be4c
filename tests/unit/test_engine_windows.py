from __future__ import annotations

import pytest

from whisper_service.engine.openvino_encoder import (
    DECODER_SECONDS,
    ENCODER_SECONDS,
    batches,
    context_grid,
    fit,
)


@pytest.mark.parametrize("count", range(20))
def test_batches_are_on_the_grid_without_padding(count: int) -> None:
    sizes = list(batches(count))
    assert sum(sizes) == count
    assert set(sizes) <= {1, 2, 4, 8}
    assert sizes == sorted(sizes, reverse=True)


def test_the_grid_ends_at_the_length_of_the_model() -> None:
    assert context_grid(ENCODER_SECONDS, 1500) == (
        50,
        100,
        150,
        200,
        300,
        400,
        500,
        750,
        1000,
        1500,
    )
    assert context_grid(DECODER_SECONDS, 1500) == (100, 300, 500, 1000, 1500)
    assert context_grid(ENCODER_SECONDS, 160) == (50, 100, 150, 160)
    assert context_grid(DECODER_SECONDS, 40) == (40,)


def test_fit_takes_the_smallest_that_holds() -> None:
    assert [fit(value, (1, 8, 32)) for value in (0, 1, 2, 8, 9, 32, 99)] == [1, 1, 8, 8, 32, 32, 32]
