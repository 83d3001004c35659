"""Caffe's layers that only give the same numbers another shape or order; the batch stays in front."""

import math
from collections.abc import Sequence

from bmzoo.onnx_import.caffe_graph import CaffeGraph
from bmzoo.onnx_import.caffe_net import CaffeLayer, Shape, messages
from bmzoo.onnx_import.caffe_params import Params


def reshape(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    shape = graph.shapes[source]
    params = Params(layer, "reshape_param", "shape")
    axis = params.axis("axis", 0, len(shape) + 1, least=0)
    count = params.wholes("num_axes") or [-1]
    params.done()
    end = len(shape) if count[-1] == -1 else axis + count[-1]
    dims = [
        d
        for s in messages(layer.fields, "reshape_param")
        for one in messages(s, "shape")
        for d in one.get("dim", [])
    ]
    wanted = _filled(layer, shape, [*shape[:axis], *_dims(layer, shape[axis:], dims), *shape[end:]])
    graph.reshape(layer, layer.tops[0], source, wanted)


def _dims(layer: CaffeLayer, old: Shape, dims: Sequence[object]) -> list[int]:
    """Dimensions as said, 0 being what is there now."""
    made = []
    for i, dim in enumerate(dims):
        if not isinstance(dim, int) or dim < -1 or (dim == 0 and i >= len(old)):
            raise layer.wrong(f"reshape_param.shape: {dim} cannot be dimension {i}")
        made.append(old[i] if dim == 0 else dim)
    return made


def _filled(layer: CaffeLayer, shape: Shape, wanted: list[int]) -> Shape:
    """The shape with -1 worked out, its batch still in front."""
    total, known = math.prod(shape), math.prod(n for n in wanted if n != -1)
    made = tuple(total // known if n == -1 else n for n in wanted)
    if wanted.count(-1) > 1 or math.prod(made) != total:
        raise layer.wrong(f"cannot be reshaped: {listed([shape])} to {wanted}")
    if not made or made[0] != 1:
        raise layer.wrong(f"takes the batch apart: {listed([shape])} to {wanted}", "let the first dim be 0")
    return made


def flatten(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    shape = graph.shapes[source]
    params = Params(layer, "flatten_param")
    first, last = params.axis("axis", 1, len(shape)), params.axis("end_axis", -1, len(shape))
    params.done()
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    graph.reshape(layer, layer.tops[0], source, flat)


def permute(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    shape = graph.shapes[source]
    params = Params(layer, "permute_param")
    order = params.wholes("order")
    params.done()
    order += [i for i in range(len(shape)) if i not in order]
    if sorted(order) != list(range(len(shape))) or order[0] != 0:
        raise layer.wrong(f"permute_param.order: the dimensions after the batch in some order, not {order}")
    graph.put(layer, "Transpose", [source], tuple(shape[i] for i in order), perm=order)


def listed(shapes: list[Shape]) -> str:
    return " and ".join("x".join(map(str, shape)) for shape in shapes)
