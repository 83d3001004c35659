"""Fake quantization: an ONNX graph in float that rounds weights and activations as INT8 arithmetic would.

onnxruntime runs it ten times faster than TPU-MLIR's interpreter runs the real lowering, and any set of layers
can be left in float without a new lowering. It approximates the real one, and is not bit-exact: what is chosen with
it is confirmed with real lowerings. (Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018.)
"""

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bmzoo.quantization.network import WEIGHTED, Layer, LoweredNetwork, Quant

INT16 = (-32768, 32767)


class FakeQuantizer:
    """Emits the nodes of INT8 and float layers; a tensor is rounded where an INT8 layer produces or consumes it."""

    def __init__(self, net: LoweredNetwork, is_float: Callable[[Layer], bool], prefix: str = "") -> None:
        self._net = net
        self._is_float = is_float
        self._prefix = prefix  # distinguishes copies of a network within one graph
        self._weights = {t.name: numpy_helper.to_array(t) for t in net.model.graph.initializer}
        self._rounded: dict[str, str] = {}
        self._made: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, node: onnx.NodeProto) -> None:
        """Emit a node with the weights and inputs of its layer: fake-quantized for INT8, unchanged for float."""
        layer = self._layer(node)
        exact = layer is None or self._is_float(layer)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{self._prefix}{node.name}" if node.name else ""
        for index, name in enumerate(node.input):
            if name and name not in self._weights:
                copy.input[index] = self.read(name, exact, self._inside(layer, name))
        self._made.update(node.output)
        for index, name in enumerate(node.output):
            copy.output[index] = self._prefix + name
        if layer is not None and not exact and node.op_type in WEIGHTED:
            self._round_weights(node, copy, layer)
        self.nodes.append(copy)

    def read(self, tensor: str, exact: bool, inside: bool = False) -> str:
        """Name of the tensor as a float (`exact`) or INT8 layer reads it. `inside`: within one fused layer."""
        producer = self._net.producers.get(tensor)
        made = self._layer(producer) if producer is not None else None
        own = self._prefix + tensor if tensor in self._made else tensor
        source_exact = producer is None or made is None or self._is_float(made)
        if inside or (exact and source_exact):
            return own
        quant = self._net.input_quant if producer is None else made.lowered.quant if made is not None else None
        if quant is None:  # the lowering keeps this tensor in float
            return own
        if tensor not in self._rounded:
            self._rounded[tensor] = self._round(tensor, own, quant)
        return self._rounded[tensor]

    def _layer(self, node: onnx.NodeProto) -> Layer | None:
        """The quantizable layer that a node belongs to; None where the lowering computes in float anyway."""
        found = self._net.layers.get(node.output[0])
        if found is None:  # the first half of a fused layer
            readers = self._net.readers.get(node.output[0], ())
            behind = self._net.layers.get(readers[0].output[0]) if len(readers) == 1 else None
            found = behind if behind is not None and len(behind.nodes) > 1 else None
        return found if found is not None and found.lowered.quant is not None else None

    def _inside(self, layer: Layer | None, tensor: str) -> bool:
        return layer is not None and len(layer.nodes) > 1 and tensor == layer.nodes[0].output[0]

    def _round(self, tensor: str, own: str, quant: Quant) -> str:
        name = f"{self._prefix}{tensor}#q"
        kind = np.uint8 if quant.unsigned else np.int8
        scale = self._constant(f"{name}#scale", np.array(quant.scale, np.float32))
        zero = self._constant(f"{name}#zero", np.array(quant.zero, kind))
        self.nodes.append(helper.make_node("QuantizeLinear", [own, scale, zero], [f"{name}#int"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}#int", scale, zero], [name]))
        return name

    def _round_weights(self, node: onnx.NodeProto, copy: onnx.NodeProto, layer: Layer) -> None:
        weights = self._weights.get(node.input[1])
        given = self._quant_of(node.input[0])
        if weights is None or given is None or weights.ndim < 2:
            return
        axis = _channel_axis(node, weights)
        if layer.lowered.shift is None:
            rounded, step = by_channel(weights, axis)
            unit = step * given.scale
        else:
            # BM1684: one power of two for all weights, relative to the scales of input and output.
            unit = np.array(2.0**-layer.lowered.shift * layer.quant.scale)
            rounded = _rounded(weights, unit / given.scale, -128, 127)
        copy.input[1] = self._constant(f"{self._prefix}{node.input[1]}#q", rounded)
        bias = self._weights.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:
            low, high = INT16 if layer.lowered.shift is not None else (-(2**31), 2**31 - 1)
            values = _rounded(bias, unit.reshape(-1) if unit.size > 1 else unit, low, high)
            copy.input[2] = self._constant(f"{self._prefix}{node.input[2]}#q", values)

    def _quant_of(self, tensor: str) -> Quant | None:
        producer = self._net.producers.get(tensor)
        if producer is None:
            return self._net.input_quant
        layer = self._net.layers.get(tensor)
        return layer.lowered.quant if layer is not None else None

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def emulation(net: LoweredNetwork, floats: Iterable[str] = ()) -> onnx.ModelProto:
    """The network in emulated INT8 except for the layers in `floats`; inputs and outputs keep their names."""
    kept = frozenset(floats)
    writer = FakeQuantizer(net, lambda layer: layer.name in kept, prefix="int8.")
    for node in net.model.graph.node:
        writer.add(node)
    names = [output.name for output in net.model.graph.output]
    ends = [helper.make_node("Identity", [writer.read(n, exact=True)], [n]) for n in names]
    return assemble(net, [*writer.nodes, *ends], names, writer.constants)


def assemble(
    net: LoweredNetwork,
    nodes: Iterable[onnx.NodeProto],
    outputs: Iterable[str],
    constants: Iterable[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A model of these nodes over the network's input, its weights and further constants."""
    graph = helper.make_graph(
        list(nodes),
        "emulation",
        [next(i for i in net.model.graph.input if i.name == net.input)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [*net.model.graph.initializer, *constants],
    )
    model = helper.make_model(graph, opset_imports=list(net.model.opset_import))
    model.ir_version = net.model.ir_version
    return model


def by_channel(weights: NDArray[np.generic], axis: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Symmetric per-channel quantization: the rounded weights (dequantized), and the scales [C]."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    step = np.maximum(np.abs(weights.astype(np.float64)).max(axis=others), 1e-8) / 127
    shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
    return _rounded(weights, step.reshape(shape), -127, 127), step


def _rounded(values: NDArray[np.generic], step: NDArray[np.float64], low: int, high: int) -> NDArray[np.float32]:
    return np.asarray(np.clip(np.round(values.astype(np.float64) / step), low, high) * step, np.float32)


def _channel_axis(node: onnx.NodeProto, weights: NDArray[np.generic]) -> int:
    """Which axis of the weights is the output channel."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = next((a.i for a in node.attribute if a.name == "transB"), 0)
    return 0 if transposed else weights.ndim - 1
