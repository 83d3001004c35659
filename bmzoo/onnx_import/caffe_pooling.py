"""Caffe's pooling (pooling_layer.cpp): a last window is cut off where the picture ends."""

from typing import Any

import numpy as np

from bmzoo.onnx_import.caffe_graph import CaffeGraph
from bmzoo.onnx_import.caffe_net import CaffeLayer
from bmzoo.onnx_import.caffe_params import Params


def pooling(graph: CaffeGraph, layer: CaffeLayer) -> None:
    """[N, C, H, W] to ceil((H + 2 * pad - kernel) / stride) + 1 rows, less one that would begin in the padding."""
    (source,) = layer.ends()
    shape = graph.shapes[source]
    if len(shape) != 4:
        raise layer.wrong(f"its input has {len(shape)} dimensions, and 4 are expected")
    params = Params(layer, "pooling_param")
    method = params.word("pool", ("MAX", "AVE", "STOCHASTIC"))
    if method == "STOCHASTIC":
        raise layer.wrong("pooling_param.pool: STOCHASTIC cannot be converted")
    if params.flag("global_pooling", False):
        kind = "GlobalMaxPool" if method == "MAX" else "GlobalAveragePool"
        graph.put(layer, kind, [source], (*shape[:2], 1, 1))
        return
    kernel, stride = params.pair("kernel_size", "kernel", None), params.pair("stride", "stride", 1)
    pad = params.pair("pad", "pad", 0, least=0)
    up = params.word("round_mode", ("CEIL", "FLOOR")) == "CEIL" and params.flag("ceil_mode", True)
    params.done()
    sides = [_side(layer, *one, up) for one in zip(shape[2:], kernel, stride, pad, strict=True)]
    size, after = (tuple(side[i] for side in sides) for i in (0, 1))
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride}
    if method == "MAX":
        graph.put(layer, "MaxPool", [source], (*shape[:2], *size), pads=[*pad, *after], **attributes)
        return
    if after != pad and any(pad):
        # The mean counts the padding, but not what a window reaches beyond it: ONNX knows all of it or nothing.
        source = _padded(graph, layer, source, pad)
        pad, after = (0, 0), tuple(a - p for a, p in zip(after, pad, strict=True))
    attributes |= {"pads": [*pad, *after], "count_include_pad": int(after == pad)}
    graph.put(layer, "AveragePool", [source], (*shape[:2], *size), **attributes)


def _side(layer: CaffeLayer, length: int, kernel: int, stride: int, pad: int, up: bool) -> tuple[int, int]:
    """How many windows along one side, and the padding after it that ONNX needs for them."""
    room = length + 2 * pad - kernel
    if room < 0 or pad >= kernel:
        raise layer.wrong(f"a window of {kernel}, padded by {pad}, does not fit {length}")
    count = (-(-room // stride) if up else room // stride) + 1
    if pad and (count - 1) * stride >= length + pad:
        count -= 1
    after = max(pad, (count - 1) * stride + kernel - length - pad)
    if after >= kernel:
        raise layer.wrong(f"its last window would lie outside: {kernel} at steps of {stride} over {length}")
    return count, after


def _padded(graph: CaffeGraph, layer: CaffeLayer, source: str, pad: tuple[int, int]) -> str:
    name = f"{layer.tops[0]}.pad"
    shape = graph.shapes[source]
    amounts = graph.weight(f"{name}.pads", np.array([0, 0, *pad, 0, 0, *pad], np.int64))
    return graph.node(
        layer, "Pad", name, [source, amounts], (*shape[:2], shape[2] + 2 * pad[0], shape[3] + 2 * pad[1])
    )
