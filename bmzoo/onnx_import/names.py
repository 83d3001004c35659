"""Names that can be carried through: TPU-MLIR's tables and its text of a network know no quotes.

Tried with TPU-MLIR 1.30.2: a space splits a line of a calibration table, and what is not ASCII ends run_calibration
with an abort, so that INT8 dies on a name that a float network is built with. Weights stand in no table, and keep
what is common in them, such as `onnx::Conv_87`.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import count

from onnx.onnx_ml_pb2 import GraphProto, ModelProto

from bmzoo.onnx_import.walk import graphs, subgraphs

_ODD = re.compile(r"[^A-Za-z0-9_./\-+@,;=]")
_ODD_IN_WEIGHTS = re.compile(r"[^!-~]")


def plain(name: str, odd: re.Pattern[str] = _ODD) -> str:
    """A name with `_` for every character that is trouble."""
    return odd.sub("_", name)


def rename(model: ModelProto) -> dict[str, str]:
    """Rename the model's tensors and nodes where need be, in place. Returns new name -> old name."""
    old = list(dict.fromkeys(filter(None, _names(model.graph))))
    weights = {tensor.name for graph in graphs(model.graph) for tensor in graph.initializer}
    wanted = {name: plain(name, _ODD_IN_WEIGHTS if name in weights else _ODD) for name in old}
    taken = {name for name in old if name == wanted[name]}
    new: dict[str, str] = {}
    for name in old:
        if name not in taken:
            new[name] = _free(wanted[name], taken)
            taken.add(new[name])
    if new:
        apply_names(model.graph, new)
    return {now: before for before, now in new.items()}


def _free(wanted: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    return next(name for i in count(2) if (name := f"{wanted}_{i}") not in taken)


def _names(graph: GraphProto) -> Iterator[str]:
    for port in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield port.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for quantized in graph.quantization_annotation:
        yield quantized.tensor_name
        yield from (entry.value for entry in quantized.quant_parameter_tensor_names)
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for inner in subgraphs(node):
            yield from _names(inner)


def apply_names(graph: GraphProto, new: Mapping[str, str]) -> None:
    """Give names of a graph and its subgraphs others, in place: new by old."""
    for port in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        port.name = new.get(port.name, port.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = new.get(sparse.values.name, sparse.values.name)
    for quantized in graph.quantization_annotation:
        quantized.tensor_name = new.get(quantized.tensor_name, quantized.tensor_name)
        for entry in quantized.quant_parameter_tensor_names:
            entry.value = new.get(entry.value, entry.value)
    for node in graph.node:
        node.name = new.get(node.name, node.name)
        for ports in (node.input, node.output):
            ports[:] = [new.get(name, name) for name in ports]
        for inner in subgraphs(node):
            apply_names(inner, new)
