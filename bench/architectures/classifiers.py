"""Small networks of one vector or one text: the extractor of DeepSORT, and LPRNet."""

from __future__ import annotations

import numpy as np
import onnx

from architectures.graph import Graph, Tensor


def deepsort(batch: int) -> onnx.ModelProto:
    """The re-identification network of DeepSORT's PyTorch port: a residual network of eight blocks, 128x64."""
    g = Graph("deepsort", batch)
    x = g.conv(g.input("images", 3, 128, 64), 64, act="Relu")
    x = g.pool(x, 3, 2, 1)
    for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        x = _residual(g, _residual(g, x, channels, stride), channels, 1)
    vector = g.reshape(g.mean(x), batch, 512)
    length = g.node("ReduceL2", [vector], (batch, 1), axes=[1], keepdims=1)
    return g.model([g.node("Div", [vector, length], vector.shape)])


def _residual(g: Graph, x: Tensor, channels: int, stride: int) -> Tensor:
    inner = g.conv(g.conv(x, channels, 3, stride, act="Relu"), channels)
    if stride != 1 or x.channels != channels:
        x = g.conv(x, channels, 1, stride, pad=0)
    return g.unary("Relu", g.add(x, inner))


def lprnet(batch: int, classes: int = 68) -> onnx.ModelProto:
    """LPRNet (Zherzdev and Gruzdev, 2018), 24x94, its pooling across channels as that of transposed maps."""
    g = Graph("lprnet", batch)
    first = g.conv(g.input("images", 3, 24, 94), 64, 3, pad=0, act="Relu")
    second = g.unary("Relu", _small_block(g, g.pool(first, 3, 1), 128))
    third = g.unary("Relu", _small_block(g, _pool_across(g, second, 2), 256))
    fourth = g.unary("Relu", _small_block(g, third, 256))
    x = g.conv(_pool_across(g, fourth, 4), 256, (1, 4), pad=0, act="Relu")
    last = g.conv(x, classes, (13, 1), pad=0, act="Relu")
    height, width = last.shape[2:]
    context = [_context(g, one, height, width) for one in (first, second, fourth, last)]
    x = g.conv(g.cat(context), classes, 1)
    return g.model([g.node("ReduceMean", [x], (batch, classes, width), axes=[2], keepdims=0)])


def _small_block(g: Graph, x: Tensor, channels: int) -> Tensor:
    inner = channels // 4
    x = g.conv(x, inner, 1, act="Relu")
    x = g.conv(x, inner, (3, 1), act="Relu")
    x = g.conv(x, inner, (1, 3), act="Relu")
    return g.conv(x, channels, 1)


def _pool_across(g: Graph, x: Tensor, step: int) -> Tensor:
    """Pooling 3x3 with stride (1, 2), then of every `step`-th channel, which are columns for that."""
    size = (x.shape[2] - 2, (x.shape[3] - 3) // 2 + 1)
    x = g.node("MaxPool", [x], (*x.shape[:2], *size), kernel_shape=[3, 3], strides=[1, 2])
    x = g.turn(x, 0, 3, 2, 1)
    shape = (*x.shape[:3], (x.shape[3] - 1) // step + 1)
    x = g.node("MaxPool", [x], shape, kernel_shape=[1, 1], strides=[1, step])
    return g.turn(x, 0, 3, 2, 1)


def _context(g: Graph, x: Tensor, height: int, width: int) -> Tensor:
    if x.shape[2:] != (height, width):
        down, across = x.shape[2] // height, x.shape[3] // width
        kernel = (x.shape[2] - (height - 1) * down, x.shape[3] - (width - 1) * across)
        x = g.node(
            "AveragePool",
            [x],
            (*x.shape[:2], height, width),
            kernel_shape=list(kernel),
            strides=[down, across],
        )
    square = g.node("Pow", [x, g.constant(np.array(2, np.float32))], x.shape)
    average = g.node("ReduceMean", [square], (1,) * len(x.shape), keepdims=1)
    return g.node("Div", [x, average], x.shape)
