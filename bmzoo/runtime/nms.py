"""Greedy non-maximum suppression, a block of candidates at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Candidates settled at once: overlaps inside a block cost its square, every block some Python overhead.
BLOCK = 64


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_threshold: float, plus_one: bool = True
) -> NDArray[np.int64]:
    """Indices kept, int64, best score first; of equal scores the lower index is first.

    `boxes` [n,4] xyxy, `scores` [n]. A candidate stays when its IoU with every better one kept is at most
    `iou_threshold`; an IoU that is not a number (0/0, infinite boxes) counts as overlap, as in the plain loop
    of the published samples. `plus_one` counts pixels: a side is x2 - x1 + 1.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    side = 1 if plus_one else 0
    kept = [order[:0]]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        rows = _rows(np.asarray(boxes).reshape(-1, 4)[order], side)
        while order.size:
            winners = _settle(_overlaps(rows[:, :BLOCK], rows[:, :BLOCK], iou_threshold, side))
            kept.append(order[winners])
            free = ~_overlaps(rows[:, winners], rows[:, BLOCK:], iou_threshold, side).any(axis=0)
            order, rows = order[BLOCK:][free], rows[:, BLOCK:][:, free]
    indices: NDArray[np.int64] = np.concatenate(kept).astype(np.int64)
    return indices


def _rows(boxes: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """x1, y1, x2, y2 and area as rows, [5,n]: columns of [n,4] would be read in strides."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([x1, y1, x2, y2, (x2 - x1 + side) * (y2 - y1 + side)])


def _settle(overlaps: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The greedy choice among candidates sorted by score, given who overlaps whom: bool [n,n] -> indices."""
    alive = np.ones(len(overlaps), np.bool_)
    for i in range(len(overlaps)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return np.flatnonzero(alive)


def _overlaps(a: NDArray[np.float32], b: NDArray[np.float32], threshold: float, side: int) -> NDArray[np.bool_]:
    """Which of `a` [5,m] suppress which of `b` [5,n]: bool [m,n]."""
    a = a[:, :, None]
    inter = _lengths(a[0], a[2], b[0], b[2], side)
    inter *= _lengths(a[1], a[3], b[1], b[3], side)
    union = a[4] + b[4]
    union -= inter
    inter /= union
    suppressed: NDArray[np.bool_] = ~(inter <= threshold)
    return suppressed


def _lengths(
    a1: NDArray[np.float32],
    a2: NDArray[np.float32],
    b1: NDArray[np.float32],
    b2: NDArray[np.float32],
    side: int,
) -> NDArray[np.float32]:
    """What intervals a1..a2 [m,1] and b1..b2 [n] have in common, [m,n]; in place, as memory sets the pace."""
    length: NDArray[np.float32] = np.minimum(a2, b2)
    length -= np.maximum(a1, b1)
    length += side
    return np.maximum(length, 0, out=length)
