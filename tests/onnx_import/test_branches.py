"""Control flow: branches whose condition is known are taken, all else is named."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toy_graphs import FREE, network, node

from bmzoo.errors import SourceError
from bmzoo.onnx_import.branches import without_branches
from bmzoo.runtime.engines.session import OnnxSession

X = np.random.default_rng(0).standard_normal((1, 3, 8, 6)).astype("f4")
BOOL = TensorProto.BOOL


def graph(name: str, *nodes: onnx.NodeProto, output: str = "o", **weights: Any) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()]
    return helper.make_graph(nodes, name, [], [out], constants)


def branches() -> dict[str, onnx.GraphProto]:
    return {
        "then_branch": graph("yes", helper.make_node("Mul", ["n", "twice"], ["o"]), twice=np.float32(2)),
        "else_branch": graph("no", helper.make_node("Abs", ["n"], ["o"])),
    }


def choosing(*nodes: onnx.NodeProto, **weights: Any) -> onnx.ModelProto:
    before = helper.make_node("Neg", ["x"], ["n"])
    choice = helper.make_node("If", ["c"], ["chosen"], name="if_1", **branches())
    return network(before, *nodes, choice, node("Identity", "chosen"), weights=weights)


SIDES = [
    helper.make_node("Shape", ["x"], ["sides"]),
    helper.make_node("Gather", ["sides", "two"], ["height"]),
    helper.make_node("Equal", ["height", "eight"], ["c"]),
]
KNOWN = [
    ("a weight", choosing(c=np.array(True)), -2 * X),
    ("another", choosing(c=np.array([False])), np.abs(X)),
    ("a constant", choosing(node("Constant", output="c", value=numpy_helper.from_array(np.array(True)))), -2 * X),
    ("sizes", choosing(*SIDES, two=np.array(2), eight=np.array(8)), -2 * X),
    ("other sizes", choosing(*SIDES, two=np.array(2), eight=np.array(9)), np.abs(X)),
]
KNOWN[2][1].graph.node[1].input[:] = []  # `node` gives `x` where it is told of no input


@pytest.mark.parametrize(("model", "wanted"), [row[1:] for row in KNOWN], ids=[row[0] for row in KNOWN])
def test_the_branch_that_is_always_taken_stays(model: onnx.ModelProto, wanted: np.ndarray[Any, Any]) -> None:
    found = without_branches(model, {"x": X}, "a.onnx")
    onnx.checker.check_model(found)
    assert "If" not in {n.op_type for n in found.graph.node}
    np.testing.assert_array_equal(OnnxSession(found.SerializeToString()).run({"x": X})["y"], wanted)


def test_a_model_without_branches_is_itself() -> None:
    model = network(node("Relu"))
    assert without_branches(model, {"x": X}, "a.onnx") is model


def loop() -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(n, t, []) for n, t in (("i", TensorProto.INT64), ("go", BOOL))]
    state = helper.make_tensor_value_info("s", TensorProto.FLOAT, FREE)
    out = [helper.make_tensor_value_info("go2", BOOL, []), helper.make_tensor_value_info("s2", 1, FREE)]
    nodes = [helper.make_node("Identity", ["go"], ["go2"]), helper.make_node("Neg", ["s"], ["s2"])]
    body = helper.make_graph(nodes, "body", [*ports, state], out)
    return network(helper.make_node("Loop", ["m", "", "x"], ["y"], body=body), weights={"m": np.array(3)})


def by_value() -> onnx.ModelProto:
    sums = helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0)
    return choosing(sums, helper.make_node("Greater", ["sum", "zero"], ["c"]), zero=np.float32(0))


REFUSED = [
    ("a loop", loop(), "a.onnx: Loop `y` repeats a part of the network"),
    ("by value", by_value(), "a.onnx: If `if_1` asks for values of the input `x`"),
]


@pytest.mark.parametrize(("model", "wording"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_no_chip_computes_is_named(model: onnx.ModelProto, wording: str) -> None:
    with pytest.raises(SourceError) as caught:
        without_branches(model, {"x": X}, "a.onnx")
    assert caught.value.message == wording and "outputs" in caught.value.hint
