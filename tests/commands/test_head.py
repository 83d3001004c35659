"""`head` over a hand-made lowering of a graph as exporters write it."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bmzoo.commands import head

LOWERED = """\
    %1 = "top.Input"(%arg0) {} : (none) -> tensor<1x4x6x6xf32> loc(#loc1)
    %2 = "tpu.Conv2D"(%1) {} : (none) -> tensor<1x!quant.uniform<i8:f32, 0.1>> loc(#loc2)
    %3 = "tpu.Lut"(%2) {} : (none) -> tensor<1x!quant.uniform<i8:f32, 0.1>> loc(#loc3)
    %4 = "tpu.Conv2D"(%3) {} : (none) -> tensor<1x!quant.uniform<i8:f32, 0.1>> loc(#loc4)
    %5 = "tpu.Reshape"(%4) {} : (none) -> tensor<1x!quant.uniform<i8:f32, 0.1>> loc(#loc5)
"""
NAMES = ("x", "a_Conv", "b_Mul", "c_Conv", "y_Reshape")


def test_the_head_of_a_graph_with_computed_shapes(tmp_path: Path) -> None:
    """Not what only the shape of comes to the output."""
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32))),
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node("Shape", ["b"], ["sides"]),
        helper.make_node("Gather", ["sides", "first"], ["rows"]),
        helper.make_node("Concat", ["rows", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["c", "to"], ["y"]),
    ]
    numbers = [numpy_helper.from_array(np.array([n], np.int64), name) for name, n in (("first", 0), ("rest", -1))]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], numbers), opset_imports=[helper.make_opsetid("", 11)], ir_version=6
    )
    onnx.save(model, str(tmp_path / "model.onnx"))
    located = "".join(f'#loc{number} = loc("{name}")\n' for number, name in enumerate(NAMES, 1))
    (tmp_path / "lowered.mlir").write_text(LOWERED + located)
    (tmp_path / "model.mlir").write_text(located)
    (tmp_path / "request.json").write_text(json.dumps({"method": "head", "exclude": None, "mode": "F16"}))
    head.run(tmp_path, ("request.json",))
    assert json.loads((tmp_path / "choice.json").read_text())["layers"] == ["c_Conv", "y_Reshape"]
