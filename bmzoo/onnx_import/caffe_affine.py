"""Caffe's convolution, deconvolution and inner product, with BatchNorm and Scale folded into them."""

import math

import numpy as np
from numpy.typing import NDArray

from bmzoo.onnx_import.caffe_graph import CaffeGraph
from bmzoo.onnx_import.caffe_net import CaffeLayer, Shape, messages, texts
from bmzoo.onnx_import.caffe_params import Params

Array = NDArray[np.float64]
_AFFINE = ("BatchNorm", "Scale")
_MOST_BILINEAR = 1 << 24


def convolution(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """[N, C, H, W] to floor((H + 2 * pad - extent) / stride) + 1 rows, and columns alike."""
    settings = _Kernel(graph, layer)
    shape = (settings.outputs, settings.inputs // settings.group, *settings.kernel)
    kernel = layer.blob(0, shape).astype(np.float64)
    bias, scale, top = _folded(graph, layer, settings.bias, settings.outputs)
    sizes = ((n + 2 * p - e) // s + 1 for n, p, e, s in settings.sides(graph.shapes[settings.source]))
    settings.put(graph, layer, top, (kernel * scale[:, None, None, None], bias), tuple(sizes))


def deconvolution(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """[N, C, H, W] to stride * (H - 1) + extent - 2 * pad rows, and columns alike."""
    settings = _Kernel(graph, layer)
    group, a_group = settings.group, settings.outputs // settings.group
    shape = (settings.inputs, a_group, *settings.kernel)
    kernel = (layer.blob(0, shape) if layer.blobs else _bilinear(layer, shape)).astype(np.float64)
    bias, scale, top = _folded(graph, layer, settings.bias, settings.outputs)
    grouped = kernel.reshape(group, -1, a_group, *settings.kernel) * scale.reshape(group, 1, a_group, 1, 1)
    sizes = (s * (n - 1) + e - 2 * p for n, p, e, s in settings.sides(graph.shapes[settings.source]))
    settings.put(graph, layer, top, (grouped.reshape(shape), bias), tuple(sizes))


def inner_product(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """All values of a picture to `num_output` sums."""
    (source,) = layer.ends()
    params = Params(layer, "inner_product_param")
    outputs, transposed = params.whole("num_output"), params.flag("transpose", False)
    biased, axis = params.flag("bias_term", True), params.axis("axis", 1, len(graph.shapes[source]))
    params.done()
    if axis != 1:
        raise layer.wrong(f"inner_product_param.axis: only 1 can be converted, not {axis}")
    inputs = math.prod(graph.shapes[source])
    kernel = layer.blob(0, (inputs, outputs) if transposed else (outputs, inputs)).astype(np.float64)
    bias, scale, top = _folded(graph, layer, biased, outputs)
    if len(graph.shapes[source]) > 2:
        source = graph.reshape(layer, f"{top}.flat", source, (1, inputs))
    weights = (kernel.T if transposed else kernel) * scale[:, None]
    constants = (_float(graph, f"{top}.weight", weights), _float(graph, f"{top}.bias", bias))
    graph.node(layer, "Gemm", top, [source, *constants], (1, outputs), transB=1)


def affine(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """BatchNorm or Scale that stands behind no layer of weights."""
    (source,) = layer.ends()
    shape = graph.shapes[source]
    values = dict(zip(("scale", "shift"), _affine(layer, shape[1], len(shape)), strict=True))
    values |= {"mean": np.zeros(shape[1]), "var": np.ones(shape[1])}
    constants = [_float(graph, f"{layer.tops[0]}.{key}", value) for key, value in values.items()]
    graph.put(layer, "BatchNormalization", [source, *constants], shape, epsilon=0.0)


class _Kernel:
    """The settings of a convolution, forwards or transposed."""

    def __init__(self, graph: CaffeGraph, layer: CaffeLayer) -> None:
        (self.source,) = layer.ends()
        shape = graph.shapes[self.source]
        if len(shape) != 4:
            raise layer.wrong(f"its input has {len(shape)} dimensions, and only 4 can be converted")
        params = Params(layer, "convolution_param")
        self.inputs, self.outputs = shape[1], params.whole("num_output")
        self.group, self.bias = params.whole("group", 1), params.flag("bias_term", True)
        self.kernel = params.pair("kernel_size", "kernel", None)
        self.stride, self.pad = params.pair("stride", "stride", 1), params.pair("pad", "pad", 0, least=0)
        self.dilation = params.pair("dilation", "", 1)
        params.axis("axis", 1, 2)
        params.done()
        if self.inputs % self.group or self.outputs % self.group:
            raise layer.wrong(f"{self.inputs} and {self.outputs} channels do not divide into {self.group} groups")

    def sides(self, shape: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
        """Length, pad, extent of the kernel and stride of height and width."""
        extent = (d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        return list(zip(shape[2:], self.pad, extent, self.stride, strict=True))

    def put(self, graph: CaffeGraph, layer: CaffeLayer, top: str, values: tuple[Array, Array], size: Shape) -> None:
        """The node, with kernel and bias."""
        graph.node(
            layer,
            {"Convolution": "Conv", "Deconvolution": "ConvTranspose"}[layer.kind],
            top,
            [
                self.source,
                *(_float(graph, f"{top}.{n}", v) for n, v in zip(("weight", "bias"), values, strict=True)),
            ],
            (1, self.outputs, *size),
            dilations=self.dilation,
            group=self.group,
            kernel_shape=self.kernel,
            pads=[*self.pad, *self.pad],
            strides=self.stride,
        )


def _folded(graph: CaffeGraph, layer: CaffeLayer, biased: bool, channels: int) -> tuple[Array, Array, str]:
    """Bias and factor of each output channel with all BatchNorm and Scale that follow, and the tensor they give."""
    bias = layer.blob(1, (channels,)).astype(np.float64) if biased else np.zeros(channels)
    scale, last = np.ones(channels), layer
    while (follower := graph.only_reader(last.tops[0])) is not None and follower.kind in _AFFINE:
        follower.ends()
        factor, shift = _affine(follower, channels, 4)
        bias, scale, last = bias * factor + shift, scale * factor, follower
        graph.taken.add(follower)
    return bias, scale, last.tops[0]


def _affine(layer: CaffeLayer, channels: int, rank: int) -> tuple[Array, Array]:
    """What each channel is multiplied with, and what is added then."""
    return _normalization(layer, channels) if layer.kind == "BatchNorm" else _scaling(layer, channels, rank)


def _normalization(layer: CaffeLayer, channels: int) -> tuple[Array, Array]:
    params = Params(layer, "batch_norm_param", "moving_average_fraction")
    epsilon = params.number("eps", 1e-5)
    if not params.flag("use_global_stats", True):
        raise layer.wrong("batch_norm_param.use_global_stats: false normalizes by the batch", "set it to true")
    params.done()
    mean, var = (layer.blob(i, (channels,)).astype(np.float64) for i in (0, 1))
    counted = float(layer.blob(2, (1,))[0])
    counted = 1 / counted if counted else 0.0
    if (var * counted + epsilon <= 0).any():
        raise layer.wrong("a variance that is not positive", "fetch the caffemodel again")
    scale = 1 / np.sqrt(var * counted + epsilon)
    return scale, -mean * counted * scale


def _scaling(layer: CaffeLayer, channels: int, rank: int) -> tuple[Array, Array]:
    params = Params(layer, "scale_param")
    biased, axis = params.flag("bias_term", False), params.axis("axis", 1, rank, least=0)
    axes = params.wholes("num_axes") or [1]
    params.done()
    if (axis, axes[-1]) != (1, 1):
        raise layer.wrong(f"only a scale for each channel can be converted, not axis {axis}, num_axes {axes[-1]}")
    scale = layer.blob(0, (channels,)).astype(np.float64)
    return scale, layer.blob(1, (channels,)).astype(np.float64) if biased else np.zeros(channels)


def _bilinear(layer: CaffeLayer, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Caffe's filler for upsampling, which it also uses where a caffemodel holds no weights for the layer."""
    section = next(messages(layer.fields, "convolution_param"))
    fillers = [kind for one in messages(section, "weight_filler") for kind in texts(one, "type")]
    if fillers != ["bilinear"] or shape[2] != shape[3] or math.prod(shape) > _MOST_BILINEAR:
        raise layer.wrong("its weights are not in the caffemodel", "do prototxt and caffemodel belong together?")
    half = math.ceil(shape[3] / 2)
    centre = (2 * half - 1 - half % 2) / (2 * half)
    line = 1 - np.abs(np.arange(shape[3]) / half - centre)
    return np.broadcast_to(line[:, None] * line, shape)


def _float(graph: CaffeGraph, name: str, value: Array) -> str:
    return graph.weight(name, value.astype(np.float32))
