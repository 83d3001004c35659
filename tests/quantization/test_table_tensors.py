"""Rows of a calibration table, and the tensors of the ONNX network that stand for them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bmzoo.quantization.lowered_layers import top_tensors
from bmzoo.quantization.table_tensors import tap

TOP = """\
    %0 = "top.None"() : () -> none loc(#loc)
    %1 = "top.Input"(%arg0) {} : (tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32> loc(#loc1)
    %2 = "top.Weight"() : () -> tensor<4x4x1x1xf32> loc(#loc2)
    %3 = "top.Conv"(%1, %2) {} : (none) -> tensor<1x4x6x6xf32> loc(#loc3)
    %4 = "top.Swish"(%3) {} : (none) -> tensor<1x4x6x6xf32> loc(#loc4)
    %5:2 = "top.Split"(%4) {} : (none) -> (tensor<1x2x6x6xf32>, tensor<1x2x6x6xf32>) loc(#loc5)
    %6 = "top.Permute"(%3) {} : (none) -> tensor<1x6x6x4xf32> loc(#loc6)
    %7 = "top.Made"(%3) {} : (none) -> tensor<1x6x6x4xf32> loc(#loc7)
#loc1 = loc("x")
#loc2 = loc("w")
#loc3 = loc("a_Conv")
#loc4 = loc("b_Swish")
#loc5 = loc(fused[#loc8, #loc9])
#loc6 = loc("y_Transpose")
#loc7 = loc("nowhere")
#loc8 = loc("l_Split")
#loc9 = loc("r_Split")
"""


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["b"]),
        helper.make_node("Split", ["b"], ["l", "r"], axis=1),
        helper.make_node("Transpose", ["a"], ["y"], perm=[0, 2, 3, 1]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6, 6])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("l", "r", "y")]
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1), "w")
    graph = helper.make_graph(nodes, "g", [x], outputs, [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def test_rows_are_what_the_top_level_computes_or_is_fed() -> None:
    assert top_tensors(TOP) == ("x", "a_Conv", "b_Swish", "l_Split", "r_Split", "y_Transpose", "nowhere")


def test_each_row_has_a_tensor_or_is_missing() -> None:
    tapped = tap(network(), TOP)
    assert tapped.rows == top_tensors(TOP)
    # Transposing changes no value, so there is one histogram for both.
    assert tapped.sources == {
        **{"x": "x", "a_Conv": "a", "b_Swish": "b", "l_Split": "l", "r_Split": "r", "y_Transpose": "a"}
    }
    assert tapped.guessed == ("b_Swish",)
    assert tapped.missing == ("nowhere",)
    assert tapped.outputs == ("a", "b", "l", "r")
