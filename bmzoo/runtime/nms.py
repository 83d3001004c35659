"""Greedy non-maximum suppression, by blocks of candidates, then by neighbours once the rest is thin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Candidates settled at once: overlaps inside a block cost its square, every block some Python overhead.
BLOCK = 96
# Neighbours a candidate, from which on a block, which is quick where it suppresses much, costs less than pairs.
CROWDED = 20


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
        thin = float(order.size) if _is_ordinary(rows, iou_threshold, side) else 0.0
        while order.size:
            if BLOCK < order.size <= thin:
                near = _Neighbours(rows, iou_threshold, side)
                thin = CROWDED * order.size**2 / max(1, near.count)  # the number of pairs goes with the square
                if order.size <= thin:
                    kept.append(order[_settle_pairs(rows, near.pairs(), iou_threshold, side)])
                    break
            winners = _settle(_overlaps(rows[:, :BLOCK, None], rows[:, None, :BLOCK], iou_threshold, side))
            kept.append(order[winners])
            beaten = _overlaps(rows[:, winners, None], rows[:, None, BLOCK:], iou_threshold, side).any(axis=0)
            order, rows = order[BLOCK:][~beaten], rows[:, BLOCK:][:, ~beaten]
    indices: NDArray[np.int64] = np.concatenate(kept).astype(np.int64)
    return indices


def _is_ordinary(rows: NDArray[np.float32], threshold: float, side: int) -> bool:
    """Whether boxes without common pixels cannot suppress each other: no empty, inverted or infinite ones."""
    sides = rows[2:4] - rows[:2] + side
    return bool(threshold >= 0 and (sides > 0).all() and (rows[4] > 1e-20).all() and (rows[4] < 1e20).all())


class _Neighbours:
    """Pairs of candidates near enough to suppress one another.

    Along either axis the IoU is at most (end of a - start of b) / length of a, for a the one that starts
    first. So b starts within (1 - threshold) of a's length, give or take what float32 rounds off.
    """

    def __init__(self, rows: NDArray[np.float32], threshold: float, side: int) -> None:
        starts = rows[:2]
        slack = 1e-5 * float(np.abs(rows[:4]).max())
        reaches = starts + (rows[2:4] - starts + side) * max(0.0, 1 - threshold) + slack
        # Crowds stand side by side: along x there are fewer pairs than along y.
        self._by = np.argsort(starts[0])
        (x, self._y), (reach_x, self._reach_y) = starts[:, self._by], reaches[:, self._by]
        self._behind = np.arange(1, len(x) + 1)
        self._counts = np.maximum(np.searchsorted(x, reach_x, side="right") - self._behind, 0)
        self._ends = np.cumsum(self._counts)
        self.count = int(self._ends[-1])  # along x alone

    def pairs(self) -> Tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The better and the worse one of each pair that is near along y, too."""
        second = np.arange(self.count) - np.repeat(self._ends - self._counts - self._behind, self._counts)
        near = self._y[second] <= np.repeat(self._reach_y, self._counts)
        near &= np.repeat(self._y, self._counts) <= self._reach_y[second]
        at = np.flatnonzero(near)
        a, b = self._by[np.searchsorted(self._ends, at, side="right")], self._by[second[at]]
        return np.minimum(a, b), np.maximum(a, b)


def _settle_pairs(
    rows: NDArray[np.float32], pairs: Tuple[NDArray[np.int64], NDArray[np.int64]], threshold: float, side: int
) -> NDArray[np.int64]:
    """The greedy choice, given the pairs (better, worse) that may overlap: indices.

    In rounds: what no better candidate threatens any more is kept, and what it overlaps is gone.
    """
    better, worse = pairs
    over = _overlaps(rows[:, better], rows[:, worse], threshold, side)
    better, worse = better[over], worse[over]
    alive = np.ones(rows.shape[1], np.bool_)
    while better.size:
        safe = np.ones(len(alive), np.bool_)
        safe[worse] = False
        alive[worse[safe[better]]] = False
        open_still = alive[better] & alive[worse]
        better, worse = better[open_still], worse[open_still]
    return np.flatnonzero(alive)


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
    """Which of `a` suppress which of `b`, both [5,...] and broadcast against each other."""
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
    """What intervals a1..a2 and b1..b2 have in common; in place, as memory sets the pace."""
    length: NDArray[np.float32] = np.minimum(a2, b2)
    length -= np.maximum(a1, b1)
    length += side
    return np.maximum(length, 0, out=length)
