"""YOLOv9 (Wang et al., 2024): boxes by the small network, masks by the compact one."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from architectures.graph import Graph, Tensor
from architectures.yolo import SIDE, bottleneck, boxes, masks, silu

Down = Callable[[Graph, Tensor, int], Tensor]


def yolov9s(batch: int) -> onnx.ModelProto:
    """YOLOv9s, boxes of 80 classes."""
    g = Graph("yolov9s", batch)
    x = silu(g, silu(g, g.input("images", 3, SIDE, SIDE), 32, 3, 2), 64, 3, 2)
    levels, x = [], _aggregated(g, x, 64, 64, lambda y: silu(g, y, 32, 3))
    for channels in (128, 192, 256):
        x = _elan(g, _plain_down(g, x, channels), channels, channels, 3)
        levels.append(x)
    found = _pyramid(g, levels, (192, 128), 3, _plain_down, (96, 128))
    return g.model([boxes(g, found, grouped=4)])


def yolov9c_seg(batch: int) -> onnx.ModelProto:
    """YOLOv9c-seg: 80 classes, 32 masks of 160x160."""
    g = Graph("yolov9c_seg", batch)
    x = silu(g, silu(g, g.input("images", 3, SIDE, SIDE), 64, 3, 2), 128, 3, 2)
    levels, x = [], _elan(g, x, 256, 128, 1)
    for channels, inner in ((512, 256), (512, 512), (512, 512)):
        x = _elan(g, _split_down(g, x, x.channels), channels, inner, 1)
        levels.append(x)
    found = _pyramid(g, levels, (512, 256), 1, _split_down, (256, 512))
    return g.model(masks(g, found, boxes(g, found, grouped=4), 256))


def _pyramid(
    g: Graph, levels: list[Tensor], widths: tuple[int, int], repeat: int, down: Down, downs: tuple[int, int]
) -> list[Tensor]:
    third, fourth, fifth = levels
    wide, narrow = widths
    fifth = _pooled(g, fifth)
    middle = _elan(g, g.cat([g.up(fifth), fourth]), wide, wide, repeat)
    fine = _elan(g, g.cat([g.up(middle), third]), narrow, narrow, repeat)
    middle = _elan(g, g.cat([down(g, fine, downs[0]), middle]), wide, wide, repeat)
    last = fifth.channels
    return [fine, middle, _elan(g, g.cat([down(g, middle, downs[1]), fifth]), last, last, repeat)]


def _aggregated(g: Graph, x: Tensor, channels: int, inner: int, step: Callable[[Tensor], Tensor]) -> Tensor:
    """Both halves and two steps from the second one, joined."""
    parts = list(g.halves(silu(g, x, inner)))
    for _ in range(2):
        parts.append(step(parts[-1]))
    return silu(g, g.cat(parts), channels)


def _elan(g: Graph, x: Tensor, channels: int, inner: int, repeat: int) -> Tensor:
    half = inner // 2

    def step(y: Tensor) -> Tensor:
        main, other = silu(g, y, half // 2), silu(g, y, half // 2)
        for _ in range(repeat):
            main = bottleneck(g, main, True, half // 2)
        return silu(g, silu(g, g.cat([main, other]), half), half, 3)

    return _aggregated(g, x, channels, inner, step)


def _pooled(g: Graph, x: Tensor) -> Tensor:
    parts = [silu(g, x, x.channels // 2)]
    for _ in range(3):
        parts.append(g.pool(parts[-1], 5, 1, 2))
    return silu(g, g.cat(parts), x.channels)


def _plain_down(g: Graph, x: Tensor, channels: int) -> Tensor:
    return silu(g, g.pool(x, 2, 1, kind="AveragePool"), channels, 3, 2)


def _split_down(g: Graph, x: Tensor, channels: int) -> Tensor:
    first, second = g.halves(g.pool(x, 2, 1, kind="AveragePool"))
    half = channels // 2
    return g.cat([silu(g, first, half, 3, 2), silu(g, g.pool(second, 3, 2, 1), half)])
