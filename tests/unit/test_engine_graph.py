"""Building blocks of the graphs, compiled one at a time; the plugin must keep weights small."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from whisper_service.engine import graph, graph_decoder
from whisper_service.engine.graph import MASKED, Blocks, indices, model, parameter
from whisper_service.engine.openvino_runtime import core, has_bfloat16, ops

CHANNELS, WIDTH = 32, 64


def compiled(output, inputs, precision="f32"):
    config = {"INFERENCE_PRECISION_HINT": precision, "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    return core().compile_model(model([output], inputs, "test"), "CPU", config)


def run(output, inputs, *arrays):
    return compiled(output, inputs)(list(arrays))[0]


def held(network):
    """Bytes of the constants with more than 1,000 values, by their type."""
    bytes_of = Counter()
    for op in network.get_runtime_model().get_ops():
        info = op.get_rt_info()
        if "layerType" in info and info["layerType"].astype(str) == "Const":
            size, kind = int(np.prod(op.get_output_shape(0))), op.get_output_element_type(0)
            if size > 1000:
                bytes_of[kind.get_type_name()] += size * kind.bitwidth // 8
    return dict(bytes_of)


def blocks(**options):
    random = np.random.default_rng(1)
    tensors = {
        "conv.weight": random.normal(size=(WIDTH, CHANNELS, 3)).astype(np.float32),
        "conv.bias": random.normal(size=WIDTH).astype(np.float32),
    }
    return Blocks(SimpleNamespace(tensor=tensors.__getitem__), **options)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_as_a_product_is_the_same(stride):
    by_time = indices(0, 2, 1)
    x = parameter("x", (-1, CHANNELS, -1))
    expected = blocks().convolution(x, "conv", stride)
    other = blocks().convolution_as_product(ops.transpose(x, by_time), "conv", stride)
    window = np.random.default_rng(2).normal(size=(3, CHANNELS, 10)).astype(np.float32)
    results = [run(y, [x], window) for y in (expected, ops.transpose(other, by_time))]
    assert results[0].shape == (3, WIDTH, 10 // stride)
    np.testing.assert_allclose(results[1], results[0], atol=1e-4)


def test_int8_convolutions_are_held_as_int8():
    x = parameter("x", (-1, -1, CHANNELS))
    network = compiled(blocks(int8=True).convolution_as_product(x, "conv", 2), [x])
    assert held(network) == {"i8": WIDTH * CHANNELS * 3}


@pytest.mark.skipif(not has_bfloat16(), reason="the CPU has no bfloat16")
def test_half_weights_are_held_in_two_bytes():
    half, by_time = blocks(half=True), indices(0, 2, 1)
    x = parameter("x", (-1, CHANNELS, -1))
    y = ops.transpose(half.convolution(x, "conv", 1), by_time)
    y = half.project(y, np.full((WIDTH, WIDTH), 0.1, np.float32))
    network = compiled(y, [x], "bf16")
    assert held(network) == {"f16": 2 * (WIDTH * CHANNELS * 3 + WIDTH * WIDTH)}


def test_weights_beyond_the_range_of_float16_stay_float32():
    weight = np.eye(WIDTH, dtype=np.float32) * 1e6
    x = parameter("x", (-1, WIDTH))
    y = run(ops.matmul(x, graph.halved(weight), False, True), [x], np.ones((1, WIDTH), np.float32))
    assert np.array_equal(y, np.full((1, WIDTH), 1e6, np.float32))


@pytest.mark.parametrize(
    ("several", "kinds"),
    [([], {"i8": 9 * 2000}), ([3, 1], {"i8": 9 * 1996}), ([1999], {"f32": 4 * 9 * 2000})],
)
def test_rules_take_a_byte_for_a_class_that_counts_once(several, kinds):
    table = np.zeros((9, 2000), np.float32)
    table[:, several] = np.log(np.float32(5))
    table[5, several] = np.log(np.float32(2))
    table[:, ::7] = MASKED
    table[4] = MASKED
    rules = parameter("rules", (-1, -1), np.int32)
    network = compiled(graph_decoder._log_counts(table, rules), [rules])
    wanted = np.array([[3, 4], [5, 8]], np.int32)
    assert np.array_equal(network([wanted])[0], table[wanted])
    assert held(network) == kinds
