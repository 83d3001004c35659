"""A builder of ONNX graphs: nodes, weights, and convolutions with folded batch normalization.

A node and its output tensor have the same name, which ends in the node's kind (`fpn.merge1.conv`): TPU-MLIR
names layers after tensors, and calibration tables and qtables name layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto, NodeProto, TensorProto, ValueInfoProto

_BN_EPSILON = 1e-5  # PyTorch's default


class Conv(NamedTuple):
    """A convolution without bias, its batch normalization, and what follows: (Leaky)ReLU, or nothing.

    `weight` and `norm` are the modules' names in the state dict, `shape` is [out, in / groups, k, k]. The
    padding keeps the size; one input channel a group means depthwise. `slope`: 0 is ReLU, None nothing.
    """

    weight: str
    norm: str
    shape: tuple[int, int, int, int]
    stride: int = 1
    slope: float | None = 0.1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of its tensors in the state dict."""
        channels = self.shape[:1]
        norm = {f"{self.norm}.{key}": channels for key in ("weight", "bias", "running_mean", "running_var")}
        return {f"{self.weight}.weight": self.shape, **norm}


class GraphBuilder:
    """Collects nodes and weights in order; methods that add one return the name of its output tensor."""

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.state = state
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}

    def add(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:  # noqa: ANN401
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, value: NDArray[Any]) -> str:
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def conv(self, name: str, source: str, conv: Conv) -> str:
        """Add `name.conv`, and `name.leaky` or `name.relu` if `conv` asks for it.

        Folded in float64, to round only once.
        """
        keys = ("weight", "bias", "running_mean", "running_var")
        scale, bias, mean, var = (self.state[f"{conv.norm}.{key}"].astype(np.float64) for key in keys)
        scale = scale / np.sqrt(var + _BN_EPSILON)
        kernel = self.state[f"{conv.weight}.weight"] * scale[:, None, None, None]
        output = self.plain_conv(name, source, kernel, bias - mean * scale, conv.stride)
        if conv.slope:
            return self.add("LeakyRelu", f"{name}.leaky", [output], alpha=conv.slope)
        return output if conv.slope is None else self.add("Relu", f"{name}.relu", [output])

    def plain_conv(self, name: str, source: str, kernel: NDArray[Any], bias: NDArray[Any], stride: int = 1) -> str:
        outputs, inputs, size, _ = kernel.shape
        weights = (
            self.weight(f"{name}.weight", kernel.astype(np.float32)),
            self.weight(f"{name}.bias", bias.astype(np.float32)),
        )
        return self.add(
            "Conv",
            f"{name}.conv",
            (source, *weights),
            dilations=[1, 1],
            group=outputs if inputs == 1 else 1,
            kernel_shape=[size, size],
            pads=[size // 2] * 4,
            strides=[stride, stride],
        )

    def model(
        self, name: str, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> ModelProto:
        """The model: opset 11, IR version 6, float32 inputs and outputs of these shapes after a dynamic batch."""
        graph = helper.make_graph(self.nodes, name, _ports(inputs), _ports(outputs), list(self.weights.values()))
        opset = helper.make_opsetid("", 11)
        return helper.make_model(graph, opset_imports=[opset], ir_version=6, producer_name="bmzoo")


def _ports(shapes: Mapping[str, Sequence[int]]) -> list[ValueInfoProto]:
    make = helper.make_tensor_value_info
    return [make(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items()]
