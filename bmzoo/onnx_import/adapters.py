"""Adapters that rewrite operators whose form changed after opset 11 for opset 11; names are kept."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.onnx_ml_pb2 import ModelProto, NodeProto

from bmzoo.onnx_import.walk import nodes, subgraphs


class NotConvertible(Exception):
    """One operator, or the model as a whole, has no equivalent in opset 11; the text says why."""


class Scope:
    """Known properties of tensors by name: values of constants, and ranks."""

    def __init__(self, model: ModelProto) -> None:
        try:
            inferred = shape_inference.infer_shapes(model).graph
        except shape_inference.InferenceError as err:
            raise NotConvertible(
                f"shapes or types contradict each other: {str(err).partition(chr(10))[0]}"
            ) from None
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        typed = ((value.name, value.type.tensor_type) for value in values)
        self.ranks = {name: len(kind.shape.dim) for name, kind in typed if kind.HasField("shape")}
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for node in nodes(model.graph):
            for inner in subgraphs(node):
                self.constants |= {tensor.name: numpy_helper.to_array(tensor) for tensor in inner.initializer}
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def integers(self, node: NodeProto, index: int) -> list[int] | None:
        """The constant at an input of the node; None when there is no such input."""
        if index >= len(node.input) or not node.input[index]:
            return None
        if node.input[index] not in self.constants:
            raise NotConvertible(f"{node.op_type} with `{node.input[index]}` computed at run time")
        return [int(value) for value in self.constants[node.input[index]].flatten()]

    def axis_from_end(self, node: NodeProto) -> int:
        """The attribute `axis` (default: the last) as a negative number."""
        axis = int(_attributes(node).get("axis", -1))
        rank = self.ranks.get(node.input[0])
        if axis >= 0 and rank is None:
            raise NotConvertible(f"{node.op_type} on axis {axis} of a tensor of unknown rank")
        return axis if axis < 0 else axis - (rank or 0)


Adapter = Callable[[NodeProto, Scope], Iterator[NodeProto]]


def adapter_of(kind: str) -> Adapter | None:
    """The adapter of an operator kind; None for one without."""
    if kind.startswith("Reduce") or kind in ("Squeeze", "Unsqueeze"):
        return _axes_as_attribute
    adapters: dict[str, Adapter] = {
        "GreaterOrEqual": _or_equal,
        "GroupNormalization": group_normalization,
        "HardSwish": _hard_swish,
        "LayerNormalization": _layer_normalization,
        "LessOrEqual": _or_equal,
        "LogSoftmax": _softmax,
        "Mish": _mish,
        "Resize": resize,
        "Softmax": _softmax,
        "Split": _split,
    }
    return adapters.get(kind)


def newer_adapter_of(kind: str) -> Adapter | None:
    """The adapter of an operator kind newer than what this onnx package has; None for one without."""
    adapters: dict[str, Adapter] = {"Gelu": _gelu, "RMSNormalization": _rms_normalization, "Swish": _swish}
    return adapters.get(kind)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _remake(
    node: NodeProto,
    kind: str,
    inputs: list[str],
    output: str = "",
    **attributes: Any,  # noqa: ANN401
) -> NodeProto:
    """A replacement for a node; one that produces a new tensor is named after that tensor."""
    outputs = [output] if output else list(node.output)
    return helper.make_node(kind, inputs, outputs, name=output or node.name, **attributes)


def _axes_as_attribute(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    attributes = _attributes(node)
    noop = attributes.pop("noop_with_empty_axes", 0)
    axes = scope.integers(node, 1)
    if noop and not axes:
        yield _remake(node, "Identity", [node.input[0]])
        return
    if axes:
        attributes["axes"] = axes
    yield _remake(node, node.op_type, [node.input[0]], **attributes)


def _split(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    attributes = _attributes(node)
    attributes.pop("num_outputs", None)  # the number of outputs implies it; onnxruntime refuses unequal parts
    if (split := scope.integers(node, 1)) is not None:
        attributes["split"] = split
    yield _remake(node, "Split", [node.input[0]], **attributes)


def _softmax(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """Up to opset 12 the input is flattened to 2-D at `axis`; only for the last axis is that the same as today."""
    axis = scope.axis_from_end(node)
    if axis == -1:
        yield _remake(node, node.op_type, [node.input[0]], axis=-1)
        return
    if node.input[0] not in scope.ranks:
        raise NotConvertible(f"{node.op_type} on axis {axis} of a tensor of unknown rank")
    order = list(range(scope.ranks[node.input[0]]))
    order[axis], order[-1] = order[-1], order[axis]  # its own inverse
    moved, normal = f"{node.output[0]}.moved", f"{node.output[0]}.normal"
    yield _remake(node, "Transpose", [node.input[0]], moved, perm=order)
    yield _remake(node, node.op_type, [moved], normal, axis=-1)
    yield _remake(node, "Transpose", [normal], perm=order)


def resize(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """Inputs that are optional since opset 13 were required, as empty tensors, before, and for all axes."""
    inputs, attributes = list(node.input) + [""] * (3 - len(node.input)), _attributes(node)
    axes = attributes.pop("axes", None)
    if axes is not None:
        inputs[2] = f"{node.output[0]}.scales"
        yield _constant(node, inputs[2], _all_scales(node, axes, scope))
    for index in (1, 2):
        if not inputs[index]:
            inputs[index] = f"{node.output[0]}.empty{index}"
            yield _constant(node, inputs[index], np.zeros(0, np.float32))
    yield _remake(node, "Resize", inputs, **attributes)


def _all_scales(node: NodeProto, axes: list[int], scope: Scope) -> NDArray[np.float32]:
    """Scales of every axis, 1 for those that are not named."""
    scales, rank = scope.constants.get(node.input[2] if len(node.input) > 2 else ""), scope.ranks.get(node.input[0])
    if scales is None or len(scales) != len(axes) or rank is None:
        raise NotConvertible("Resize (opset 18) with attribute `axes`, but no scales for them that are constant")
    whole = np.ones(rank, np.float32)
    whole[axes] = scales
    return whole


def group_normalization(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """Wu and He, "Group Normalization", as an instance normalization of groups; scale and bias are by group."""
    attributes = _attributes(node)
    groups, (x, scale, bias) = attributes["num_groups"], node.input
    if any(len(scope.constants.get(name, ())) != groups for name in (scale, bias)):
        raise NotConvertible("GroupNormalization with scale and bias that are not constants, one for each group")

    def name(part: str) -> str:
        return f"{node.output[0]}.{part}"

    yield _constant(node, name("groups"), np.array([0, groups, -1], np.int64))
    yield _remake(node, "Shape", [x], name("shape"))
    yield _remake(node, "Reshape", [x, name("groups")], name("grouped"))
    epsilon = attributes.get("epsilon", 1e-5)
    yield _remake(node, "InstanceNormalization", [name("grouped"), scale, bias], name("normal"), epsilon=epsilon)
    yield _remake(node, "Reshape", [name("normal"), name("shape")])


def _constant(node: NodeProto, name: str, value: NDArray[Any]) -> NodeProto:
    return _remake(node, "Constant", [], name, value=numpy_helper.from_array(value, name))


def _hard_swish(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    gate = f"{node.output[0]}.gate"
    yield _remake(node, "HardSigmoid", [node.input[0]], gate, alpha=1 / 6, beta=0.5)
    yield _remake(node, "Mul", [node.input[0], gate])


def _or_equal(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    strict, equal = f"{node.output[0]}.strict", f"{node.output[0]}.equal"
    yield _remake(node, node.op_type.removesuffix("OrEqual"), list(node.input), strict)
    yield _remake(node, "Equal", list(node.input), equal)
    yield _remake(node, "Or", [strict, equal])


def _layer_normalization(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """Ba et al., "Layer Normalization": (x - mean) / sqrt(variance + epsilon) * scale + bias."""
    if len(node.output) > 1:
        raise NotConvertible("LayerNormalization (opset 17) with more than one output")
    axes = list(range(scope.axis_from_end(node), 0))
    epsilon = np.array(_attributes(node).get("epsilon", 1e-5), np.float32)
    x, scale, *bias = node.input

    def name(part: str) -> str:
        return f"{node.output[0]}.{part}"

    yield _remake(node, "ReduceMean", [x], name("mean"), axes=axes)
    yield _remake(node, "Sub", [x, name("mean")], name("centred"))
    yield _remake(node, "Mul", [name("centred"), name("centred")], name("squared"))
    yield _remake(node, "ReduceMean", [name("squared")], name("variance"), axes=axes)
    yield _constant(node, name("epsilon"), epsilon)
    yield _remake(node, "Add", [name("variance"), name("epsilon")], name("stable"))
    yield _remake(node, "Sqrt", [name("stable")], name("deviation"))
    yield _remake(node, "Div", [name("centred"), name("deviation")], name("normal"))
    yield _remake(node, "Mul", [name("normal"), scale], name("scaled") if bias else "")
    if bias:
        yield _remake(node, "Add", [name("scaled"), bias[0]])


def _mish(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    soft, gate = f"{node.output[0]}.soft", f"{node.output[0]}.gate"
    yield _remake(node, "Softplus", [node.input[0]], soft)
    yield _remake(node, "Tanh", [soft], gate)
    yield _remake(node, "Mul", [node.input[0], gate])


def _swish(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    x, gate, scaled = node.input[0], f"{node.output[0]}.gate", f"{node.output[0]}.scaled"
    alpha = _attributes(node).get("alpha", 1.0)
    if alpha != 1.0:
        yield _constant(node, f"{node.output[0]}.alpha", np.array(alpha, np.float32))
        yield _remake(node, "Mul", [x, f"{node.output[0]}.alpha"], scaled)
    yield _remake(node, "Sigmoid", [x if alpha == 1.0 else scaled], gate)
    yield _remake(node, "Mul", [x, gate])


def _gelu(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """x / 2 * (1 + erf(x / sqrt(2))), as exporters wrote it before it was an operator."""
    approximate = _attributes(node).get("approximate", b"none")
    if approximate != b"none":
        raise NotConvertible(f"Gelu (since opset 20) with attribute `approximate` = {approximate.decode()}")
    x = node.input[0]

    def name(part: str) -> str:
        return f"{node.output[0]}.{part}"

    for part, value in (("root", np.sqrt(2)), ("one", 1), ("half", 0.5)):
        yield _constant(node, name(part), np.array(value, np.float32))
    yield _remake(node, "Div", [x, name("root")], name("divided"))
    yield _remake(node, "Erf", [name("divided")], name("erf"))
    yield _remake(node, "Add", [name("erf"), name("one")], name("raised"))
    yield _remake(node, "Mul", [x, name("raised")], name("product"))
    yield _remake(node, "Mul", [name("product"), name("half")])


def _rms_normalization(node: NodeProto, scope: Scope) -> Iterator[NodeProto]:
    """Zhang and Sennrich, "Root Mean Square Layer Normalization": x / sqrt(mean(x * x) + epsilon) * scale."""
    axes = list(range(scope.axis_from_end(node), 0))
    epsilon = np.array(_attributes(node).get("epsilon", 1e-5), np.float32)
    x, scale = node.input

    def name(part: str) -> str:
        return f"{node.output[0]}.{part}"

    yield _remake(node, "Mul", [x, x], name("squared"))
    # Axes are an input since opset 18, and this is read as the newest opset that the onnx package has.
    yield _constant(node, name("axes"), np.array(axes, np.int64))
    yield _remake(node, "ReduceMean", [name("squared"), name("axes")], name("mean"))
    yield _constant(node, name("epsilon"), epsilon)
    yield _remake(node, "Add", [name("mean"), name("epsilon")], name("stable"))
    yield _remake(node, "Sqrt", [name("stable")], name("root"))
    yield _remake(node, "Div", [x, name("root")], name("normal"))
    yield _remake(node, "Mul", [name("normal"), scale])
