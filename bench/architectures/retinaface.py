"""RetinaFace on MobileNet v1 of a quarter width."""

from __future__ import annotations

import onnx

from architectures.graph import Graph, Tensor

STEPS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))


def retinaface(batch: int) -> onnx.ModelProto:
    """RetinaFace (Deng et al., 2019), MobileNet 0.25, 640x640: boxes, scores, landmarks of 16800 anchors."""
    g = Graph("retinaface", batch)
    x = g.conv(g.input("images", 3, 640, 640), 8, 3, 2, act="leaky0.1")
    levels = []
    for index, (channels, stride) in enumerate(STEPS):
        x = g.grouped(x, x.channels, x.channels, 3, stride, act="leaky0.1")
        x = g.conv(x, channels, 1, act="leaky0.1")
        levels += [x] if index in (4, 10, 12) else []
    fine, middle, coarse = (g.conv(level, 64, 1, act="leaky0.1") for level in levels)
    middle = g.conv(g.add(middle, g.up(coarse)), 64, act="leaky0.1")
    fine = g.conv(g.add(fine, g.up(middle)), 64, act="leaky0.1")
    features = [_context(g, level) for level in (fine, middle, coarse)]
    boxes, scores, marks = (g.cat([_head(g, f, n) for f in features]) for n in (4, 2, 10))
    return g.model([boxes, g.unary("Softmax", scores, axis=-1), marks])


def _context(g: Graph, x: Tensor) -> Tensor:
    wide = g.conv(x, 32)
    inner = g.conv(x, 16, act="leaky0.1")
    middle = g.conv(inner, 16)
    small = g.conv(g.conv(inner, 16, act="leaky0.1"), 16)
    return g.unary("Relu", g.cat([wide, middle, small]))


def _head(g: Graph, x: Tensor, values: int) -> Tensor:
    x = g.turn(g.conv(x, 2 * values, 1), 0, 2, 3, 1)
    return g.reshape(x, x.shape[0], -1, values)
