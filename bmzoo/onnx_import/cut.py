"""The network cut at named tensors: they are its outputs, and what only later ones need is gone."""

from collections.abc import Iterable, Iterator, Sequence

from onnx import shape_inference
from onnx.onnx_ml_pb2 import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from bmzoo.errors import SourceError, nearest
from bmzoo.onnx_import.names import plain
from bmzoo.onnx_import.walk import subgraphs

_SHOWN = 8


def cut(model: ModelProto, outputs: Sequence[str], shown: str) -> ModelProto:
    """A copy whose outputs are these tensors, in this order. Raises SourceError for what it does not compute.

    outputs: names as in the file, or as the import writes them where it renames.
    """
    names = [_computed(model.graph, name, shown) for name in outputs]
    known = _types(model)
    copy = copied(model)
    del copy.graph.output[:]
    copy.graph.output.extend(known.get(name) or _untyped(name) for name in names)
    drop_unused(copy.graph)
    return copy


def copied(model: ModelProto) -> ModelProto:
    """The same model, to be changed."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def drop_unused(graph: GraphProto) -> None:
    """Remove nodes, weights and inputs that no output of the graph needs, in place."""
    kept = needed(graph.node, [output.name for output in graph.output])
    read = {name for node in kept for name in reads(node)} | {output.name for output in graph.output}
    made = {name for node in kept for name in node.output}
    del graph.node[:]
    graph.node.extend(kept)
    for field in (graph.initializer, graph.input):
        for gone in [entry for entry in field if entry.name not in read]:
            field.remove(gone)
    for value in [value for value in graph.value_info if value.name not in made]:
        graph.value_info.remove(value)


def needed(nodes: Iterable[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes, in their order, that these tensors are computed by."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(reads(node))
    return kept[::-1]


def reads(node: NodeProto) -> Iterator[str]:
    """The tensors that a node reads, those of its subgraphs from outside included."""
    yield from filter(None, node.input)
    for inner in subgraphs(node):
        own = {port.name for port in (*inner.input, *inner.initializer)}
        own |= {name for each in inner.node for name in each.output}
        outside = (name for each in inner.node for name in reads(each))
        yield from (name for name in (*outside, *(port.name for port in inner.output)) if name not in own)


def _computed(graph: GraphProto, name: str, shown: str) -> str:
    """The tensor's own name, given that or its plain one."""
    tensors = list(dict.fromkeys(str(output) for node in graph.node for output in node.output if output))
    if name in tensors:
        return name
    if found := next((tensor for tensor in tensors if plain(tensor) == name), None):
        return found
    if name in {port.name for port in (*graph.input, *graph.initializer)}:
        hint = "name a tensor that comes later"
        raise SourceError(f"{shown}: outputs: not computed, but an input or a weight: {name}", hint)
    guess = nearest(name, tensors)
    ends = [output.name for output in graph.output]
    few = ", ".join(ends[:_SHOWN]) + (", ..." if len(ends) > _SHOWN else "")
    raise SourceError(
        f"{shown}: outputs: no such tensor: {name}",
        f"did you mean {guess}?" if guess else f"its outputs now: {few}; a viewer such as Netron shows all tensors",
    )


def _types(model: ModelProto) -> dict[str, ValueInfoProto]:
    """What is known of the types of tensors: from the file, and inferred."""
    copy = copied(model)
    for output in copy.graph.output:  # one wrong shape there, and nothing is inferred at all
        output.type.tensor_type.ClearField("shape")
    try:
        graph = shape_inference.infer_shapes(copy).graph
    except (shape_inference.InferenceError, ValueError):  # it is checked, and explained, later
        graph = model.graph
    values = (*graph.value_info, *graph.output)
    return {value.name: value for value in values if value.type.tensor_type.elem_type}


def _untyped(name: str) -> ValueInfoProto:
    value = ValueInfoProto(name=name)
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    return value
