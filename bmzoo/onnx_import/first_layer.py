"""The first convolution of a network, and what tells how loud its input was in training.

Where batch normalization is still in the file, it says what mean and variance the layer had then. Where it was
folded, its bias is left, which is of the size of what it is added to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import GraphProto, ModelProto, NodeProto

Values = NDArray[np.float64]
_VARIANCE_AND_MEAN = 5  # inputs of BatchNormalization: x, scale, bias, mean, variance


@dataclass(frozen=True)
class FirstLayer:
    """`model` gives what the convolution puts out, `[1,C,h,w]`, as `tensor`; without a bias where there is one.

    `mean` and `deviation` [C]: as batch normalization has them; None where it was folded. `bias` [C]: None where
    there is none.
    """

    model: ModelProto
    tensor: str
    mean: Values | None
    deviation: Values | None
    bias: Values | None


def first_layer(model: ModelProto) -> FirstLayer | None:
    """Of a model whose first input is the picture; None where no convolution is found, or nothing to know it by."""
    graph, constants = model.graph, _constants(model.graph)
    conv = next((node for node in graph.node if node.op_type == "Conv" and node.input[1] in constants), None)
    if conv is None:
        return None
    output = conv.output[0]
    mean = deviation = None
    bias = constants.get(conv.input[2]) if len(conv.input) > 2 else _added(graph, output, constants)
    norm = next((n for n in graph.node if n.op_type == "BatchNormalization" and n.input[0] == output), None)
    if norm is not None and len(norm.input) >= _VARIANCE_AND_MEAN and set(norm.input[3:5]) <= constants.keys():
        mean, variance = (constants[name].astype(np.float64).reshape(-1) for name in norm.input[3:5])
        deviation = np.sqrt(np.maximum(variance, 0))
    if mean is None and bias is None:
        return None
    flat = None if bias is None else bias.astype(np.float64).reshape(-1)
    return FirstLayer(_up_to(model, output), output, mean, deviation, flat)


def _constants(graph: GraphProto) -> dict[str, NDArray[Any]]:
    found = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _added(graph: GraphProto, tensor: str, constants: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """A constant that the next node adds."""
    add = next((node for node in graph.node if node.op_type == "Add" and tensor in node.input), None)
    return next((constants[name] for name in add.input if name in constants), None) if add is not None else None


def _up_to(model: ModelProto, tensor: str) -> ModelProto:
    """The model with that tensor as its only output, and only the nodes before it."""
    makers = {name: node for node in model.graph.node for name in node.output}
    wanted, needed = {tensor}, []
    for node in _backwards(tensor, makers):
        needed.append(node.output[0])
        wanted |= {*node.input}
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.node[:], part.graph.output[:], part.graph.initializer[:], part.graph.value_info[:]
    part.graph.node.extend(node for node in model.graph.node if node.output[0] in needed)
    part.graph.initializer.extend(one for one in model.graph.initializer if one.name in wanted)
    inputs = [one for one in model.graph.input if one.name in wanted]
    del part.graph.input[:]
    part.graph.input.extend(inputs)
    part.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return part


def _backwards(tensor: str, makers: dict[str, NodeProto]) -> Iterator[NodeProto]:
    """The nodes that a tensor is made by, each once."""
    todo, seen = [tensor], set()
    while todo:
        node = makers.get(todo.pop())
        if node is not None and node.output[0] not in seen:
            seen.add(node.output[0])
            todo += node.input
            yield node
