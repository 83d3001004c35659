"""A network's layers as TPU-MLIR quantizes them, tied to the nodes of the ONNX model that they came from.

TPU-MLIR names a layer after the ONNX tensor that it makes and the kind of operation (`body.0.conv_Conv`). What
the lowering of plain INT8 does with each layer is read from its own MLIR: scale, sign and zero point, or float.
Layers that exist only after the tool's own rewriting, and have no ONNX tensor, are left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

_OPERATION = re.compile(r'= "tpu\.(\w+)"\([^)]*\)(.*) : \(.*\) -> (.*) loc\(#(loc\d*)\)$', re.MULTILINE)
_LOCATION = re.compile(r'^#(loc\d*) = loc\("((?:[^"\\]|\\.)*)"\)$', re.MULTILINE)
_UNIFORM = re.compile(r"!quant\.uniform<([iu])8:f32, ([-+.0-9eE]+)(?::(-?\d+))?>")
_SHIFT = re.compile(r"rshift = \[([\d, ]+)\]")
# Activations that a convolution's output goes through; they move to float together with it.
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
    """How INT8 holds a tensor: value = scale * (q - zero), q in -128..127, or in 0..255 when unsigned."""

    scale: float
    unsigned: bool = False
    zero: int = 0


@dataclass(frozen=True)
class Lowered:
    """One layer of a lowered MLIR. `shift`: the exponent of weights that are held in powers of two (BM1684)."""

    kind: str
    quant: Quant | None  # None: computed in float
    shift: int | None = None


def lowered_layers(text: str) -> dict[str, Lowered]:
    """Layer name -> what a lowering to plain INT8 made of it, from the text of the lowered MLIR."""
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
    """A layer that can be quantized or not: its name for tables, the ONNX nodes that it is, its result."""

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
    """An ONNX model in the shape that TPU-MLIR gives it, and its layers by the tensor that each makes, in order."""

    model: onnx.ModelProto
    layers: Mapping[str, Layer]
    input: str
    input_quant: Quant | None
    producers: Mapping[str, onnx.NodeProto] = field(repr=False)
    readers: Mapping[str, tuple[onnx.NodeProto, ...]] = field(repr=False)

    @property
    def quantized(self) -> tuple[Layer, ...]:
        """The layers that plain INT8 quantizes, in the network's order."""
        return tuple(layer for layer in self.layers.values() if layer.lowered.quant is not None)

    def groups(self) -> tuple[tuple[Layer, ...], ...]:
        """Quantized layers that move together, in order: a layer with weights and the activations after it."""
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
        """Pairs of groups, as layer names, of which the second reads a tensor that the first makes."""
        groups = self.groups()
        names = {id(group): tuple(layer.name for layer in group) for group in groups}
        ends = {group[-1].tensor: group for group in groups}
        reads = (
            (name, group) for group in groups for layer in group for node in layer.nodes for name in node.input
        )
        return frozenset((names[id(ends[name])], names[id(group)]) for name, group in reads if name in ends)


def network(model: onnx.ModelProto, lowered: Mapping[str, Lowered]) -> LoweredNetwork:
    """Tie an ONNX model to the layers of its plain INT8 lowering."""
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
        # An activation that the tool fused into the layer before it: that one's own tensor never exists.
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
    """How the network's input is held: the tool casts it under its name and that of the layer that reads it."""
    casts = (layer for name, layer in lowered.items() if layer.kind == "Cast" and name.startswith(source))
    return next((layer.quant for layer in casts if layer.quant is not None), None)


def _relu_before_concat(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """TPU-MLIR moves a ReLU after a concatenation before it; new tensors -> the names that it gives layers."""
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
