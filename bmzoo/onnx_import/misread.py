"""Operators that TPU-MLIR 1.30.2 reads without an error, and wrongly; written in a form that it reads rightly.

Tried: a Resize that names `axes` (opset 18) comes out in another size, and a GroupNormalization (opset 18) ends its
interpreter. `resizes` has those that it computes at other places.
"""

from onnx.onnx_ml_pb2 import ModelProto, NodeProto

from bmzoo.onnx_import.adapters import Scope, group_normalization, resize


def rewritten(model: ModelProto) -> ModelProto:
    """The model itself where it has none of them, else an equivalent copy. Raises NotConvertible."""
    if not any(map(_is_misread, model.graph.node)):
        return model
    scope, copy = Scope(model), ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    for node in model.graph.node:
        copy.graph.node.extend(_readable(node, scope) if _is_misread(node) else [node])
    return copy


def _is_misread(node: NodeProto) -> bool:
    named = any(attribute.name == "axes" for attribute in node.attribute)
    return node.op_type == "GroupNormalization" or (node.op_type == "Resize" and named)


def _readable(node: NodeProto, scope: Scope) -> list[NodeProto]:
    return list((resize if node.op_type == "Resize" else group_normalization)(node, scope))
