"""Networks on VGG's plain convolutions: P2PNet and SuperPoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from architectures.graph import Graph, Tensor


def p2pnet(batch: int, points: int = 4) -> onnx.ModelProto:
    """P2PNet (Song et al., 2021) on VGG-16: points and scores at stride 8, 512x512."""
    g = Graph("p2pnet", batch)
    x = _plain(g, g.input("images", 3, 512, 512), (64, 64, 0, 128, 128))
    second = _plain(g, x, (0, 256, 256, 256))
    third = _plain(g, second, (0, 512, 512, 512))
    fourth = _plain(g, third, (0, 512, 512, 512))
    coarse = g.up(g.conv(fourth, 256, 1))
    features = g.conv(g.add(g.conv(third, 256, 1), coarse), 256)
    shifts = g.scaled(_head(g, features, points), 100.0)
    count = shifts.shape[1]
    grid = g.drawn(1, count, 2, fan=2)
    return g.model([_head(g, features, points), g.add(shifts, grid)])


def _plain(g: Graph, x: Tensor, widths: Sequence[int]) -> Tensor:
    """Convolutions of these widths; 0 halves the size."""
    for width in widths:
        x = g.conv(x, width, act="Relu") if width else g.pool(x, 2, 2)
    return x


def _head(g: Graph, x: Tensor, points: int) -> Tensor:
    x = g.conv(g.conv(x, 256, act="Relu"), 256, act="Relu")
    x = g.conv(x, 2 * points)
    return g.reshape(g.turn(x, 0, 2, 3, 1), x.shape[0], -1, 2)


def superpoint(batch: int) -> onnx.ModelProto:
    """SuperPoint (DeTone et al., 2018), 360x640, with the maxima of its scores by pooling."""
    g = Graph("superpoint", batch)
    x = _plain(g, g.input("image", 1, 360, 640), (64, 64, 0, 64, 64, 0, 128, 128, 0, 128, 128))
    scores = g.conv(g.conv(x, 256, act="Relu"), 65, 1)
    scores = g.part(g.unary("Softmax", scores, axis=1), 0, 64)
    high, wide = scores.shape[2:]
    scores = g.reshape(g.turn(scores, 0, 2, 3, 1), batch, high, wide, 8, 8)
    scores = g.reshape(g.turn(scores, 0, 1, 3, 2, 4), batch, 1, 8 * high, 8 * wide)
    descriptors = g.conv(g.conv(x, 256, act="Relu"), 256, 1)
    length = g.node("ReduceL2", [descriptors], (batch, 1, high, wide), axes=[1], keepdims=1)
    return g.model([_maxima(g, scores), g.node("Div", [descriptors, length], descriptors.shape)])


def _maxima(g: Graph, scores: Tensor, radius: int = 4, rounds: int = 2) -> Tensor:
    """Scores that are the largest around them; those beside one are looked at again without it."""
    zeros = g.scaled(scores, 0.0)
    peak = _equal(g, scores, g.pool(scores, 2 * radius + 1, 1, radius))
    for _ in range(rounds):
        near = g.pool(peak, 2 * radius + 1, 1, radius)
        left = g.mul(scores, g.add(g.scaled(near, -1.0), g.constant(_one())))
        new = _equal(g, left, g.pool(left, 2 * radius + 1, 1, radius))
        peak = g.node("Max", [peak, g.mul(new, g.add(g.scaled(near, -1.0), g.constant(_one())))], peak.shape)
    return g.add(zeros, g.mul(scores, peak))


def _one() -> npt.NDArray[np.float32]:
    return np.array(1.0, np.float32)


def _equal(g: Graph, a: Tensor, b: Tensor) -> Tensor:
    return g.node("Cast", [g.node("Equal", [a, b], a.shape)], a.shape, to=onnx.TensorProto.FLOAT)
