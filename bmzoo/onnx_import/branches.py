"""Control flow: an If whose condition is known becomes the branch that is taken; the rest no chip computes."""

from collections.abc import Iterator

from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import GraphProto, ModelProto, NodeProto

from bmzoo.errors import SessionError, SourceError
from bmzoo.onnx_import.cut import cut, drop_unused, reads
from bmzoo.onnx_import.onnx_file import io_signature
from bmzoo.onnx_import.samples import Feeds
from bmzoo.onnx_import.walk import nodes
from bmzoo.runtime.engines.session import OnnxSession

_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_HINT = "a chip computes a fixed graph: export without it, or cut the network before it: `outputs: [tensors]`"


def without_branches(model: ModelProto, feeds: Feeds, shown: str) -> ModelProto:
    """The model without control flow: itself, or a copy. Raises SourceError naming what cannot be resolved.

    feeds: any inputs of the sizes that the model is built for; sizes decide, and never values of inputs.
    """
    while control := [node for node in model.graph.node if node.op_type in _CONTROL]:
        node = control[0]
        if node.op_type != "If":
            raise SourceError(f"{shown}: {_named(node)} repeats a part of the network", _HINT)
        model = _with_branch(model, node, _taken(model, node, feeds, shown))
    inner = next((node for node in nodes(model.graph) if node.op_type in _CONTROL), None)
    if inner is not None:
        raise SourceError(f"{shown}: {_named(inner)} lies inside another operator", _HINT)
    return model


def _taken(model: ModelProto, node: NodeProto, feeds: Feeds, shown: str) -> GraphProto:
    """The branch that is always taken."""
    condition = node.input[0]
    known = next((t for t in model.graph.initializer if t.name == condition), None)
    if known is not None:
        yes = bool(numpy_helper.to_array(known).all())
    elif found := _by_value(model, condition):
        raise SourceError(f"{shown}: {_named(node)} asks for values of the input `{found}`", _HINT)
    else:
        yes = _computed(model, condition, feeds, shown, node)
    wanted = "then_branch" if yes else "else_branch"
    branch: GraphProto = next(attribute.g for attribute in node.attribute if attribute.name == wanted)
    return branch


def _by_value(model: ModelProto, tensor: str) -> str:
    """The input whose values a tensor depends on; empty where only sizes and constants decide it."""
    weights = {weight.name for weight in model.graph.initializer}
    source: dict[str, str] = {port.name: port.name for port in model.graph.input if port.name not in weights}
    for node in model.graph.node:
        found = next((source[name] for name in reads(node) if name in source), "")
        if found and node.op_type not in ("Shape", "Size"):
            source |= dict.fromkeys(node.output, found)
    return source.get(tensor, "")


def _computed(model: ModelProto, tensor: str, feeds: Feeds, shown: str, node: NodeProto) -> bool:
    part = cut(model, [tensor], shown)
    part.graph.output[0].type.tensor_type.elem_type = 9  # BOOL, as all conditions are
    part.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        session = OnnxSession(part.SerializeToString())
        found = session.run({port.name: feeds[port.name] for port in io_signature(part).inputs})
    except SessionError as error:
        what = error.message.removeprefix("onnx model: ")[:200]
        raise SourceError(f"{shown}: condition of {_named(node)} cannot be computed: {what}", _HINT) from None
    return bool(found[tensor].all())


def _with_branch(model: ModelProto, node: NodeProto, branch: GraphProto) -> ModelProto:
    """A copy with a branch in the place of its If, under the names that the If's outputs have."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    for each in model.graph.node:
        copy.graph.node.extend(_inlined(each, branch) if each == node else [each])
    copy.graph.initializer.extend(branch.initializer)
    copy.graph.value_info.extend(branch.value_info)
    drop_unused(copy.graph)
    return copy


def _inlined(node: NodeProto, branch: GraphProto) -> Iterator[NodeProto]:
    yield from branch.node
    for inner, outer in zip(branch.output, node.output, strict=True):
        yield helper.make_node("Identity", [inner.name], [outer], name=outer)


def _named(node: NodeProto) -> str:
    return f"{node.op_type} `{node.name or node.output[0]}`"
