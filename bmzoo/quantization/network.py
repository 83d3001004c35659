"""The layers that TPU-MLIR quantizes, mapped to the nodes of the ONNX model that they came from.

TPU-MLIR names a layer after the ONNX tensor that it produces and the kind of operation (`body.0.conv_Conv`). What
lowering to plain INT8 does to each layer is read from the lowered MLIR: scale, sign and zero point, or float.
Layers that only TPU-MLIR's graph rewriting creates, and that have no ONNX tensor, are left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

_OPERATION = re.compile(r'= "tpu\.(\w+)"\([^)]*\)(.*) : \(.*\) -> (.*) loc\(#(loc\d*)\)$', re.MULTILINE)
_LOCATION = re.compile(r'^#(loc\d*) = loc\("((?:[^"\\]|\\.)*)"\)$', re.MULTILINE)
_UNIFORM = re.compile(r"!quant\.uniform<([iu])8:f32, ([-+.0-9eE]+)(?::(-?\d+))?>")
_SHIFT = re.compile(r"rshift = \[([\d, ]+)\]")
# Activations that are promoted to float together with the convolution before them.
ACTIVATIONS = (
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Clip",
    "Sigmoid",
    "Tanh",
    "Elu",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
)
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")


@dataclass(frozen=True)
class Quant:
    """Quantization parameters: value = scale * (q - zero), q in -128..127, or in 0..255 when unsigned."""

    scale: float
    unsigned: bool = False
    zero: int = 0


@dataclass(frozen=True)
class Lowered:
    """One layer of a lowered MLIR. `shift`: right shift of a shift-only requantization (BM1684)."""

    kind: str
    quant: Quant | None  # None: computed in float
    shift: int | None = None


def lowered_layers(text: str) -> dict[str, Lowered]:
    """Layer name -> its lowering to plain INT8, parsed from the text of the lowered MLIR."""
    names = {match[1]: match[2] for match in _LOCATION.finditer(text)}
    found: dict[str, Lowered] = {}
    for kind, attributes, result, location in _OPERATION.findall(text):
        name = names.get(location)
        if name is None or name in found:
            continue
        uniform = _UNIFORM.search(result)
        quant = Quant(float(uniform[2]), uniform[1] == "u", int(uniform[3] or 0)) if uniform else None
        shifts = _SHIFT.search(attributes)
        only_shift = shifts is not None and "OnlyShift" in attributes
        found[name] = Lowered(kind, quant, int(shifts[1].split(",")[0]) if shifts and only_shift else None)
    return found


@dataclass(frozen=True)
class Layer:
    """A layer whose precision can be chosen: its name in tables, its ONNX nodes, its output tensor."""

    name: str
    nodes: tuple[onnx.NodeProto, ...]
    tensor: str
    lowered: Lowered

    @property
    def quant(self) -> Quant:
        assert self.lowered.quant is not None, "only quantized layers are asked"
        return self.lowered.quant


@dataclass(frozen=True)
class LoweredNetwork:
    """An ONNX model rewritten as TPU-MLIR rewrites it, and its layers by output tensor, in topological order."""

    model: onnx.ModelProto
    layers: Mapping[str, Layer]
    input: str
    input_quant: Quant | None
    producers: Mapping[str, onnx.NodeProto] = field(repr=False)
    readers: Mapping[str, tuple[onnx.NodeProto, ...]] = field(repr=False)

    @property
    def quantized(self) -> tuple[Layer, ...]:
        """The layers that plain INT8 quantizes, in topological order."""
        return tuple(layer for layer in self.layers.values() if layer.lowered.quant is not None)

    def groups(self) -> tuple[tuple[Layer, ...], ...]:
        """Quantized layers that are promoted together, in order: a layer with weights and its activations."""
        found: list[list[Layer]] = []
        ends: dict[str, list[Layer]] = {}
        for layer in self.quantized:
            source = layer.nodes[0].input[0]
            before = ends.get(source)
            alone = len(self.readers.get(source, ())) == 1
            if layer.nodes[-1].op_type in ACTIVATIONS and len(layer.nodes) == 1 and before and alone:
                before.append(layer)
                ends[layer.tensor] = before
            else:
                found.append([layer])
                if layer.nodes[0].op_type in WEIGHTED:
                    ends[layer.tensor] = found[-1]
        return tuple(tuple(group) for group in found)

    def beside(self) -> frozenset[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Pairs of adjacent groups, as layer names: the second reads a tensor that the first produces."""
        groups = self.groups()
        names = {id(group): tuple(layer.name for layer in group) for group in groups}
        ends = {group[-1].tensor: group for group in groups}
        reads = (
            (name, group) for group in groups for layer in group for node in layer.nodes for name in node.input
        )
        return frozenset((names[id(ends[name])], names[id(group)]) for name, group in reads if name in ends)


def lowered_network(model: onnx.ModelProto, lowered: Mapping[str, Lowered]) -> LoweredNetwork:
    """Map an ONNX model to the layers of its plain INT8 lowering."""
    shaped, names = _relu_before_concat(model)
    producers = {output: node for node in shaped.graph.node for output in node.output}
    gathered: dict[str, list[onnx.NodeProto]] = {}
    for node in shaped.graph.node:
        for name in dict.fromkeys(node.input):
            gathered.setdefault(name, []).append(node)
    readers = {name: tuple(nodes) for name, nodes in gathered.items()}
    constants = {tensor.name for tensor in shaped.graph.initializer}
    source = next(i.name for i in shaped.graph.input if i.name not in constants)
    layers: dict[str, Layer] = {}
    for node in shaped.graph.node:
        tensor = node.output[0]
        name = names.get(tensor, f"{tensor}_{node.op_type}")
        if name not in lowered:
            continue
        before = producers.get(node.input[0])
        # An activation that lowering fused into the layer before it, whose own tensor then does not exist.
        fused = (
            before is not None
            and node.op_type in ACTIVATIONS
            and before.op_type in WEIGHTED
            and names.get(before.output[0], f"{before.output[0]}_{before.op_type}") not in lowered
            and len(readers[before.output[0]]) == 1
        )
        layers[tensor] = Layer(
            name, (before, node) if fused and before is not None else (node,), tensor, lowered[name]
        )
    return LoweredNetwork(shaped, layers, source, _input_quant(source, lowered), producers, readers)


def _input_quant(source: str, lowered: Mapping[str, Lowered]) -> Quant | None:
    """Quantization of the network's input: lowering names the cast after the input and the layer that reads it."""
    casts = (layer for name, layer in lowered.items() if layer.kind == "Cast" and name.startswith(source))
    return next((layer.quant for layer in casts if layer.quant is not None), None)


def _relu_before_concat(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Hoist a ReLU above a concatenation, as TPU-MLIR does. Returns the model, and new tensor -> layer name."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = list(result.graph.node)
    producers = {output: node for node in nodes for output in node.output}
    read = [name for node in nodes for name in node.input]
    names: dict[str, str] = {}
    for relu in [n for n in nodes if n.op_type == "Relu"]:
        concat = producers.get(relu.input[0])
        if concat is None or concat.op_type != "Concat" or read.count(concat.output[0]) != 1:
            continue
        for index, source in enumerate(concat.input):
            kind = producers[source].op_type if source in producers else "Input"
            moved = f"{source}_{kind}_move_ahead_relu"
            nodes.insert(nodes.index(concat), onnx.helper.make_node("Relu", [source], [moved], name=moved))
            names[moved] = moved
            concat.input[index] = moved
        names[relu.output[0]] = f"{concat.output[0]}_Concat_relu"
        concat.output[0] = relu.output[0]
        nodes.remove(relu)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result, names
