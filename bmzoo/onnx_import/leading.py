"""Outputs that do not begin with the picture, of models that take one at a time: they get a dimension in front."""

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.onnx_import.cut import reads

_WITHOUT = "without_picture"


def leading(model: ModelProto, outputs: Mapping[str, Sequence[int]]) -> ModelProto:
    """A copy in which each of these outputs, by its shape for one picture, is [1, ...] under its own name.

    So that all that follows finds pictures where it finds them in every model; the model itself for none.
    """
    if not outputs:
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    for name, shape in outputs.items():
        _put_in_front(copy, name, shape)
    return copy


def _put_in_front(model: ModelProto, name: str, shape: Sequence[int]) -> None:
    graph, inner, sizes = model.graph, f"{name}.{_WITHOUT}", f"{name}.with_picture"
    for node in graph.node:
        node.output[:] = [inner if output == name else output for output in node.output]
        if name in node.input:
            node.input[:] = [inner if source == name else source for source in node.input]
        assert name not in set(reads(node)), "subgraphs are gone when outputs are looked at"
    value = numpy_helper.from_array(np.array([1, *shape], np.int64), sizes)
    graph.node.append(helper.make_node("Constant", [], [sizes], name=sizes, value=value))
    graph.node.append(helper.make_node("Reshape", [inner, sizes], [name], name=name))
    port = next(output for output in graph.output if output.name == name)
    element = port.type.tensor_type.elem_type
    port.CopyFrom(helper.make_tensor_value_info(name, element, [1, *shape]))
    for value_info in graph.value_info:
        value_info.name = inner if value_info.name == name else value_info.name
