"""Files newer than what the installed onnx package reads: what they use, apart from what came with their version.

A newer IR version brought types, functions by overload, and notes for people and for several devices; a newer opset
brought types and operators, and left the meaning of those that opset 11 has. So a model that uses nothing new is
the same model under an older number. From ONNX's table of versions: release 1.20 has IR version 13, ai.onnx 25.
"""

from collections.abc import Iterator
from typing import Any

from onnx import defs, helper
from onnx.onnx_ml_pb2 import IR_VERSION as READABLE_IR
from onnx.onnx_ml_pb2 import ModelProto, NodeProto, TensorProto

from bmzoo.onnx_import.adapters import NotConvertible, Scope, newer_adapter_of
from bmzoo.onnx_import.walk import element_name, graphs, nodes

NEWEST_IR, NEWEST_OPSET = 13, 25
OWN = ("", "ai.onnx")
# Fields by message that came with IR version 10 and 11 and change no result: metadata, and notes for devices.
_NOTES = {
    "ModelProto": (26,),
    "GraphProto": (16,),
    "NodeProto": (9, 10),
    "TensorProto": (16,),
    "ValueInfoProto": (4,),
    "FunctionProto": (14,),
}
# Field `overload` of nodes: which of several functions of one name is meant.
_OVERLOAD = ("NodeProto", 8)


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that a model uses; 0 where it says none."""
    return max((o.version for o in model.opset_import if o.domain in OWN), default=0)


def is_newer(model: ModelProto) -> bool:
    """Whether the installed onnx package cannot read the model as it is."""
    return model.ir_version > READABLE_IR or opset_of(model) > defs.onnx_opset_version()


def readable(model: ModelProto) -> ModelProto:
    """The same model under numbers that can be read: itself, or a copy. Raises NotConvertible.

    Operators that came later are written with older ones where that is possible; all others are named.
    """
    if not is_newer(model):
        return model
    if problems := sorted(set(_unknown(model))):
        raise NotConvertible(", ".join(problems))
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.DiscardUnknownFields()
    copy.ir_version = min(copy.ir_version, READABLE_IR)
    if opset_of(model) > defs.onnx_opset_version():
        _lower_opset(copy)
    return copy


def _unknown(model: ModelProto) -> Iterator[str]:
    """Everything in a model that this onnx package does not know, and that may change what it means."""
    if model.ir_version > NEWEST_IR:
        yield f"IR version {model.ir_version}, newer than {NEWEST_IR}, the newest that is known"
    if opset_of(model) > NEWEST_OPSET:
        yield f"opset {opset_of(model)}, newer than {NEWEST_OPSET}, the newest that is known"
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        for found in message.UnknownFields():
            if (kind, found.field_number) == _OVERLOAD:
                if found.data:
                    yield f"a function by overload: {getattr(message, 'op_type', '')}"
            elif found.field_number not in _NOTES.get(kind, ()):
                yield f"field {found.field_number} of {kind} {getattr(message, 'name', '')}".rstrip()
        yield from _unknown_types(message)


def _unknown_types(message: Any) -> Iterator[str]:  # noqa: ANN401  # protobuf ships no types
    known = TensorProto.DataType.values()
    for field in ("elem_type", "data_type"):
        element = getattr(message, field, 0)
        if isinstance(element, int) and element not in known:
            where = f" of `{message.name}`" if isinstance(message, TensorProto) and message.name else ""
            yield f"tensors of {element_name(element)}{where}"
    if isinstance(message, NodeProto):
        for attribute in message.attribute:
            if attribute.name in ("to", "dtype", "output_dtype") and attribute.i not in known:
                yield f"{message.op_type} to {element_name(attribute.i)}"


def _messages(message: Any) -> Iterator[Any]:  # noqa: ANN401  # protobuf ships no types
    """A message and all that it holds."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.label == field.LABEL_REPEATED else (value,):
                yield from _messages(inner)


def _lower_opset(model: ModelProto) -> None:
    """To the newest opset that can be read; it knows every operator that is left, in its form."""
    newest = defs.onnx_opset_version()
    version = opset_of(model)
    for opset in model.opset_import:
        if opset.domain in OWN:
            opset.version = newest
    _adapt(model)
    problems = sorted({text for node in nodes(model.graph) for text in _later(node, newest)})
    if problems:
        raise NotConvertible(", ".join(f"{text} (opset {version})" for text in problems))


def _adapt(model: ModelProto) -> None:
    scope: Scope | None = None
    for graph in graphs(model.graph):
        adapted: list[NodeProto] = []
        for node in graph.node:
            adapter = newer_adapter_of(node.op_type) if node.domain in OWN else None
            if adapter is None or defs.has(node.op_type):
                adapted.append(node)
                continue
            scope = scope or Scope(model)
            adapted += adapter(node, scope)
        del graph.node[:]
        graph.node.extend(adapted)


def _later(node: NodeProto, newest: int) -> Iterator[str]:
    """What of a node came after an opset."""
    if node.domain not in OWN:
        return
    if not defs.has(node.op_type):
        yield node.op_type
        return
    known = defs.get_schema(node.op_type, newest, "")
    for attribute in node.attribute:
        if attribute.name not in known.attributes:
            yield f"{node.op_type} with attribute `{attribute.name}` = {helper.get_attribute_value(attribute)!r}"
    if len(node.input) > known.max_input or len(node.output) > known.max_output:
        yield f"{node.op_type} with {len(node.input)} inputs, {len(node.output)} outputs"
