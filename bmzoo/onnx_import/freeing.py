"""Models with a batch written into them, rewritten so that it is free: what exporters write down of the batch.

Only leading dimensions: those of inputs and outputs, of constants that Reshape, Expand, Slice and Resize are given,
and of constants joined to rows of the batch. Nothing here proves that the result is the same network: who calls it
compares outputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.onnx_ml_pb2 import ModelProto, NodeProto, ValueInfoProto

from bmzoo.onnx_import.cut import reads
from bmzoo.onnx_import.downgrade import drop_unread

FREE_BATCH = "batch"
_ALL = np.iinfo(np.int64).max
_BOTH_WAYS = ("Add", "Sub", "Mul", "Div", "Where", "Pow", "Max", "Min")


def with_leading(model: ModelProto, batch: int | None) -> ModelProto:
    """A copy whose inputs begin with this batch, free for None; shapes that follow from it are left out."""
    copy = ModelProto()
    copy.CopyFrom(model)
    weights = {tensor.name for tensor in copy.graph.initializer}
    inputs = [port for port in copy.graph.input if port.name not in weights]
    old = inputs[0].type.tensor_type.shape.dim[0]
    was = (old.dim_value, old.dim_param)
    for port in (*inputs, *copy.graph.output):
        _lead(port, was, batch)
    del copy.graph.value_info[:]
    return copy


def freed(model: ModelProto, batch: int) -> ModelProto:
    """A copy of a model that holds this batch, with a free one as far as its nodes are known."""
    baked = with_leading(model, batch)
    known = _Known(shape_inference.infer_shapes(baked, data_prop=True), batch)
    result = with_leading(model, None)
    del result.graph.node[:]
    for node in model.graph.node:
        result.graph.node.extend(_rewritten(node, known))
    drop_unread(result.graph)
    return result


class _Known:
    """Shapes at the batch that is written down, constants, and which tensors depend on an input's values."""

    def __init__(self, model: ModelProto, batch: int) -> None:
        graph, self.batch = model.graph, batch
        values = (*graph.input, *graph.value_info, *graph.output)
        self.shapes = {value.name: _sides(value) for value in values}
        self.constants: dict[str, NDArray[Any]] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.fed = {port.name for port in graph.input if port.name not in self.constants}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            if node.op_type not in ("Shape", "Size") and self.fed & set(reads(node)):
                self.fed |= set(node.output)
        self.shapes |= {name: value.shape for name, value in self.constants.items()}

    def integers(self, node: NodeProto, index: int) -> list[int] | None:
        value = self.constants.get(node.input[index]) if index < len(node.input) else None
        return None if value is None else [int(each) for each in value.flatten()]

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, 0 for a size that is not known; () where nothing is."""
        return self.shapes.get(name, ())


def _sides(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(max(d.dim_value, 0) for d in value.type.tensor_type.shape.dim)


def _lead(port: ValueInfoProto, was: tuple[int, str], batch: int | None) -> None:
    """Set the dimensions that were the batch: all of its symbol, or the first where it was a number or nameless."""
    for axis, size in enumerate(port.type.tensor_type.shape.dim):
        if (size.dim_value, size.dim_param) == was and (was[1] or axis == 0):
            if batch is None:
                size.dim_param = FREE_BATCH
            else:
                size.dim_value = batch


def _rewritten(node: NodeProto, known: _Known) -> list[NodeProto]:
    rules: Mapping[str, Callable[[NodeProto, _Known], Iterator[NodeProto]]] = {
        **{"Reshape": _reshape, "Expand": _expand, "Slice": _slice, "Resize": _resize, "Concat": _concat},
        **dict.fromkeys(_BOTH_WAYS, _same_rows),
    }
    rule = rules.get(node.op_type)
    if rule is None or node.domain not in ("", "ai.onnx"):
        return [node]
    copy = NodeProto()
    copy.CopyFrom(node)
    return [*rule(copy, known), copy]


def _reshape(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    wanted = known.integers(node, 1)
    if not wanted or node.input[0] not in known.fed or wanted[0] < 1 or wanted[0] % known.batch:
        return
    before, after = known.shape(node.input[0]), known.shape(node.output[0])
    copies = not any(a.name == "allowzero" and a.i for a in node.attribute)
    if copies and wanted[0] == known.batch and before[:1] == (known.batch,):
        yield from _constant(node, 1, [0, *wanted[1:]])
    elif -1 not in wanted:
        yield from _constant(node, 1, [-1, *wanted[1:]])
    elif len(after) == len(wanted) and all(after[1:]):
        yield from _constant(node, 1, [-1, *after[1:]])


def _expand(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    """1 keeps a batch that is there."""
    wanted = known.integers(node, 1)
    if wanted and wanted[0] == known.batch and node.input[0] in known.fed:
        yield from _constant(node, 1, [1, *wanted[1:]])


def _slice(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    if node.input[0] not in known.fed:
        return
    if len(node.input) == 1:
        _slice_by_attributes(node, known.batch)
        return
    starts, ends, axes, steps = (known.integers(node, index) for index in (1, 2, 3, 4))
    if starts and ends and (axes or len(node.input) < 4):
        place = _whole(starts, ends, axes or range(len(ends)), known.batch)
        if place is not None and (steps is None or steps[place] == 1):
            yield from _constant(node, 2, [*ends[:place], _ALL, *ends[place + 1 :]])


def _slice_by_attributes(node: NodeProto, batch: int) -> None:
    told = {attribute.name: attribute.ints for attribute in node.attribute}
    starts, ends = told["starts"], told["ends"]
    place = _whole(starts, ends, told.get("axes", range(len(ends))), batch)
    if place is not None:
        ends[place] = _ALL


def _whole(starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], batch: int) -> int | None:
    """Where bounds take all of a batch; None where they do not speak of it."""
    return next((i for i, axis in enumerate(axes) if axis == 0 and starts[i] == 0 and ends[i] == batch), None)


def _resize(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    """Sizes with the batch that the input has."""
    sizes = known.integers(node, 3)
    named = any(attribute.name == "axes" for attribute in node.attribute)
    if sizes and sizes[0] == known.batch and node.input[0] in known.fed and not named:
        name = f"{node.output[0]}.sizes"
        yield from _of_batch(node.input[0], name, sizes[1:])
        node.input[3] = name


def _concat(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    """Constants beside rows of the batch, as often as there are rows."""
    rows = next((name for name in node.input if name in known.fed), None)
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    if rows is None or axis in (0, -len(known.shape(rows))):
        return
    for index, name in enumerate(node.input):
        shape = known.shape(name)
        if name not in known.fed and shape[:1] == (known.batch,):
            once, sizes, output = (f"{node.output[0]}.{part}{index}" for part in ("once", "rows", "joined"))
            yield from _of_batch(rows, sizes, [1] * (len(shape) - 1))
            yield from _first_row(name, once)
            yield helper.make_node("Expand", [once, sizes], [output], name=output)
            node.input[index] = output


def _first_row(source: str, output: str) -> Iterator[NodeProto]:
    bounds = {f"{output}.{part}": value for part, value in (("start", 0), ("end", 1), ("axis", 0))}
    for name, value in bounds.items():
        yield _made(name, [value])
    yield helper.make_node("Slice", [source, *bounds], [output], name=output)


def _same_rows(node: NodeProto, known: _Known) -> Iterator[NodeProto]:
    """One row of a constant whose rows are alike."""
    rank = len(known.shape(node.output[0]))
    for index, name in enumerate(node.input):
        value = known.constants.get(name)
        if value is None or known.batch == 1 or value.ndim != rank or value.shape[:1] != (known.batch,):
            continue
        if (value == value[:1]).all():
            output = f"{node.output[0]}.row{index}"
            yield helper.make_node("Constant", [], [output], value=numpy_helper.from_array(value[:1], output))
            node.input[index] = output


def _of_batch(source: str, output: str, rest: Sequence[int]) -> Iterator[NodeProto]:
    """A shape: the number of rows of a tensor, then `rest`."""
    shape, first, tail = (f"{output}.{part}" for part in ("shape", "first", "rest"))
    yield helper.make_node("Shape", [source], [shape], name=shape)
    yield from _first_row(shape, first)
    yield _made(tail, rest)
    yield helper.make_node("Concat", [first, tail], [output], name=output, axis=0)


def _constant(node: NodeProto, index: int, values: Sequence[int]) -> Iterator[NodeProto]:
    """A new constant for one input of a node, and for no other's."""
    name = f"{node.output[0]}.of_batch{index}"
    yield _made(name, values)
    node.input[index] = name


def _made(name: str, values: Sequence[int]) -> NodeProto:
    value = numpy_helper.from_array(np.array(values, np.int64), name)
    return helper.make_node("Constant", [], [name], name=name, value=value)
