"""PP-YOLOE (Xu et al., 2022) of size s."""

from __future__ import annotations

import numpy as np
import onnx

from architectures.graph import Graph, Tensor
from architectures.yolo import silu


def ppyoloe_s(batch: int) -> onnx.ModelProto:
    """PP-YOLOE-s at 640x640, joined for inference: boxes by the picture's scale, scores of 80 classes."""
    g = Graph("ppyoloe_s", batch)
    x = g.input("image", 3, 640, 640)
    scale = g.input("scale_factor", 2)
    x = silu(g, silu(g, silu(g, x, 16, 3, 2), 16, 3), 32, 3)
    levels = []
    for channels, repeat in ((64, 1), (128, 2), (256, 2), (512, 1)):
        x = _stage(g, x, channels, repeat)
        levels.append(x)
    found = [_head(g, level) for level in _neck(g, levels[1:])]
    scores = g.cat([score for score, _ in found], axis=2)
    boxes = g.cat([box for _, box in found], axis=1)
    centre = g.constant(np.ones((1, boxes.shape[1], 2), np.float32))
    start = g.node("Sub", [centre, g.part(boxes, 0, 2, 2)], (*boxes.shape[:2], 2))
    boxes = g.scaled(g.cat([start, g.add(g.part(boxes, 2, 4, 2), centre)], axis=2), 8.0)
    both = g.reshape(g.cat([_swapped(g, scale), _swapped(g, scale)]), batch, 1, 4)
    return g.model([g.node("Div", [boxes, both], boxes.shape), scores])


def _swapped(g: Graph, x: Tensor) -> Tensor:
    return g.cat([g.part(x, 1, 2), g.part(x, 0, 1)])


def _block(g: Graph, x: Tensor, shortcut: bool) -> Tensor:
    y = silu(g, silu(g, x, x.channels, 3), x.channels, 3)
    return g.add(x, y) if shortcut else y


def _stage(g: Graph, x: Tensor, channels: int, repeat: int) -> Tensor:
    middle = (x.channels + channels) // 2
    x = silu(g, x, middle, 3, 2)
    main, other = silu(g, x, middle // 2), silu(g, x, middle // 2)
    for _ in range(repeat):
        main = _block(g, main, True)
    x = g.cat([other, main])
    gate = g.unary("HardSigmoid", g.conv(g.mean(x), middle, 1), alpha=1 / 6, beta=0.5)
    return silu(g, g.mul(x, gate), channels)


def _neck(g: Graph, levels: list[Tensor]) -> list[Tensor]:
    fine_to_coarse: list[Tensor] = []
    route: Tensor | None = None
    for level, channels in zip(reversed(levels), (384, 192, 96), strict=True):
        x = level if route is None else g.cat([route, level])
        x = _csp(g, x, channels, pooled=route is None)
        fine_to_coarse.insert(0, x)
        route = g.up(silu(g, x, channels // 2))
    found = [fine_to_coarse[0]]
    for level in fine_to_coarse[1:]:
        down = silu(g, found[-1], found[-1].channels, 3, 2)
        found.append(_csp(g, g.cat([down, level]), level.channels, pooled=False))
    return found


def _csp(g: Graph, x: Tensor, channels: int, pooled: bool) -> Tensor:
    half = channels // 2
    main, other = silu(g, x, half), silu(g, x, half)
    main = _block(g, main, False)
    if pooled:
        main = silu(g, g.cat([main, *(g.pool(main, side, 1, side // 2) for side in (5, 9, 13))]), half)
    return silu(g, g.cat([other, main]), channels)


def _head(g: Graph, x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (batch, 80, places) and distances (batch, places, 4) of one level."""
    average = g.mean(x)

    def stem() -> Tensor:
        gate = g.unary("Sigmoid", g.conv(average, x.channels, 1))
        return silu(g, g.mul(x, gate), x.channels)

    batch, places = x.shape[0], x.shape[2] * x.shape[3]
    scores = g.reshape(g.unary("Sigmoid", g.conv(g.add(stem(), x), 80)), batch, 80, places)
    spread = g.turn(g.reshape(g.conv(stem(), 68), batch, 4, 17, places), 0, 2, 3, 1)
    distance = g.conv(g.unary("Softmax", spread, axis=1), 1, 1)
    return scores, g.reshape(distance, batch, places, 4)
