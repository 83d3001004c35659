"""Caffe's layers without weights of a kernel, as ONNX: one function each, and the table of all that are known."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from bmzoo.onnx_import import caffe_affine, caffe_shapes
from bmzoo.onnx_import.caffe_graph import CaffeGraph
from bmzoo.onnx_import.caffe_net import CaffeLayer
from bmzoo.onnx_import.caffe_params import Params
from bmzoo.onnx_import.caffe_pooling import pooling
from bmzoo.onnx_import.caffe_shapes import listed

Convert = Callable[[CaffeGraph, CaffeLayer], None]


def _as_it_is(graph: CaffeGraph, layer: CaffeLayer) -> None:
    if len(layer.bottoms) != 1:
        raise layer.wrong(f"{len(layer.bottoms)} bottoms, where 1 is expected")
    graph.same(layer)


def _nothing(_graph: CaffeGraph, _layer: CaffeLayer) -> None:
    """Silence: reads what nobody else reads."""


def _relu(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    params = Params(layer, "relu_param")
    slope = params.number("negative_slope", 0.0)
    params.done()
    if slope:
        graph.put(layer, "LeakyRelu", [source], graph.shapes[source], alpha=slope)
    else:
        graph.put(layer, "Relu", [source], graph.shapes[source])


def _prelu(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    shape = graph.shapes[source]
    params = Params(layer, "prelu_param")
    channels = 1 if params.flag("channel_shared", False) else shape[1]
    params.done()
    slope = layer.blob(0, (channels,)).reshape(channels, *[1] * (len(shape) - 2))
    graph.put(layer, "PRelu", [source, graph.weight(f"{layer.tops[0]}.slope", slope)], shape)


def _plain(kind: str) -> Convert:
    def convert(graph: CaffeGraph, layer: CaffeLayer) -> None:
        (source,) = layer.ends()
        graph.put(layer, kind, [source], graph.shapes[source])

    return convert


def _lrn(graph: CaffeGraph, layer: CaffeLayer) -> None:
    (source,) = layer.ends()
    params = Params(layer, "lrn_param")
    size, alpha, beta = params.whole("local_size", 5), params.number("alpha", 1.0), params.number("beta", 0.75)
    bias, region = params.number("k", 1.0), params.word("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL"))
    params.done()
    if region != "ACROSS_CHANNELS" or size % 2 == 0:
        raise layer.wrong("lrn_param: only an odd local_size, across channels, can be converted")
    graph.put(layer, "LRN", [source], graph.shapes[source], size=size, alpha=alpha, beta=beta, bias=bias)


def _eltwise(graph: CaffeGraph, layer: CaffeLayer) -> None:
    params = Params(layer, "eltwise_param", "stable_prod_grad")
    kind = {"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[params.word("operation", ("PROD", "SUM", "MAX"), "SUM")]
    coefficients = params.numbers("coeff")
    params.done()
    count, shape = len(layer.bottoms), graph.shapes[layer.bottoms[0]] if layer.bottoms else ()
    if count < 2 or len(layer.tops) != 1 or any(graph.shapes[b] != shape for b in layer.bottoms):
        raise layer.wrong("two or more inputs of one shape are expected")
    if coefficients and (kind != "Add" or len(coefficients) != count):
        raise layer.wrong("eltwise_param.coeff: one for each input of a sum is expected")
    top = layer.tops[0]
    terms = [_times(graph, layer, i, factor) for i, factor in enumerate(coefficients or [1.0] * count)]
    total = terms[0]
    for i, term in enumerate(terms[1:], 2):
        total = graph.node(layer, kind, top if i == count else f"{top}.{i}", [total, term], shape)


def _times(graph: CaffeGraph, layer: CaffeLayer, index: int, factor: float) -> str:
    source = layer.bottoms[index]
    if factor == 1:
        return source
    name = f"{layer.tops[0]}.times{index}"
    value = graph.weight(f"{name}.coeff", np.array(factor, np.float32).reshape(1))
    return graph.node(layer, "Mul", name, [source, value], graph.shapes[source])


def _concat(graph: CaffeGraph, layer: CaffeLayer) -> None:
    if not layer.bottoms or len(layer.tops) != 1:
        raise layer.wrong("one or more inputs and one output are expected")
    shapes = [graph.shapes[bottom] for bottom in layer.bottoms]
    params = Params(layer, "concat_param")
    axis = params.axis("concat_dim", params.axis("axis", 1, len(shapes[0])), len(shapes[0]))
    params.done()
    if len({(shape[:axis], shape[axis + 1 :]) for shape in shapes}) != 1:
        raise layer.wrong(f"inputs of shapes that do not fit along axis {axis}: {listed(shapes)}")
    total = sum(shape[axis] for shape in shapes)
    graph.put(layer, "Concat", layer.bottoms, (*shapes[0][:axis], total, *shapes[0][axis + 1 :]), axis=axis)


def _slice(graph: CaffeGraph, layer: CaffeLayer) -> None:
    if len(layer.bottoms) != 1 or not layer.tops:
        raise layer.wrong("one input is expected")
    source, count = layer.bottoms[0], len(layer.tops)
    shape = graph.shapes[source]
    params = Params(layer, "slice_param")
    axis = params.axis("slice_dim", params.axis("axis", 1, len(shape)), len(shape))
    points = params.wholes("slice_point")
    params.done()
    if not points and shape[axis] % count == 0:
        points = [shape[axis] // count * i for i in range(1, count)]
    bounds = [0, *points, shape[axis]]
    if len(bounds) != count + 1 or any(one >= other for one, other in pairwise(bounds)):
        raise layer.wrong(f"slice_param: {shape[axis]} values do not divide into {count} by slice_point {points}")
    for top, ends in zip(layer.tops, pairwise(bounds), strict=True):
        graph.slice(layer, top, source, {axis: ends})


def _crop(graph: CaffeGraph, layer: CaffeLayer) -> None:
    source, reference = layer.ends(2)
    shape, wanted = graph.shapes[source], graph.shapes[reference]
    params = Params(layer, "crop_param")
    axis, offsets = params.axis("axis", 2, len(shape)), params.wholes("offset") or [0]
    params.done()
    cropped = range(axis, len(shape))
    if len(shape) != len(wanted) or len(offsets) not in (1, len(cropped)):
        raise layer.wrong(f"crop_param: {len(offsets)} offsets, and shapes {listed([shape, wanted])}")
    starts = dict(zip(cropped, offsets * len(cropped) if len(offsets) == 1 else offsets, strict=True))
    if any(start < 0 or start + wanted[i] > shape[i] for i, start in starts.items()):
        raise layer.wrong(f"cannot be cropped at {offsets}: {listed([shape, wanted])}")
    if all(shape[i] == wanted[i] for i in cropped):
        graph.same(layer)
        return
    graph.slice(layer, layer.tops[0], source, {i: (start, start + wanted[i]) for i, start in starts.items()})


def _softmax(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """Along one axis. ONNX takes all axes from there on together until opset 12, so it is brought to the end."""
    (source,) = layer.ends()
    shape, top = graph.shapes[source], layer.tops[0]
    params = Params(layer, "softmax_param")
    axis = params.axis("axis", 1, len(shape))
    params.done()
    if math.prod(shape[axis + 1 :]) == 1:
        graph.put(layer, "Softmax", [source], shape, axis=axis)
        return
    last = len(shape) - 1
    order = [i for i in range(len(shape)) if i != axis] + [axis]
    turned = tuple(shape[i] for i in order)
    graph.node(layer, "Transpose", f"{top}.last", [source], turned, perm=order)
    graph.node(layer, "Softmax", f"{top}.softmax", [f"{top}.last"], turned, axis=last)
    graph.put(layer, "Transpose", [f"{top}.softmax"], shape, perm=[order.index(i) for i in range(len(shape))])


CONVERSIONS: Mapping[str, Convert] = {
    "BatchNorm": caffe_affine.affine,
    "Concat": _concat,
    "Convolution": caffe_affine.convolution,
    "Crop": _crop,
    "Deconvolution": caffe_affine.deconvolution,
    "Dropout": _as_it_is,
    "Eltwise": _eltwise,
    "Flatten": caffe_shapes.flatten,
    "InnerProduct": caffe_affine.inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Permute": caffe_shapes.permute,
    "Pooling": pooling,
    "ReLU": _relu,
    "Reshape": caffe_shapes.reshape,
    "Scale": caffe_affine.affine,
    "Sigmoid": _plain("Sigmoid"),
    "Silence": _nothing,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _as_it_is,
    "TanH": _plain("Tanh"),
}
