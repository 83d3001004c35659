"""Walks over nodes, weights and subgraphs of a model, and the names of their types."""

from collections.abc import Iterator

from onnx.onnx_ml_pb2 import GraphProto, NodeProto, TensorProto

# Types that came later than the onnx package that is installed.
_LATER = {21: "UINT4", 22: "INT4", 23: "FLOAT4E2M1", 24: "FLOAT8E8M0", 25: "UINT2", 26: "INT2"}


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, including those of subgraphs."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from nodes(inner)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else attribute.graphs


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every weight and constant, including those of subgraphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else attribute.tensors
            for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else ():
                yield from (sparse.values, sparse.indices)
        for inner in subgraphs(node):
            yield from tensors(inner)


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and all of its subgraphs."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from graphs(inner)


def element_name(element: int) -> str:
    """What ONNX calls the type of a tensor's elements."""
    if element in TensorProto.DataType.values():
        return str(TensorProto.DataType.Name(element))
    return _LATER.get(element, f"type {element}")
