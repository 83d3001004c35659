"""TPU-MLIR's hoisting of a ReLU above the concatenation before it."""

from collections.abc import Container

import onnx
from onnx import helper


def relu_before_concat(model: onnx.ModelProto, lowered: Container[str]) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Hoist each ReLU that was by `lowered`, the names of layers. Returns the model, new tensor -> layer name."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes = list(result.graph.node)
    producers = {output: node for node in nodes for output in node.output}
    read = [name for node in nodes for name in node.input] + [port.name for port in result.graph.output]
    names: dict[str, str] = {}
    for relu in [n for n in nodes if n.op_type == "Relu"]:
        concat = producers.get(relu.input[0])
        if concat is None or concat.op_type != "Concat" or read.count(concat.output[0]) != 1:
            continue
        moved = {source: _moved(source, producers.get(source)) for source in concat.input}
        whole = f"{concat.output[0]}_Concat_relu"
        if whole not in lowered and not any(name in lowered for name in moved.values()):
            continue
        for index, source in enumerate(concat.input):
            concat.input[index] = moved[source]
        for source, name in moved.items():
            nodes.insert(nodes.index(concat), helper.make_node("Relu", [source], [name], name=name))
            names[name] = name
        names[relu.output[0]] = whole
        concat.output[0] = relu.output[0]
        nodes.remove(relu)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result, names


def _moved(source: str, producer: onnx.NodeProto | None) -> str:
    return f"{source}_{producer.op_type if producer is not None else 'Input'}_move_ahead_relu"
