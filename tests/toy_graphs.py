"""Small networks for tests of the import: `x` goes in, and what each node says comes out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FREE = ("N", 3, 8, 6)
Node = onnx.NodeProto


def network(  # noqa: PLR0913
    *nodes: Node,
    shape: Sequence[int | str] | None = FREE,
    kind: int = TensorProto.FLOAT,
    out: int = TensorProto.FLOAT,
    weights: Mapping[str, Any] | None = None,
    names: Sequence[str] = ("x", "y"),
    opset: int = 11,
    ir: int = 6,
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info(names[0], kind, shape)
    y = helper.make_tensor_value_info(names[1], out, None)
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    inferred = onnx.shape_inference.infer_shapes(model).graph.output[0].type
    model.graph.output[0].type.tensor_type.shape.CopyFrom(inferred.tensor_type.shape)
    return model


def node(kind: str, *inputs: str, output: str = "y", **attributes: Any) -> Node:
    return helper.make_node(kind, inputs or ("x",), [output], **attributes)
