"""The first convolution and what is known of it, in networks as projects export them."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmzoo.onnx_import.first_layer import first_layer
from bmzoo.runtime.engines.session import OnnxSession

RANDOM = np.random.default_rng(2)
KERNEL = RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = np.array([1, 2, 3, 4], np.float32)
NORM = [np.array(values, np.float32) for values in ([1] * 4, [0] * 4, [5, 6, 7, 8], [4, 9, 16, 25])]


def network(nodes: list[onnx.NodeProto], weights: dict[str, Any], listed: bool = False) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inputs = [x]
    if listed:  # as files of before IR version 4 have it
        inputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in weights.items()]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def conv(*more: str) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "k", *more], ["c"], kernel_shape=[3, 3])


def test_the_bias_of_a_folded_network() -> None:
    found = first_layer(network([conv("b"), helper.make_node("Relu", ["c"], ["y"])], {"k": KERNEL, "b": BIAS}))
    assert found is not None and found.mean is None and found.bias is not None
    np.testing.assert_array_equal(found.bias, BIAS)


def test_a_bias_that_is_added() -> None:
    add = helper.make_node("Add", ["c", "b"], ["y"])
    found = first_layer(network([conv(), add], {"k": KERNEL, "b": BIAS.reshape(1, 4, 1, 1)}))
    assert found is not None and found.bias is not None
    np.testing.assert_array_equal(found.bias, BIAS)


@pytest.mark.parametrize("listed", [False, True])
def test_batch_normalization_says_what_it_was_in_training(listed: bool) -> None:
    norm = helper.make_node("BatchNormalization", ["c", "s", "o", "m", "v"], ["y"])
    weights = {"k": KERNEL, **dict(zip("somv", NORM, strict=True))}
    found = first_layer(network([conv(), norm], weights, listed))
    assert found is not None and found.mean is not None and found.deviation is not None
    np.testing.assert_array_equal(found.mean, [5, 6, 7, 8])
    np.testing.assert_allclose(found.deviation, [2, 3, 4, 5])
    session = OnnxSession(found.model.SerializeToString(), threads=1)
    x = RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32)
    got = session.run({"x": x})[found.tensor]
    assert got.shape == (1, 4, 6, 6)
    assert got[0, 2, 0, 0] == pytest.approx(float((KERNEL[2] * x[0, :, :3, :3]).sum()), rel=1e-4)


def test_only_what_is_before_the_layer_is_run() -> None:
    nodes = [helper.make_node("Mul", ["x", "two"], ["d"]), conv("b"), helper.make_node("Relu", ["c"], ["y"])]
    nodes[1].input[0] = "d"
    found = first_layer(network(nodes, {"k": KERNEL, "b": BIAS, "two": np.float32(2), "far": KERNEL}))
    assert found is not None
    assert [node.op_type for node in found.model.graph.node] == ["Mul", "Conv"]
    assert {one.name for one in found.model.graph.initializer} == {"k", "b", "two"}


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert first_layer(network([conv(), helper.make_node("Relu", ["c"], ["y"])], {"k": KERNEL})) is None
    assert first_layer(network([helper.make_node("Relu", ["x"], ["y"])], {})) is None
