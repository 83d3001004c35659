"""Maps the layers that TPU-MLIR quantizes to the nodes of the ONNX model that they came from.

TPU-MLIR names a layer after the ONNX tensor that it produces and the kind of operation (`body.0.conv_Conv`); where
it fuses or rewrites nodes, the tensor's name stays in front (`swish.tmp_0_HardSwish`). A layer's nodes are all that
lie between its tensor and the tensors of other layers, so what it fused is part of it.
"""

from collections.abc import Collection, Iterable, Mapping

import onnx

from bmzoo.quantization.folding import element_types, folded, network_inputs
from bmzoo.quantization.lowered_layers import REQUANTIZED, Lowered, Quant, input_shapes, lowered_layers
from bmzoo.quantization.network import Layer, LoweredNetwork
from bmzoo.quantization.relu_concat import relu_before_concat
from bmzoo.quantization.tables import name_in_front, tensors_of


def network_of(model: onnx.ModelProto, top: str, lowered: str) -> LoweredNetwork:
    """A model at the size that it was lowered for, mapped. `top`, `lowered`: the MLIR's texts before and after."""
    inputs = network_inputs(model)
    shapes = {name: shape for name, shape in input_shapes(lowered).items() if name in inputs}
    return lowered_network(folded(model, shapes), lowered_layers(lowered), tensors_of(top))


def lowered_network(
    model: onnx.ModelProto, lowered: Mapping[str, Lowered], tables: Collection[str] | None = None
) -> LoweredNetwork:
    """Map a folded ONNX model to the layers of its plain INT8 lowering.

    `tables`: the names that a table may use, those of the top-level MLIR; without, all that are lowered.
    """
    shaped, names = relu_before_concat(model, lowered)
    allowed = lowered.keys() if tables is None else tables
    tensors = layer_tensors(shaped, lowered, names, allowed)
    places = {name: place for place, node in enumerate(shaped.graph.node) for name in node.output if name}
    inputs = tuple(network_inputs(shaped))
    made = {tensor: name for name, tensor in tensors.items()}
    layers: dict[str, Layer] = {}
    regions: dict[str, tuple[onnx.NodeProto, ...]] = {}
    heads = {port.name for port in shaped.graph.output}
    for tensor in (name for name in places if name in made or name in heads):
        regions[tensor], reads = _region(tensor, made, places, shaped, inputs)
        if tensor in made:
            name = made[tensor]
            layers[tensor] = Layer(table_name(name, allowed), regions[tensor], tensor, lowered[name], reads)
    casts, types = _casts(lowered, tensors, inputs), element_types(shaped)
    producers = {name: shaped.graph.node[place] for name, place in places.items()}
    return LoweredNetwork(shaped, lowered, layers, inputs, casts, types, producers, _readers(shaped), regions)


def layer_tensors(
    model: onnx.ModelProto, lowered: Mapping[str, Lowered], names: Mapping[str, str], tables: Collection[str]
) -> dict[str, str]:
    """Layer -> the ONNX tensor that it produces. `names`: of tensors whose layer is not named after its node.

    A layer that came of rewriting has the name of a tensor in front of its own: it stands for that tensor, unless
    another does.
    """
    made = [(node.op_type, output) for node in model.graph.node for output in node.output if output]
    exact = {names.get(tensor, f"{tensor}_{kind}"): tensor for kind, tensor in made}
    found = {name: exact[name] for name in lowered if name in exact and name in tables}
    taken, used = set(found.values()), set(found)
    tensors = {tensor for _, tensor in made}
    for name in (name for name, layer in lowered.items() if name not in found and layer.kind not in REQUANTIZED):
        tensor, row = name_in_front(name, tensors), table_name(name, tables)
        if tensor and tensor not in taken and row and row not in used:
            found[name] = tensor
            taken.add(tensor)
            used.add(row)
    return found


def coverage(net: LoweredNetwork) -> tuple[int, int]:
    """How many of the layers in INT8 have a tensor of the ONNX model, and how many there are.

    Layers that lowering split one into count as that one does; what only brings a tensor to another scale is none.
    """
    mapped, rows = {id(layer.lowered) for layer in net.quantized}, {layer.name for layer in net.quantized}
    layers = {name: layer for name, layer in net.lowered.items() if layer.quant is not None}
    every = [name for name, layer in layers.items() if layer.kind not in REQUANTIZED or id(layer) in mapped]
    known = [name for name in every if id(layers[name]) in mapped or name_in_front(name, rows)]
    return len(known), len(every)


def table_name(layer: str, tables: Collection[str]) -> str:
    """The name by which tables know a layer: its own, or that of the layer which lowering made it of, or none."""
    return layer if layer in tables else name_in_front(layer, tables)


def _region(
    tensor: str,
    made: Collection[str],
    places: Mapping[str, int],
    model: onnx.ModelProto,
    inputs: Collection[str],
) -> tuple[tuple[onnx.NodeProto, ...], tuple[str, ...]]:
    """The nodes between a layer's tensor and other layers' tensors, in order; and what they read of those."""
    found, reads, waiting = {places[tensor]}, list[str](), [places[tensor]]
    while waiting:
        for name in model.graph.node[waiting.pop()].input:
            place = places.get(name)
            if name in inputs or name in made:
                reads.append(name)
            elif place is not None and place not in found:
                found.add(place)
                waiting.append(place)
    return tuple(model.graph.node[place] for place in sorted(found)), tuple(dict.fromkeys(reads))


def _casts(lowered: Mapping[str, Lowered], tensors: Mapping[str, str], inputs: Iterable[str]) -> dict[str, Quant]:
    """By tensor, the first cast to INT8 of a float layer or an input. Its name begins with what it reads."""
    sources = {**{name: name for name in inputs}, **tensors}
    found: dict[str, Quant] = {}
    for name, layer in lowered.items():
        if layer.kind != "Cast" or layer.quant is None:
            continue
        read = [sources[source] for source in layer.reads if source in sources]
        read = read or [source for source in inputs if name.startswith(source)][:1]
        if read:
            found.setdefault(read[0], layer.quant)
    return found


def _readers(model: onnx.ModelProto) -> dict[str, tuple[onnx.NodeProto, ...]]:
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return {name: tuple(nodes) for name, nodes in found.items()}
