"""Greedy non-maximum suppression, exact and without a loop over candidates.

In a crowd most candidates have a better one so near that a hash of place and size finds it; they leave first.
What remains is thin, and is settled by the few pairs that are near enough to overlap. What is too thick even for
that is worked off from the best score down, block by block.

`cv2.dnn.NMSBoxes` would be shorter, and quicker below about 500 candidates, but it compares every candidate with
every box kept: suppression takes 15 times as long where 1301 of 1714 stay (bench/decode.json), and all of decoding
8 times. It also rounds overlaps near the threshold otherwise than the published samples, and drops scores of 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Row = NDArray[np.float32]
    _Rows = Union[_Row, Sequence[_Row]]  # x1, y1, x2, y2, area
    _Pairs = Tuple[NDArray[np.int64], NDArray[np.int64]]  # the better ones and the worse ones

# Candidates settled at once: overlaps inside a block cost its square.
BLOCK = 96
# Pairs are looked into while there are no more than n * (CROWDED + n / 40) of n candidates; from there on blocks,
# which are quick where they suppress much, cost less. More than MOST_PAIRS would take more than about 100 MB.
CROWDED, MOST_PAIRS = 20, 1 << 21
# Of the hash, a power of two. Candidates that share a bucket by chance cost time, nothing else.
BUCKETS = 1 << 14


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_threshold: float, plus_one: bool = True
) -> NDArray[np.int64]:
    """Indices kept, int64, best score first; of equal scores the lower index is first.

    `boxes` [n,4] xyxy, `scores` [n]. A candidate stays when its IoU with every better one kept is at most
    `iou_threshold`; an IoU that is not a number (0/0, infinite boxes) counts as overlap, as in the plain loop
    of the published samples. `plus_one` counts pixels: a side is x2 - x1 + 1.
    """
    order = np.argsort(-np.asarray(scores), kind="stable").astype(np.int64, copy=False)
    rule = _Rule(iou_threshold, 1 if plus_one else 0)
    kept = [order[:0]]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        rows = _rows(np.asarray(boxes, np.float32).reshape(-1, 4), order, rule.side)
        slack = _slack(rows, rule) if order.size > BLOCK else np.inf
        thin = order.size if slack < np.inf else 0
        while order.size:
            if BLOCK < order.size <= thin:
                found = _thin_out(rows, rule, slack)
                if found is not None:
                    kept.append(order[found])
                    break
                thin = order.size // 2
            winners = _first_block(rows, rule)
            kept.append(order[winners])
            left = ~rule.overlaps(rows[:, winners, None], rows[:, None, BLOCK:]).any(axis=0)
            order, rows = order[BLOCK:][left], rows[:, BLOCK:][:, left]
    return np.concatenate(kept)


class _Rule(NamedTuple):
    """Who suppresses whom. `side` is 1 where pixels are counted, else 0."""

    threshold: float
    side: int

    def overlaps(self, a: _Rows, b: _Rows) -> NDArray[np.bool_]:
        """Which of `a` suppress which of `b`, broadcast against each other."""
        inter = self._lengths(a[0], a[2], b[0], b[2])
        inter *= self._lengths(a[1], a[3], b[1], b[3])
        union = a[4] + b[4]
        union -= inter
        inter /= union
        suppressed: NDArray[np.bool_] = ~(inter <= self.threshold)
        return suppressed

    def cores(self, starts: _Row, ends: _Row, slack: float) -> Tuple[_Row, _Row]:
        """Intervals' middle parts, times two: where they do not meet, there is no suppression.

        Intervals of lengths a and b with centres d apart share c <= (a + b) / 2 - d, and the boxes' IoU is at
        most c / (a + b - c). That exceeds the threshold t only for d < (a + b) / 2 * (1 - t) / (1 + t).
        """
        reach = ends - starts
        reach += self.side
        reach *= max(0.0, (1 - self.threshold) / (1 + self.threshold))
        reach += slack
        centres = starts + ends
        return centres - reach, centres + reach

    def _lengths(self, a1: _Row, a2: _Row, b1: _Row, b2: _Row) -> _Row:
        """What intervals a1..a2 and b1..b2 have in common; in place, as memory sets the pace."""
        length: NDArray[np.float32] = np.minimum(a2, b2)
        length -= np.maximum(a1, b1)
        length += self.side
        return np.maximum(length, 0, out=length)


def _rows(boxes: NDArray[np.float32], order: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """The boxes in that order as x1, y1, x2, y2 and area, [5,n]: columns would be read in strides."""
    rows = np.empty((5, order.size), np.float32)
    for i in range(4):
        rows[i] = boxes[:, i][order]
    sides = rows[2:4] - rows[:2]
    sides += side
    np.multiply(sides[0], sides[1], out=rows[4])
    return rows


def _slack(rows: NDArray[np.float32], rule: _Rule) -> float:
    """What float32 may round off twice a coordinate or a length, many times over.

    Infinite among empty, inverted or huge boxes, which may suppress each other without a pixel in common.
    """
    shortest = float((rows[2:4] - rows[:2]).min()) + rule.side
    farthest = max(float(rows[:4].max()), -float(rows[:4].min()))
    ordinary = rule.threshold >= 0 and shortest > 1e-10 and farthest < 1e9
    return 1e-5 * (farthest + rule.side) if ordinary else np.inf


def _first_block(rows: NDArray[np.float32], rule: _Rule) -> NDArray[np.int64]:
    """The greedy choice among the best candidates: indices."""
    block = rows[:, :BLOCK]
    numbers = np.arange(block.shape[1])
    over = rule.overlaps(block[:, :, None], block[:, None])
    over &= numbers[:, None] < numbers
    better, worse = over.nonzero()
    return _settle((better, worse), numbers.size)[0].nonzero()[0]


def _thin_out(rows: NDArray[np.float32], rule: _Rule, slack: float) -> Optional[NDArray[np.int64]]:
    """The greedy choice among all: indices. None where too many are near each other.

    `by` names a better candidate that suppresses this one; candidates without are the pool. Once each of those
    named is among the pool's winners, these are the greedy choice. Until then, who was named for nothing goes
    back into the pool, and each round settles for good at least the best one that the round before got wrong.
    """
    everyone = np.arange(rows.shape[1])
    by = _leaders(rows, rule)
    led = rule.overlaps(_at(rows, by), _at(rows, everyone))
    led &= by < everyone
    by = np.where(led, by, everyone)
    pool = (~led).nonzero()[0]
    near = _near(_at(rows, pool), rule, slack)
    while near is not None:
        stays, beaten_by = _settle(near, pool.size)
        by[pool] = pool[beaten_by]
        wins = np.zeros(by.size, np.bool_)
        wins[pool] = stays
        freed = (~wins[by]).nonzero()[0]
        if not freed.size:
            return wins.nonzero()[0]
        heirs = by[by[freed]]  # what beat the leader often beats the follower, too
        again = rule.overlaps(_at(rows, heirs), _at(rows, freed))
        again &= wins[heirs]
        by[freed] = np.where(again, heirs, freed)
        freed = freed[~again]
        wins[freed] = True
        pool = wins.nonzero()[0]
        near = _near_to(freed, pool, rows, rule) if freed.size < BLOCK else _near(_at(rows, pool), rule, slack)
    return None


def _leaders(rows: NDArray[np.float32], rule: _Rule) -> NDArray[np.int64]:
    """For each the best candidate of about its size in its cell of a grid, whose cells are about as large."""
    sizes = rows[2] - rows[0]
    sizes += rows[3] - rows[1]
    sizes += 2 * rule.side
    exponents = sizes.view(np.int32) >> 23  # sizes from one power of two to the next share it
    inverse = ((254 - exponents) << 23).view(np.float32)  # one over that power
    cells = ((rows[:2] + rows[2:4]) * inverse).astype(np.int32)
    keys = cells[0] * 73856093  # primes of the usual spatial hash
    keys ^= cells[1] * 19349663
    keys ^= exponents * 83492791
    keys &= BUCKETS - 1
    best = np.empty(BUCKETS, np.int64)
    best[keys[::-1]] = np.arange(keys.size - 1, -1, -1)  # what is written last stays: the best
    leaders: NDArray[np.int64] = best[keys]
    return leaders


def _near(rows: _Rows, rule: _Rule, slack: float) -> Optional[_Pairs]:
    """All pairs that overlap. None where so many are neighbours that blocks cost less."""
    x1, y1, x2, y2, _ = rows
    cores = (*rule.cores(x1, x2, slack), *rule.cores(y1, y2, slack))
    # Crowds stand side by side: along x there are fewer pairs than along y.
    by = cores[0].argsort()
    x, to_x, y, to_y = _at(cores, by)
    numbers = np.arange(by.size)
    last = x.searchsorted(to_x, side="right")
    counts = last - numbers
    counts -= 1
    ends = counts.cumsum()
    if ends[-1] > min(by.size * (CROWDED + by.size / 40), MOST_PAIRS):
        return None
    first = numbers.repeat(counts)
    last -= ends
    second = last[first]
    second += np.arange(first.size)
    meet = y[second] <= to_y[first]
    meet &= y[first] <= to_y[second]
    at = meet.nonzero()[0]
    a, b = by[first[at]], by[second[at]]
    over = rule.overlaps(_at(rows, a), _at(rows, b))
    a, b = a[over], b[over]
    return np.minimum(a, b), np.maximum(a, b)


def _near_to(few: NDArray[np.int64], pool: NDArray[np.int64], rows: _Rows, rule: _Rule) -> _Pairs:
    """All pairs of the pool that overlap, where each has to do with one of a few; both are sorted."""
    places = pool.searchsorted(few)
    some = np.stack(_at(rows, pool))
    one, b = rule.overlaps(some[:, places, None], some[:, None]).nonzero()
    a = places[one]
    return np.minimum(a, b)[a != b], np.maximum(a, b)[a != b]


def _settle(pairs: _Pairs, count: int) -> Tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Who stays, given all pairs that overlap, and who suppresses whom; itself for those that stay.

    In rounds: what no better candidate threatens any more is kept, and what it overlaps is gone.
    """
    better, worse = pairs
    stays, by = np.ones(count, np.bool_), np.arange(count)
    while better.size:
        safe = np.ones(count, np.bool_)
        safe[worse] = False
        sure = safe[better]
        gone = worse[sure]
        stays[gone] = False
        by[gone] = better[sure]
        open_still = stays[better]
        open_still &= stays[worse]
        better, worse = better[open_still], worse[open_still]
    return stays, by


def _at(rows: _Rows, indices: NDArray[np.int64]) -> List[_Row]:
    return [row[indices] for row in rows]  # numpy takes several times as long for all rows at once
