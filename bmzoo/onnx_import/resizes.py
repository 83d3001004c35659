"""Resizes that TPU-MLIR 1.30.2 reads without an error, at other places than ONNX: written as products of matrices.

Tried: it takes every linear resize for one with the middles of pixels or with aligned corners, whatever the node
says; every cubic one for a linear one; of a nearest one only whether it is asymmetric, and never which way to
round; the ratio of the sizes for the scale; and rounds a size itself. Each axis of a resize is linear in the
pixels: a matrix [before, after] says all of it. onnxruntime says what ONNX's is, and `_read` here TPU-MLIR's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto, NodeProto, TensorProto

from bmzoo.errors import SessionError
from bmzoo.onnx_import.adapters import Scope
from bmzoo.onnx_import.downgrade import IR_VERSION, drop_unread
from bmzoo.onnx_import.newer import opset_of
from bmzoo.onnx_import.samples import Feeds
from bmzoo.runtime.engines.session import OnnxSession

Matrix = NDArray[np.floating[Any]]
# Weights nearer than this are the same, computed in another order.
_SAME = 1e-4
_PICTURE = 4  # dimensions: batch, channels, rows, columns


def rewritten_resizes(model: ModelProto, feeds: Feeds) -> ModelProto:
    """The model itself where all are read rightly, else an equivalent copy for inputs of this size, any batch."""
    resizes = [node for node in model.graph.node if node.op_type in ("Resize", "Upsample")]
    seen = _values(model, resizes, feeds) if resizes else {}
    misread = {n.output[0]: found for n in resizes if (found := _misread(n, seen, opset_of(model)))}
    if not misread:
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    for node in model.graph.node:
        matrices = misread.get(node.output[0]) if node.output else None
        copy.graph.node.extend(_products(node, *matrices) if matrices else [node])
    drop_unread(copy.graph)
    return copy


def _values(model: ModelProto, resizes: Sequence[NodeProto], feeds: Feeds) -> Mapping[str, NDArray[Any]]:
    """What resizes are given and give, by tensor; nothing where the model does not run (others say so)."""
    constants: dict[str, NDArray[Any]] = Scope(model).constants
    names = {name for node in resizes for name in (*node.input, *node.output) if name and name not in constants}
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in sorted(names))
    try:
        session = OnnxSession(copy.SerializeToString())
        found = session.run(feeds)
    except SessionError:
        return {}
    return constants | {port.name: found[port.name].astype(port.dtype) for port in session.outputs}


@dataclass(frozen=True)
class _Axis:
    """One axis of a resize: its sizes, and the scale where the node gives one."""

    before: int
    after: int
    scale: float | None


def _misread(node: NodeProto, seen: Mapping[str, NDArray[Any]], opset: int) -> tuple[Matrix, Matrix] | None:
    """The matrices [before, after] of rows and of columns where TPU-MLIR's are others, or it cannot read them."""
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if (
        not set(node.output) <= set(seen)
        or attributes.get("coordinate_transformation_mode") == b"tf_crop_and_resize"
    ):
        return None
    given, before, after = seen[node.input[0]], seen[node.input[0]].shape, seen[node.output[0]].shape
    if len(before) != _PICTURE or before[:2] != after[:2] or "axes" in attributes or given.dtype.kind != "f":
        return None
    scales = _scales(node, seen)
    axes = [_Axis(before[i], after[i], None if scales is None else float(scales[i])) for i in (2, 3)]
    meant = [_meant(node, axis, opset) for axis in axes]
    found = [_read(attributes, axis, _repeats(axes)) for axis in axes]
    if all(m.shape == f.shape and np.allclose(m, f, rtol=0, atol=_SAME) for m, f in zip(meant, found, strict=True)):
        return None
    return meant[0].astype(given.dtype), meant[1].astype(given.dtype)


def _scales(node: NodeProto, seen: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
    """Scales of the axes; None where it gives sizes."""
    index = 1 if _is_early(node) else 2
    found = seen[node.input[index]] if index < len(node.input) and node.input[index] else np.zeros(0, np.float32)
    return found.reshape(-1) if found.size else None


def _is_early(node: NodeProto) -> bool:
    """Whether it is of opset 10 or before: scales come second, and nothing after them."""
    return len(node.input) == 2  # noqa: PLR2004


def _meant(node: NodeProto, axis: _Axis, opset: int) -> Matrix:
    """What onnxruntime does to the rows of the unit matrix."""
    alone = NodeProto()
    alone.CopyFrom(node)
    given = [numpy_helper.from_array(value, f"given{i}") for i, value in enumerate(_given(node, axis))]
    alone.input[:] = ["x", *(weight.name for weight in given)]
    alone.output[:] = ["y"]
    shape = [1, 1, axis.before, axis.before]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, each) for name, each in (("x", shape), ("y", None))
    )
    graph = helper.make_graph([alone], "axis", [x], [y], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    unit = np.eye(axis.before, dtype=np.float32).reshape(shape)
    rows = OnnxSession(model.SerializeToString()).run({"x": unit})["y"][0, 0]
    return np.ascontiguousarray(rows.T)


def _given(node: NodeProto, axis: _Axis) -> list[NDArray[Any]]:
    """Its inputs after the picture, where all axes but the rows stay as they are."""
    empty = np.zeros(0, np.float32)
    if axis.scale is None:
        return [empty, empty, np.array([1, 1, axis.after, axis.before], np.int64)]
    scales = np.array([1, 1, axis.scale, 1], np.float32)
    return [scales] if _is_early(node) else [empty, scales]


def _repeats(axes: Sequence[_Axis]) -> bool:
    """Whether it repeats pixels, as often in both directions, which is an operator of its own."""
    factors = {axis.after / axis.before for axis in axes}
    return len(factors) == 1 and all(factor.is_integer() for factor in factors)


def _read(attributes: Mapping[str, Any], axis: _Axis, repeats: bool) -> Matrix:
    """What TPU-MLIR computes, from trials of all modes."""
    size = axis.after if axis.scale is None else int(axis.before * axis.scale)
    places, mode = np.arange(size), attributes.get("coordinate_transformation_mode", b"half_pixel")
    aligned = places * ((axis.before - 1) / max(size - 1, 1))
    if attributes.get("mode", b"nearest") != b"nearest":
        middles = (places + 0.5) * axis.before / max(size, 1) - 0.5
        return _between(aligned if mode == b"align_corners" else middles, axis.before)
    if repeats or mode == b"asymmetric":
        return _picked(places * axis.before // max(size, 1), axis.before)
    return _picked(np.floor(aligned + 0.5).astype(np.int64), axis.before)


def _picked(places: NDArray[np.int64], before: int) -> Matrix:
    return np.eye(before, dtype=np.float32)[:, np.clip(places, 0, before - 1)]


def _between(places: NDArray[np.float64], before: int) -> Matrix:
    inside = np.clip(places, 0, before - 1)
    distance = np.abs(np.arange(before)[:, None] - inside[None])
    return np.maximum(0, 1 - distance).astype(np.float32)


def _products(node: NodeProto, rows: Matrix, columns: Matrix) -> Iterator[NodeProto]:
    """Rows, then columns, each as the last axis: there the matrix is a weight, whatever the batch is."""

    def named(part: str) -> str:
        return f"{node.output[0]}.{part}"

    def make(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:  # noqa: ANN401
        return helper.make_node(kind, inputs, [output], name=output, **attributes)

    for part, matrix in (("rows", rows), ("columns", columns)):
        yield make("Constant", [], named(part), value=numpy_helper.from_array(matrix, named(part)))
    yield make("Transpose", [node.input[0]], named("turned"), perm=[0, 1, 3, 2])
    yield make("MatMul", [named("turned"), named("rows")], named("high"))
    yield make("Transpose", [named("high")], named("back"), perm=[0, 1, 3, 2])
    yield make("MatMul", [named("back"), named("columns")], node.output[0])
