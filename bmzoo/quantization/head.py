"""The head of a network: its last layers with weights, and all that follows them. Pure.

What exporters put at the end (softmax, sigmoid, boxes from offsets, boxes and scores in one tensor) has ranges that
do not fit into 8 bits together, and costs little in float.
"""

from bmzoo.quantization.network import WEIGHTED, LoweredNetwork


def head(network: LoweredNetwork) -> tuple[str, ...]:
    """Names of the quantized layers from each output back to the first with weights, in topological order."""
    waiting = [output.name for output in network.model.graph.output]
    seen: set[str] = set()
    while waiting:
        tensor = waiting.pop()
        node = network.producers.get(tensor)
        if tensor in seen or node is None:
            continue
        seen.update(node.output)
        if node.op_type not in WEIGHTED:
            waiting += node.input
    return tuple(layer.name for layer in network.quantized if layer.tensor in seen)
