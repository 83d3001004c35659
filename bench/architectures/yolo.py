"""YOLO v5, v8, v11 of size s: boxes, key points, masks. After the papers and the published configurations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from architectures.graph import Graph, Tensor

SIDE = 640
Block = Callable[[Tensor, int, int, bool], Tensor]


def silu(g: Graph, x: Tensor, channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
    """A convolution and SiLU."""
    return g.conv(x, channels, kernel, stride, act="silu")


def bottleneck(g: Graph, x: Tensor, shortcut: bool, inner: int, kernels: tuple[int, int] = (3, 3)) -> Tensor:
    y = silu(g, silu(g, x, inner, kernels[0]), x.channels, kernels[1])
    return g.add(x, y) if shortcut else y


def sppf(g: Graph, x: Tensor) -> Tensor:
    """Three poolings in a row, all of them kept."""
    parts = [silu(g, x, x.channels // 2)]
    for _ in range(3):
        parts.append(g.pool(parts[-1], 5, 1, 2))
    return silu(g, g.cat(parts), x.channels)


def c3(
    g: Graph, x: Tensor, channels: int, repeat: int, shortcut: bool, kernels: tuple[int, int] = (1, 3)
) -> Tensor:
    half = channels // 2
    y = silu(g, x, half)
    for _ in range(repeat):
        y = bottleneck(g, y, shortcut, half, kernels)
    return silu(g, g.cat([y, silu(g, x, half)]), channels)


def c2f(g: Graph, x: Tensor, channels: int, repeat: int, shortcut: bool) -> Tensor:
    half = channels // 2
    parts = list(g.halves(silu(g, x, channels)))
    for _ in range(repeat):
        parts.append(bottleneck(g, parts[-1], shortcut, half))
    return silu(g, g.cat(parts), channels)


def c3k2(g: Graph, x: Tensor, channels: int, deep: bool, expand: float = 0.5) -> Tensor:
    half = int(channels * expand)
    first, last = g.halves(silu(g, x, 2 * half))
    inner = c3(g, last, half, 2, True, (3, 3)) if deep else bottleneck(g, last, True, half // 2)
    return silu(g, g.cat([first, last, inner]), channels)


def c2psa(g: Graph, x: Tensor) -> Tensor:
    """Half of the channels attend to each other's places."""
    half = x.channels // 2
    kept, y = g.halves(silu(g, x, 2 * half))
    y = g.add(y, _places(g, y, half // 64))
    y = g.add(y, g.conv(silu(g, y, 2 * half), half, 1))
    return silu(g, g.cat([kept, y]), x.channels)


def _places(g: Graph, x: Tensor, heads: int) -> Tensor:
    batch, channels, high, wide = x.shape
    each = channels // heads
    mixed = g.reshape(g.conv(x, 2 * channels, 1), batch, heads, 2 * each, high * wide)
    query, key = g.part(mixed, 0, each // 2, 2), g.part(mixed, each // 2, each, 2)
    value = g.part(mixed, each, 2 * each, 2)
    scores = g.scaled(g.matmul(g.turn(query, 0, 1, 3, 2), key), (each // 2) ** -0.5)
    seen = g.matmul(value, g.turn(g.unary("Softmax", scores, axis=-1), 0, 1, 3, 2))
    seen = g.reshape(seen, batch, channels, high, wide)
    place = g.grouped(g.reshape(value, batch, channels, high, wide), channels, channels)
    return g.conv(g.add(seen, place), channels, 1)


def pyramid(g: Graph, levels: list[Tensor], block: Block) -> list[Tensor]:
    """Coarse to fine and back; `block(x, channels, place, top_down)`."""
    third, fourth, fifth = levels
    middle = block(g.cat([g.up(fifth), fourth]), fourth.channels, 0, True)
    fine = block(g.cat([g.up(middle), third]), third.channels, 1, True)
    down = silu(g, fine, fine.channels, 3, 2)
    middle = block(g.cat([down, middle]), fourth.channels, 2, False)
    down = silu(g, middle, middle.channels, 3, 2)
    return [fine, middle, block(g.cat([down, fifth]), fifth.channels, 3, False)]


def _v8(g: Graph) -> list[Tensor]:
    x = silu(g, silu(g, g.input("images", 3, SIDE, SIDE), 32, 3, 2), 64, 3, 2)
    x = c2f(g, x, 64, 1, True)
    levels = []
    for channels, repeat in ((128, 2), (256, 2), (512, 1)):
        x = c2f(g, silu(g, x, channels, 3, 2), channels, repeat, True)
        levels.append(x)
    levels[-1] = sppf(g, levels[-1])
    return pyramid(g, levels, lambda x, channels, _place, _down: c2f(g, x, channels, 1, False))


def _v11(g: Graph) -> list[Tensor]:
    x = silu(g, silu(g, g.input("images", 3, SIDE, SIDE), 32, 3, 2), 64, 3, 2)
    x = c3k2(g, x, 128, False, 0.25)
    x = third = c3k2(g, silu(g, x, 128, 3, 2), 256, False, 0.25)
    x = fourth = c3k2(g, silu(g, x, 256, 3, 2), 256, True)
    x = c3k2(g, silu(g, x, 512, 3, 2), 512, True)
    fifth = c2psa(g, sppf(g, x))
    widths = (256, 128, 256, 512)
    levels = [third, fourth, fifth]
    return pyramid(g, levels, lambda x, _channels, place, _down: c3k2(g, x, widths[place], place == 3))


def _branch(g: Graph, x: Tensor, inner: int, values: int, separable: bool = False, grouped: int = 1) -> Tensor:
    """A branch of the head for one level, as (batch, values, places)."""
    for groups in (1, grouped):
        if separable:
            x = silu(g, g.grouped(x, x.channels, x.channels, act="silu"), inner)
        else:
            x = g.grouped(x, inner, groups, act="silu")
    x = g.grouped(x, values, grouped, 1)
    return g.reshape(x, x.shape[0], values, -1)


def boxes(g: Graph, levels: list[Tensor], separable: bool = False, classes: int = 80, grouped: int = 1) -> Tensor:
    """Boxes from distributions of distances, and the scores of classes: (batch, 4 + classes, places)."""
    found = [_branch(g, level, 64, 64, grouped=grouped) for level in levels]
    inner = max(levels[0].channels, min(classes, 100)) if classes > 1 else levels[0].channels
    scores = [_branch(g, level, inner, classes, separable) for level in levels]
    joined = g.cat([g.cat([box, score]) for box, score in zip(found, scores, strict=True)], axis=2)
    box, score = g.part(joined, 0, 64), g.part(joined, 64, 64 + classes)
    batch, _, places = joined.shape
    spread = g.unary("Softmax", g.turn(g.reshape(box, batch, 4, 16, places), 0, 2, 1, 3), axis=1)
    distance = g.reshape(g.conv(spread, 1, 1), batch, 4, places)
    centre = g.constant(np.ones((1, 2, places), np.float32))
    first, last = g.part(distance, 0, 2), g.part(distance, 2, 4)
    start = g.node("Sub", [centre, first], first.shape)
    end = g.add(last, centre)
    size = g.node("Sub", [end, start], start.shape)
    stride = g.constant(np.full((1, 1, places), 8, np.float32))
    place = g.mul(g.cat([g.scaled(g.add(start, end), 0.5), size]), stride)
    return g.cat([place, g.unary("Sigmoid", score)])


def yolov8s(batch: int) -> onnx.ModelProto:
    """YOLOv8s, boxes of 80 classes."""
    g = Graph("yolov8s", batch)
    return g.model([boxes(g, _v8(g))])


def yolov8s_pose(batch: int) -> onnx.ModelProto:
    """YOLOv8s-pose: one class, 17 key points."""
    g = Graph("yolov8s_pose", batch)
    levels = _v8(g)
    found = boxes(g, levels, classes=1)
    marks = g.cat([_branch(g, level, 51, 51) for level in levels], axis=2)
    places = marks.shape[2]
    marks = g.reshape(marks, batch, 17, 3, places)
    grid, stride = (g.constant(np.ones((1, 1, n, places), np.float32)) for n in (2, 1))
    at = g.mul(g.add(g.scaled(g.part(marks, 0, 2, 2), 2.0), grid), stride)
    sure = g.unary("Sigmoid", g.part(marks, 2, 3, 2))
    return g.model([g.cat([found, g.reshape(g.cat([at, sure], axis=2), batch, 51, places)])])


def masks(g: Graph, levels: list[Tensor], found: Tensor, prototypes: int) -> list[Tensor]:
    """Boxes with coefficients of masks, and the masks that they mix."""
    inner = max(levels[0].channels // 4, 32)
    weights = g.cat([_branch(g, level, inner, 32) for level in levels], axis=2)
    x = silu(g, levels[0], prototypes, 3)
    kernel = g.drawn(prototypes, prototypes, 2, 2, fan=4 * prototypes)
    shape = (*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    x = g.node("ConvTranspose", [x, kernel], shape, kernel_shape=[2, 2], strides=[2, 2])
    return [g.cat([found, weights]), silu(g, silu(g, x, prototypes, 3), 32)]


def yolov8s_seg(batch: int) -> onnx.ModelProto:
    """YOLOv8s-seg: 80 classes, 32 masks of 160x160."""
    g = Graph("yolov8s_seg", batch)
    levels = _v8(g)
    return g.model(masks(g, levels, boxes(g, levels), 128))


def yolov11s(batch: int) -> onnx.ModelProto:
    """YOLO11s, boxes of 80 classes."""
    g = Graph("yolov11s", batch)
    return g.model([boxes(g, _v11(g), separable=True)])


def yolov5s(batch: int) -> onnx.ModelProto:
    """YOLOv5s, three outputs as the last convolutions give them."""
    g = Graph("yolov5s", batch)
    x = silu(g, g.conv(g.input("images", 3, SIDE, SIDE), 32, 6, 2, pad=2, act="silu"), 64, 3, 2)
    x = c3(g, x, 64, 1, True)
    levels = []
    for channels, repeat in ((128, 2), (256, 3), (512, 1)):
        x = c3(g, silu(g, x, channels, 3, 2), channels, repeat, True)
        levels.append(x)
    fifth = silu(g, sppf(g, levels[2]), 256)
    fourth = silu(g, c3(g, g.cat([g.up(fifth), levels[1]]), 256, 1, False), 128)
    fine = c3(g, g.cat([g.up(fourth), levels[0]]), 128, 1, False)
    middle = c3(g, g.cat([silu(g, fine, 128, 3, 2), fourth]), 256, 1, False)
    coarse = c3(g, g.cat([silu(g, middle, 256, 3, 2), fifth]), 512, 1, False)
    return g.model([g.conv(level, 255, 1) for level in (fine, middle, coarse)])
