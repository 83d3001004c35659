"""Inputs brought to the one form that all later steps know: pictures as float32, channels first.

A network that takes channels last gets a Transpose in front, one that takes integers a Cast; where it begins with
the opposite, both go. float16 becomes float32, which holds every value of it: the precision is the targets'.
"""

from collections.abc import Iterator

import numpy as np
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from bmzoo.onnx_import.names import apply_names
from bmzoo.onnx_import.walk import graphs, nodes, tensors

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def widen(model: ModelProto) -> None:
    """Make float32 of every float16, in place, where an input or a weight is one."""
    graph = model.graph
    ports = [port.type.tensor_type.elem_type for port in graph.input]
    if HALF not in ports and all(tensor.data_type != HALF for tensor in graph.initializer):
        return
    for tensor in tensors(graph):
        if tensor.data_type == HALF:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for inner in graphs(graph):
        for port in (*inner.input, *inner.output, *inner.value_info):
            if port.type.tensor_type.elem_type == HALF:
                port.type.tensor_type.elem_type = FLOAT
    for attribute in _types(graph):
        attribute.i = FLOAT if attribute.i == HALF else attribute.i


def _types(graph: GraphProto) -> Iterator[AttributeProto]:
    """Attributes that name a type: of Cast, and of what makes tensors."""
    for node in nodes(graph):
        yield from (attribute for attribute in node.attribute if attribute.name in ("to", "dtype"))


def floats_in(model: ModelProto, port: ValueInfoProto) -> None:
    """Let an input of integers take float32, in place: the same values, whole numbers."""
    element = port.type.tensor_type.elem_type
    inner = _behind(model, port)
    front = helper.make_node("Cast", [port.name], [inner], name=inner, to=element)
    port.type.tensor_type.elem_type = FLOAT
    _put(model.graph, front, "Cast", {"to": FLOAT})


def planes_in(model: ModelProto, port: ValueInfoProto) -> None:
    """Let an input with channels last take them first, in place."""
    inner = _behind(model, port)
    front = helper.make_node("Transpose", [port.name], [inner], name=inner, perm=TO_LAST)
    dims = port.type.tensor_type.shape.dim
    sides = [dims[axis] for axis in TO_FIRST]
    port.type.tensor_type.shape.CopyFrom(type(port.type.tensor_type.shape)(dim=sides))
    _put(model.graph, front, "Transpose", {"perm": TO_FIRST})


def _behind(model: ModelProto, port: ValueInfoProto) -> str:
    """A new name that all readers of an input get; the input keeps its own."""
    name = port.name
    taken = {output for node in nodes(model.graph) for output in node.output}
    inner = f"{name}_given"
    while inner in taken:
        inner += "_"
    apply_names(model.graph, {name: inner})
    port.name = name
    return inner


def _put(graph: GraphProto, front: NodeProto, opposite: str, attributes: dict[str, object]) -> None:
    """Put a node behind an input; what undoes it reads the input itself."""
    inner, outputs = front.output[0], {port.name for port in graph.output}
    for node in [node for node in graph.node if node.op_type == opposite and list(node.input) == [inner]]:
        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if found == attributes and node.output[0] not in outputs:
            graph.node.remove(node)
            apply_names(graph, {node.output[0]: front.input[0]})
    if any(inner in node.input for node in nodes(graph)):
        graph.node.insert(0, front)
