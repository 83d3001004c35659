"""ONNX models rewritten for opset 11 and IR version 6, node by node, with every name kept.

Most operators changed since opset 11 only in the types that they accept; which ones is read from the schemas in
the onnx package. Those that changed in form have an adapter. The rest cannot be converted, and are all reported.
(`onnx.version_converter` can downgrade hardly any of them, and stops at the first that it cannot.)
"""

from onnx import defs, helper
from onnx.onnx_ml_pb2 import GraphProto, ModelProto, NodeProto

from bmzoo.onnx_import.adapters import NotConvertible, Scope, adapter_of
from bmzoo.onnx_import.walk import nodes, subgraphs

OPSET = 11
IR_VERSION = 6


def downgrade(model: ModelProto) -> ModelProto:
    """A copy of the model in opset 11 and IR version 6. Raises NotConvertible, naming every obstacle."""
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), OPSET)
    if model.functions:
        raise NotConvertible(f"functions of its own: {', '.join(f.name for f in model.functions)}")
    lowered = ModelProto()
    lowered.CopyFrom(model)
    problems: set[str] = set()
    if version > OPSET:
        _lower_graph(lowered.graph, version, Scope(model), problems)
    problems |= {f"{n.domain}.{n.op_type}" for n in nodes(model.graph) if n.domain not in ("", "ai.onnx")}
    if problems:
        raise NotConvertible(", ".join(sorted(problems)))
    drop_unread(lowered.graph)
    lowered.ir_version = min(model.ir_version, IR_VERSION)
    del lowered.opset_import[:]
    lowered.opset_import.append(helper.make_opsetid("", min(version, OPSET)))
    return lowered


def drop_unread(graph: GraphProto) -> None:
    """Remove weights and constants that are unused since they became attributes."""
    read = {name for node in nodes(graph) for name in node.input}
    for node in nodes(graph):
        read |= {output.name for inner in subgraphs(node) for output in inner.output}
    read |= {port.name for port in [*graph.input, *graph.output]}
    for weight in [weight for weight in graph.initializer if weight.name not in read]:
        graph.initializer.remove(weight)
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] not in read]:
        graph.node.remove(node)


def _lower_graph(graph: GraphProto, version: int, scope: Scope, problems: set[str]) -> None:
    lowered: list[NodeProto] = []
    for node in graph.node:
        try:
            lowered += _lower(node, version, scope)
        except NotConvertible as err:
            problems.add(str(err))
        for inner in subgraphs(node):
            _lower_graph(inner, version, scope, problems)
    del graph.node[:]
    graph.node.extend(lowered)


def _lower(node: NodeProto, version: int, scope: Scope) -> list[NodeProto]:
    if node.domain not in ("", "ai.onnx"):
        return [node]
    try:
        schema = defs.get_schema(node.op_type, version, "")
    except defs.SchemaError:
        raise NotConvertible(f"{node.op_type} (not an operator of opset {version})") from None
    if schema.since_version <= OPSET:
        return [node]
    adapter = adapter_of(node.op_type)
    adapted = list(adapter(node, scope)) if adapter else [node]
    for each in adapted:
        _fit(each, schema)
    return adapted


def _fit(node: NodeProto, schema: defs.OpSchema) -> None:
    """Drops attributes that only repeat a newer default; raises NotConvertible for what opset 11 lacks."""
    try:
        old = defs.get_schema(node.op_type, OPSET, "")
    except defs.SchemaError:
        raise NotConvertible(f"{node.op_type} (since opset {schema.since_version})") from None
    since = f"(opset {schema.since_version})"
    if len(node.input) > old.max_input or len(node.output) > old.max_output:
        ports = f"{len(node.input)} inputs, {len(node.output)} outputs"
        raise NotConvertible(f"{node.op_type} {since} with {ports}")
    for attribute in [a for a in node.attribute if a.name not in old.attributes]:
        known = schema.attributes.get(attribute.name)
        default = known.default_value if known else None
        value = helper.get_attribute_value(attribute)
        if not default or not default.type or value != helper.get_attribute_value(default):
            raise NotConvertible(f"{node.op_type} {since} with attribute `{attribute.name}`")
        node.attribute.remove(attribute)
