"""Fake quantization: an ONNX graph in float that rounds weights and activations as INT8 arithmetic would.

onnxruntime runs it ten times faster than TPU-MLIR's interpreter runs the real lowering, and any set of layers
can be left in float without a new lowering. It approximates the real one, and is not bit-exact: what is chosen with
it is confirmed with real lowerings. (Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018.)
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bmzoo.quantization.folding import opset
from bmzoo.quantization.lowered_layers import Quant
from bmzoo.quantization.network import WEIGHTED, Layer, LoweredNetwork

INT16 = (-32768, 32767)
# ONNX has QuantizeLinear since this version; onnxruntime has its own for graphs of older ones.
QUANTIZE_SINCE = 10
ONNXRUNTIME = "com.microsoft"


class FakeQuantizer:
    """Emits the nodes of INT8 and float layers; a tensor is rounded where an INT8 layer produces or consumes it."""

    def __init__(self, net: LoweredNetwork, is_float: Callable[[Layer], bool], prefix: str = "") -> None:
        self._net = net
        self._is_float = is_float
        self._prefix = prefix  # distinguishes copies of a network within one graph
        self._weights = {t.name: numpy_helper.to_array(t) for t in net.model.graph.initializer}
        self._rounded: dict[str, str] = {}
        self._made: set[str] = set()
        self._domain = "" if opset(net.model) >= QUANTIZE_SINCE else ONNXRUNTIME
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, tensor: str, nodes: Iterable[onnx.NodeProto], layer: Layer | None) -> None:
        """Emit the nodes that make a layer's tensor: fake-quantized for INT8, unchanged for float and for no layer.

        Nodes that several layers have are emitted for each of them, as each reads them in its own way.
        """
        exact = layer is None or self._exact(layer)
        inner: dict[str, str] = {}
        for node in nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = ""
            for index, name in enumerate(node.input):
                if name and name not in self._weights:
                    copy.input[index] = inner.get(name) or self.read(name, exact)
            for index, name in enumerate(node.output):
                copy.output[index] = name and self._prefix + (name if name == tensor else f"{tensor}/{name}")
                inner[name] = copy.output[index]
            if layer is not None and not exact and node.op_type in WEIGHTED:
                self._round_weights(node, copy, layer)
            self.nodes.append(copy)
        self._made.add(tensor)

    def read(self, tensor: str, exact: bool) -> str:
        """Name of the tensor as a float (`exact`) or INT8 layer reads it."""
        own = self._prefix + tensor if tensor in self._made else tensor
        made = self._net.layers.get(tensor)
        if exact and (made is None or self._exact(made)):
            return own
        quant = self._net.rounds(tensor)
        if quant is None:  # within a layer, or the lowering keeps this tensor in float
            return own
        if tensor not in self._rounded:
            self._rounded[tensor] = self._round(tensor, own, quant)
        return self._rounded[tensor]

    def _exact(self, layer: Layer) -> bool:
        """Whether a layer is in float, by choice or because the lowering has it so anyway."""
        return layer.lowered.quant is None or self._is_float(layer)

    def _round(self, tensor: str, own: str, quant: Quant) -> str:
        name = f"{self._prefix}{tensor}#q"
        kind = np.uint8 if quant.unsigned else np.int8
        scale = self._constant(f"{name}#scale", np.array(quant.scale, np.float32))
        zero = self._constant(f"{name}#zero", np.array(quant.zero, kind))
        for operator, source, result in (
            ("QuantizeLinear", own, f"{name}#int"),
            ("DequantizeLinear", f"{name}#int", name),
        ):
            self.nodes.append(helper.make_node(operator, [source, scale, zero], [result], domain=self._domain))
        return name

    def _round_weights(self, node: onnx.NodeProto, copy: onnx.NodeProto, layer: Layer) -> None:
        weights = self._weights.get(node.input[1])
        read = node.input[0] if node.input[0] in layer.reads else layer.reads[0]
        given = self._net.rounds(read)
        if weights is None or given is None or weights.ndim < 2:
            return
        if layer.lowered.shift is None:
            rounded, step = by_tensor(weights) if layer.lowered.one_scale else _by_output(node, weights)
            unit = step * given.scale
        else:
            # BM1684: one power of two for all weights, relative to the scales of input and output.
            unit = np.array(2.0**-layer.lowered.shift * layer.quant.scale)
            rounded = _rounded(weights, unit / given.scale, -128, 127)
        copy.input[1] = self._constant(f"{copy.output[0]}#weights", rounded)
        bias = self._weights.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:
            low, high = INT16 if layer.lowered.shift is not None else (-(2**31), 2**31 - 1)
            values = _rounded(bias, unit.reshape(-1) if unit.size > 1 else unit, low, high)
            copy.input[2] = self._constant(f"{copy.output[0]}#bias", values)

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def emulation(net: LoweredNetwork, floats: Iterable[str] = ()) -> onnx.ModelProto:
    """The network in emulated INT8 except for the layers in `floats`; inputs and outputs keep their names."""
    kept = frozenset(floats)
    writer = FakeQuantizer(net, lambda layer: layer.name in kept, prefix="int8.")
    for tensor, nodes in net.regions.items():
        writer.add(tensor, nodes, net.layers.get(tensor))
    ends = [helper.make_node("Identity", [writer.read(name, exact=True)], [name]) for name in net.heads]
    return assemble(net, [*writer.nodes, *ends], {name: net.types[name] for name in net.heads}, writer.constants)


def assemble(
    net: LoweredNetwork,
    nodes: Iterable[onnx.NodeProto],
    outputs: Mapping[str, int],
    constants: Iterable[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A model of these nodes over the network's inputs, its weights and further constants.

    `outputs`: name -> element type.
    """
    graph = helper.make_graph(
        list(nodes),
        "emulation",
        [port for port in net.model.graph.input if port.name in net.inputs],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [*net.model.graph.initializer, *constants],
    )
    return model_of(net, graph)


def model_of(net: LoweredNetwork, graph: onnx.GraphProto) -> onnx.ModelProto:
    """A model in the operator versions of the network."""
    versions = [entry for entry in net.model.opset_import if entry.domain != ONNXRUNTIME]
    model = helper.make_model(graph, opset_imports=[*versions, helper.make_opsetid(ONNXRUNTIME, 1)])
    model.ir_version = net.model.ir_version
    return model


def by_tensor(weights: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Symmetric quantization with one scale: the rounded weights (dequantized), and the scale."""
    step = np.maximum(np.abs(weights.astype(np.float64)).max(), 1e-8) / 127
    return _rounded(weights, step, -127, 127), np.asarray(step)


def by_channel(weights: NDArray[np.generic], axis: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Symmetric per-channel quantization: the rounded weights (dequantized), and the scales [C]."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    step = np.maximum(np.abs(weights.astype(np.float64)).max(axis=others), 1e-8) / 127
    shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
    return _rounded(weights, step.reshape(shape), -127, 127), step


def _rounded(values: NDArray[np.generic], step: NDArray[np.float64], low: int, high: int) -> NDArray[np.float32]:
    return np.asarray(np.clip(np.round(values.astype(np.float64) / step), low, high) * step, np.float32)


def _by_output(
    node: onnx.NodeProto, weights: NDArray[np.generic]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """`by_channel` over what a node makes; a ConvTranspose has that in its second axis, by group."""
    if node.op_type == "Conv":
        return by_channel(weights, 0)
    if node.op_type == "ConvTranspose":
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        split = weights.reshape(groups, -1, *weights.shape[1:]).swapaxes(1, 2)
        rounded, step = by_channel(split.reshape(-1, *split.shape[2:]), 0)
        return rounded.reshape(split.shape).swapaxes(1, 2).reshape(weights.shape), step
    transposed = next((a.i for a in node.attribute if a.name == "transB"), 0)
    return by_channel(weights, 0 if transposed else weights.ndim - 1)
