"""Thresholds moved by what they do to the outputs: which belong together, what is tried, what is taken."""

from collections.abc import Mapping

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmzoo.quantization.lowered_layers import Lowered, Quant
from bmzoo.quantization.mapping import lowered_network
from bmzoo.quantization.network import LoweredNetwork
from bmzoo.quantization.refine import FACTORS, Scale, by_tensor, most_sensitive, moves, scales

A, B, C = (Scale((name,), (f"{name}_Conv",), 1.0, 2.0) for name in "abc")


def network() -> LoweredNetwork:
    """a = conv(x), p = pooled a with the same scale, b = conv(p) with another."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["p", "w"], ["b"]),
    ]
    x, b = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4]) for name in "xb")
    weights = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "w")
    graph = helper.make_graph(nodes, "g", [x], [b], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    return lowered_network(
        model,
        {
            "a_Conv": Lowered("Conv2D", Quant(0.1)),
            "p_MaxPool": Lowered("Pool2D", Quant(0.1)),
            "b_Conv": Lowered("Conv2D", Quant(0.2)),
        },
    )


def test_layers_with_one_scale_move_together() -> None:
    table = {"a_Conv": (12.7, 20.0), "p_MaxPool": (12.7, 18.0), "b_Conv": (25.4, 25.4)}
    first, second = scales(network(), table)
    assert (first.tensors, first.rows) == (("a", "p"), ("a_Conv", "p_MaxPool"))
    assert (first.threshold, first.largest) == (12.7, 20.0)
    assert second.tensors == ("b",)
    assert scales(network(), {"a_Conv": (0.0, 0.0)}) == [], "what is always zero, and rows that are not there"


def test_nothing_beyond_the_largest_value_is_tried() -> None:
    assert Scale(("a",), ("a",), 1.0, 1.3).factors() == (*(f for f in FACTORS if f <= 1.2), 1.3)
    assert Scale(("a",), ("a",), 1.0, 1.0).factors() == tuple(f for f in FACTORS if f < 1)


def test_a_network_has_other_scales_where_they_are_moved() -> None:
    net = network()
    moved = net.scaled({"a": 2.0})
    assert [moved.layers[name].quant.scale for name in "apb"] == [0.2, 0.1, 0.2]
    assert net.layers["a"].quant.scale == 0.1


def test_the_most_sensitive_come_first() -> None:
    assert most_sensitive([A, B, C], {"a_Conv": 0.1, "c_Conv": 0.3}, 2) == [C, A]


@pytest.mark.parametrize(("best", "taken"), [({"a": 2.0, "b": 0.7}, {A: 2.0, B: 0.7}), ({"a": 1.0, "b": 1.0}, {})])
def test_what_is_taken_leaves_the_least_loss(best: Mapping[str, float], taken: Mapping[Scale, float]) -> None:
    asked: list[Mapping[str, float]] = []

    def loss(factors: Mapping[str, float]) -> float:
        asked.append(factors)
        return 1 + sum(abs(factors.get(name, 1.0) - value) for name, value in best.items())

    assert moves([A, B], loss) == taken
    assert by_tensor(taken) == {one.tensors[0]: factor for one, factor in taken.items()}
    assert {factors["a"] for factors in asked if "b" in factors and "a" in factors} <= set(
        by_tensor(taken).values()
    )


def test_a_gain_that_is_noise_is_not_taken() -> None:
    assert moves([A], lambda factors: 1 - 0.004 * len(factors)) == {}
