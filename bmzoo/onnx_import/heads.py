"""The heads of a network: what its last weighted layers give, before that is decoded, squashed and joined."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from onnx import numpy_helper, shape_inference
from onnx.onnx_ml_pb2 import ModelProto, NodeProto

MOVING = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast")
SQUASHING = ("Sigmoid", "HardSigmoid", "Softmax", "LogSoftmax")
PARTING = ("Split", "Slice", "Gather")
WEIGHTED_KINDS = ("Conv", "Gemm", "MatMul", "ConvTranspose")
# What detectors compute after their last layers: arithmetic on anchors and grids, and what picks from them.
_DECODING = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Exp", "Sqrt", "Neg", "Clip", "Min", "Max", "Abs", "Expand", "Tile"),
    *("Concat", "ReduceMax", "ReduceSum", "ArgMax", "TopK", "NonMaxSuppression", "GatherND", "GatherElements"),
    *("ScatterND", "Where", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal", "Not", "And", "Or"),
)
_AFTER = (*MOVING, *SQUASHING, *PARTING, *_DECODING)


class Network:
    """A model's nodes by what they make and read, its constants, and shapes as far as they are known."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.producers: dict[str, NodeProto] = {name: node for node in model.graph.node for name in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes that inference finds, 0 for a size that it does not."""
        try:
            graph = shape_inference.infer_shapes(self.model, data_prop=True).graph
        except (shape_inference.InferenceError, ValueError):  # shapes only help to guess
            graph = self.model.graph
        values = (*graph.input, *graph.value_info, *graph.output)
        return {v.name: tuple(max(d.dim_value, 0) for d in v.type.tensor_type.shape.dim) for v in values}

    def unmoved(self, name: str) -> str:
        """The tensor whose values another one has in another order or shape."""
        node = self.producers.get(name)
        while node is not None and node.op_type in MOVING:
            name = node.input[0]
            node = self.producers.get(name)
        return name

    def kind(self, name: str) -> str:
        """What makes a tensor's values; empty for inputs and weights."""
        node = self.producers.get(self.unmoved(name))
        return node.op_type if node is not None else ""

    def squashed(self, name: str) -> bool:
        """Whether a tensor holds scores: what a Sigmoid or Softmax gives, whole or a part of it."""
        node = self.producers.get(self.unmoved(name))
        while node is not None and node.op_type in (*PARTING, *MOVING):
            node = self.producers.get(node.input[0])
        return node is not None and node.op_type in SQUASHING

    def heads(self, name: str) -> list[str]:
        """What the last weighted layers give to a tensor, in the order of the network."""
        found, seen, waiting = set(), {name}, [name]
        while waiting:
            tensor = waiting.pop()
            node = self.producers.get(tensor)
            if node is None or tensor in self.constants or node.op_type == "Constant":
                continue
            if node.op_type in _AFTER or self._expectation(node):
                waiting += [each for each in node.input if each and each not in seen]
                seen |= set(node.input)
            elif node.op_type not in ("Shape", "ConstantOfShape", "Range"):
                found.add(self._with_bias(tensor))
        return [output for node in self.model.graph.node for output in node.output if output in found]

    def _expectation(self, node: NodeProto) -> bool:
        """Whether a convolution only takes the mean of a distribution: weights 0, 1, 2, ... (Li et al., GFL)."""
        weights = self.constants.get(node.input[1]) if node.op_type == "Conv" else None
        if weights is None or weights.dims[0] != 1:
            return False
        values = numpy_helper.to_array(weights).ravel()
        return len(values) > 1 and bool((values == np.arange(len(values))).all())

    def _with_bias(self, name: str) -> str:
        """The tensor after a bias that is added apart, as exporters write a linear layer."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or readers[0].op_type != "Add" or self.producers[name].op_type != "MatMul":
            return name
        others = [each for each in readers[0].input if each != name]
        bias = len(others) == 1 and others[0] in self.constants and len(self.constants[others[0]].dims) <= 1
        return str(readers[0].output[0]) if bias else name


def parts(network: Network, name: str) -> Iterator[tuple[NodeProto, list[str]]]:
    """Concatenations that a tensor is put together by, one inside another, with what each of them joins."""
    node = network.producers.get(network.unmoved(name))
    if node is not None and node.op_type == "Concat":
        yield node, list(node.input)
        for part in node.input:
            yield from parts(network, part)
