"""YOLOX-s (Ge et al., 2021) and YOLOv3 on DarkNet-53 (Redmon and Farhadi, 2018)."""

from __future__ import annotations

import onnx

from architectures.graph import Graph, Tensor
from architectures.yolo import SIDE, silu


def yolox_s(batch: int) -> onnx.ModelProto:
    """YOLOX-s at 640x640: (batch, 8400, 85), not decoded."""
    g = Graph("yolox_s", batch)
    levels = _backbone(g, g.input("images", 3, SIDE, SIDE))
    fifth = silu(g, levels[2], 256)
    middle = _csp(g, g.cat([g.up(fifth), levels[1]]), 256, 1, False)
    fourth = silu(g, middle, 128)
    fine = _csp(g, g.cat([g.up(fourth), levels[0]]), 128, 1, False)
    middle = _csp(g, g.cat([silu(g, fine, 128, 3, 2), fourth]), 256, 1, False)
    coarse = _csp(g, g.cat([silu(g, middle, 256, 3, 2), fifth]), 512, 1, False)
    found = g.cat([_head(g, level) for level in (fine, middle, coarse)], axis=2)
    return g.model([g.turn(found, 0, 2, 1)])


def _backbone(g: Graph, x: Tensor) -> list[Tensor]:
    corners = [g.part(g.part(x, row, SIDE, 2, 2), column, SIDE, 3, 2) for column in (0, 1) for row in (0, 1)]
    x = silu(g, g.cat(corners), 32, 3)
    levels = []
    for channels, repeat in ((64, 1), (128, 3), (256, 3)):
        x = _csp(g, silu(g, x, channels, 3, 2), channels, repeat, True)
        levels.append(x)
    x = silu(g, silu(g, x, 512, 3, 2), 256)
    x = silu(g, g.cat([x, *(g.pool(x, side, 1, side // 2) for side in (5, 9, 13))]), 512)
    return [*levels[1:], _csp(g, x, 512, 1, False)]


def _csp(g: Graph, x: Tensor, channels: int, repeat: int, shortcut: bool) -> Tensor:
    half = channels // 2
    y, other = silu(g, x, half), silu(g, x, half)
    for _ in range(repeat):
        inner = silu(g, silu(g, y, half), half, 3)
        y = g.add(inner, y) if shortcut else inner
    return silu(g, g.cat([y, other]), channels)


def _head(g: Graph, x: Tensor) -> Tensor:
    x = silu(g, x, 128)
    scores = silu(g, silu(g, x, 128, 3), 128, 3)
    places = silu(g, silu(g, x, 128, 3), 128, 3)
    box, sure = g.conv(places, 4, 1), g.unary("Sigmoid", g.conv(places, 1, 1))
    found = g.cat([box, sure, g.unary("Sigmoid", g.conv(scores, 80, 1))])
    return g.reshape(found, found.shape[0], 85, -1)


def yolov3(batch: int) -> onnx.ModelProto:
    """YOLOv3 on DarkNet-53 at 608x608, three outputs as the last convolutions give them."""
    g = Graph("yolov3", batch)
    x = g.conv(g.input("images", 3, 608, 608), 32, act="leaky0.1")
    levels = []
    for channels, repeat in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = g.conv(x, channels, 3, 2, act="leaky0.1")
        for _ in range(repeat):
            inner = g.conv(x, channels // 2, 1, act="leaky0.1")
            x = g.add(x, g.conv(inner, channels, act="leaky0.1"))
        levels.append(x)
    outputs, route = [], None
    for level, channels in zip(levels[:1:-1], (512, 256, 128), strict=True):
        y = level if route is None else g.cat([g.up(g.conv(route, channels, 1, act="leaky0.1")), level])
        for _ in range(2):
            y = g.conv(g.conv(y, channels, 1, act="leaky0.1"), 2 * channels, act="leaky0.1")
        route = g.conv(y, channels, 1, act="leaky0.1")
        outputs.append(g.conv(g.conv(route, 2 * channels, act="leaky0.1"), 255, 1))
    return g.model(outputs)
