"""An ONNX network and the layers in which TPU-MLIR quantizes it: which are promoted to float together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import onnx

from bmzoo.quantization.lowered_layers import Lowered, Quant

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
# What exporters write an activation in where ONNX has no operator for it (SiLU, Mish, hard swish, GELU).
ELEMENTWISE = (*ACTIVATIONS, "Add", "Sub", "Mul", "Div", "Min", "Max", "Exp", "Erf", "Pow", "Sqrt", "Neg", "Abs")
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
# What only moves values. Rounded twice to one scale they lose no more than once, so such layers in a row gain
# nothing by being promoted one by one.
MOVES_VALUES = (
    *("Concat", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Identity"),
    *("DepthToSpace", "SpaceToDepth"),
)
# Networks that shuffle channels are such a row from end to end.
MOST_MOVING = 12


@dataclass(frozen=True)
class Layer:
    """A layer whose precision can be chosen: its name in tables, its ONNX nodes in order, its output tensor.

    `reads`: the tensors that its nodes read from other layers, and inputs of the network.
    """

    name: str
    nodes: tuple[onnx.NodeProto, ...]
    tensor: str
    lowered: Lowered
    reads: tuple[str, ...]

    @property
    def quant(self) -> Quant:
        assert self.lowered.quant is not None, "only quantized layers are asked"
        return self.lowered.quant

    @property
    def weighted(self) -> bool:
        return any(node.op_type in WEIGHTED for node in self.nodes)

    def scaled(self, factor: float) -> "Layer":
        """The same with steps so many times as wide."""
        quant = replace(self.quant, scale=self.quant.scale * factor)
        return replace(self, lowered=replace(self.lowered, quant=quant))

    @property
    def activates(self) -> bool:
        """Whether it is an activation, in one node or several."""
        kinds = ACTIVATIONS if len(self.nodes) == 1 else ELEMENTWISE
        return len(self.reads) == 1 and all(node.op_type in kinds for node in self.nodes)

    @property
    def moves(self) -> bool:
        """Whether it only moves values."""
        return all(node.op_type in MOVES_VALUES for node in self.nodes)


@dataclass(frozen=True)
class LoweredNetwork:
    """An ONNX model rewritten as TPU-MLIR rewrites it, and its layers by output tensor, in topological order.

    `lowered`: the lowering that it was mapped to, by the names there. `casts`: by tensor, how a layer in INT8 reads
    what the lowering computes in float, and inputs of the network. `types`: the element type of each tensor, as
    onnx.TensorProto counts them. `regions`: the nodes that make the tensor of each layer out of those of others,
    and each output that is no layer's, in topological order.
    """

    model: onnx.ModelProto
    lowered: Mapping[str, Lowered] = field(repr=False)
    layers: Mapping[str, Layer]
    inputs: tuple[str, ...]
    casts: Mapping[str, Quant]
    types: Mapping[str, int] = field(repr=False)
    producers: Mapping[str, onnx.NodeProto] = field(repr=False)
    readers: Mapping[str, tuple[onnx.NodeProto, ...]] = field(repr=False)
    regions: Mapping[str, tuple[onnx.NodeProto, ...]] = field(repr=False)

    @property
    def quantized(self) -> tuple[Layer, ...]:
        """The layers that plain INT8 quantizes, in topological order."""
        return tuple(layer for layer in self.layers.values() if layer.lowered.quant is not None)

    @property
    def heads(self) -> tuple[str, ...]:
        """The outputs' names, in network order."""
        return tuple(port.name for port in self.model.graph.output)

    def rounds(self, tensor: str) -> Quant | None:
        """How the tensor reads in INT8; None where the lowering keeps it in float, or it holds no floats."""
        if self.types.get(tensor) != onnx.TensorProto.FLOAT:
            return None
        layer = self.layers.get(tensor)
        quant = layer.lowered.quant if layer is not None else None
        return self.casts.get(tensor) if quant is None else quant

    def scaled(self, factors: Mapping[str, float]) -> "LoweredNetwork":
        """The same with other scales: what each is times, by the tensor of a quantized layer."""
        layers = {
            tensor: layer.scaled(factors[tensor]) if tensor in factors else layer
            for tensor, layer in self.layers.items()
        }
        return replace(self, layers=layers)

    def groups(self) -> tuple[tuple[Layer, ...], ...]:
        """Quantized layers that are promoted together, in order, the last of them making all that others read.

        A layer with weights and its activations; layers in a row that only move values, up to MOST_MOVING.
        """
        found: dict[str, list[Layer]] = {}  # by the last layer's tensor
        for layer in self.quantized:
            joined = [found[name] for name in layer.reads if name in found and self._joins(layer, found[name])]
            if layer.moves and 1 + sum(map(len, joined)) > MOST_MOVING:
                joined = []
            for group in joined:
                del found[group[-1].tensor]
            found[layer.tensor] = [*(each for group in joined for each in group), layer]
        order = {layer.name: place for place, layer in enumerate(self.quantized)}
        ordered = [tuple(sorted(group, key=lambda each: order[each.name])) for group in found.values()]
        return tuple(sorted(ordered, key=lambda group: order[group[0].name]))

    def beside(self) -> frozenset[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Pairs of adjacent groups, as layer names: the second reads a tensor that the first produces."""
        groups = self.groups()
        names = {id(group): tuple(layer.name for layer in group) for group in groups}
        ends = {group[-1].tensor: group for group in groups}
        reads = ((name, group) for group in groups for layer in group for name in layer.reads)
        return frozenset((names[id(ends[name])], names[id(group)]) for name, group in reads if name in ends)

    def _joins(self, layer: Layer, group: Sequence[Layer]) -> bool:
        """Whether a layer that reads a group's last tensor is promoted together with it."""
        tensor, own = group[-1].tensor, {node.output[0] for node in layer.nodes}
        if tensor in self.heads or any(node.output[0] not in own for node in self.readers.get(tensor, ())):
            return False
        return (layer.moves and group[-1].moves) or (layer.activates and any(each.weighted for each in group))
