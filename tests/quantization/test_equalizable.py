"""Equalization of models whose exporters hide convolutions' weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import equalize, ranges, scales
from bmzoo.quantization.equalize import RANGE_SHARES, apply, derive, equalizable, pairs, parse_factors
from bmzoo.quantization.session import session

RANDOM = np.random.default_rng(3)
UNEVEN = np.array([1, 8, 0.05, 30], np.float32)


def weight(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [tensor.name], value=tensor)


def made(nodes: list[onnx.NodeProto], weights: list[TensorProto]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, None, None])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def hidden() -> onnx.ModelProto:
    """Weights as Constant nodes, one behind Identity, and batch normalization before the activation."""
    shared = numpy_helper.from_array(np.zeros(4, np.float32), "zeros")
    spread = numpy_helper.from_array(UNEVEN, "gamma")
    nodes = [
        constant(weight("w", 4, 3, 3, 3)),
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "gamma", "zeros", "zeros", "ones"], ["b"]),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Identity", ["stored"], ["v"]),
        helper.make_node("Conv", ["r", "v", "half"], ["y"]),
        constant(numpy_helper.from_array(np.full(2, 0.5, np.float32), "half")),
    ]
    nodes.insert(0, nodes.pop())
    ones = numpy_helper.from_array(np.ones(4, np.float32), "ones")
    return made(nodes, [shared, spread, ones, weight("stored", 2, 4, 1, 1)])


def shared_bias() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "v", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "u"], ["y"]),
    ]
    stored = [weight("w", 4, 3, 3, 3), weight("v", 4, 4, 1, 1), weight("b", 4), weight("u", 2, 4, 1, 1)]
    return made(nodes, stored)


@pytest.mark.parametrize(("model", "found"), [(hidden(), 1), (shared_bias(), 2)], ids=["hidden", "shared bias"])
def test_what_is_hidden_is_equalized_and_computes_the_same(model: onnx.ModelProto, found: int) -> None:
    assert len(pairs(model)) == 0
    seen = equalizable(model)
    assert len(pairs(seen)) == found
    ranges = {pair.first.output[0]: np.array([1.0, 8.0, 0.05, 30.0]) for pair in pairs(seen)}
    result = apply(seen, derive(seen, ranges, RANGE_SHARES["channel"]))
    assert result.SerializeToString() != seen.SerializeToString()
    picture = {"x": RANDOM.uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)}  # the batch stays free
    (before,), (after,) = (session(each, 1).run(None, picture) for each in (model, result))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)
    assert [entry.version for entry in result.opset_import if not entry.domain] == [11]
    assert result.ir_version <= 6


def test_weights_that_layers_share_stay_shared() -> None:
    model = shared_bias()
    model.graph.node[2].input[1] = model.graph.node[0].input[1] = "v"
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    seen = equalizable(model)
    assert [node.input[1] for node in seen.graph.node if node.op_type == "Conv"] == ["v", "v", "u"]
    assert [pair.first.output[0] for pair in pairs(seen)] == []


def test_a_model_that_hides_nothing_stays_as_it_is() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Conv", ["a", "v"], ["y"])]
    model = made(nodes, [weight("w", 4, 3, 3, 3), weight("v", 2, 4, 1, 1)])
    assert equalizable(model).SerializeToString() == model.SerializeToString()


def test_scales_are_derived_and_applied_by_the_commands(tmp_path: Path) -> None:
    onnx.save(hidden(), str(tmp_path / "source.onnx"))
    names = [f"{index}.npz" for index in range(2)]
    for name in names:
        np.savez(tmp_path / name, x=RANDOM.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32))
    (tmp_path / "samples.txt").write_text("\n".join(names))
    ranges.run(tmp_path, ("source.onnx",))
    scales.run(tmp_path, ("source.onnx", "channel"))
    factors = parse_factors((tmp_path / "channels.scales").read_text())
    assert list(factors) == ["a"] and factors["a"][3] > 10 * factors["a"][2]
    equalize.run(tmp_path, ("source.onnx", "channels.scales", "[1,3,8,8]"))
    assert "Constant" not in {node.op_type for node in onnx.load(str(tmp_path / "model.onnx")).graph.node}


def test_inputs_besides_the_first_are_fed_in_their_own_type(tmp_path: Path) -> None:
    model = made(
        [
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("Conv", ["r", "v"], ["c"]),
            helper.make_node("Gather", ["c", "index"], ["y"], axis=2),
        ],
        [weight("w", 4, 3, 3, 3), weight("v", 2, 4, 1, 1)],
    )
    model.graph.input.append(helper.make_tensor_value_info("index", TensorProto.INT64, ["k"]))
    onnx.save(model, str(tmp_path / "source.onnx"))
    (tmp_path / "channels.scales").write_text("a 2.0 0.5 1.0 4.0\n")
    equalize.run(tmp_path, ("source.onnx", "channels.scales", "[1,3,8,8]"))
    assert (tmp_path / "model.onnx").is_file()
