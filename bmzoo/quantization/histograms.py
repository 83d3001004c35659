"""Histograms of tensors, picture by picture, which add up exactly in any order.

The width of a bin is a power of two, so a histogram of wider bins is one of narrower bins added in pairs. Counts
are integers: neither the order of pictures nor the number of processes changes a sum, and values need to be seen
only once, whatever range the next picture has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
# A chunk of a tensor, and what is made of it, stay in the processor's cache.
CHUNK = 1 << 17
# Powers of two that float32 can be divided by without leaving its normal numbers.
LEAST_EXPONENT, MOST_EXPONENT = -120, 120


@dataclass(frozen=True)
class Histogram:
    """How often a tensor's values lie in each bin, over pictures.

    `counts` [pictures, bins]: of values from `(first + i) * width` up to the next bin, where `width` is
    2 ** `exponent`; 0 is among them. `zeros` [pictures]: how many are 0. `lows`, `highs` [pictures]: exact.
    """

    counts: Counts
    first: int
    exponent: int
    zeros: Counts
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]

    @property
    def width(self) -> float:
        return float(2.0**self.exponent)

    @property
    def low(self) -> float:
        return float(self.lows.min())

    @property
    def high(self) -> float:
        return float(self.highs.max())

    @property
    def largest(self) -> float:
        """The largest |value|."""
        return max(abs(self.low), abs(self.high))

    def total(self) -> Counts:
        """Counts over all pictures [bins]."""
        return np.asarray(self.counts.sum(axis=0))

    def magnitudes(self) -> Counts:
        """Counts of |value|, 0 left out, from 0 to the largest [bins]."""
        total, below = self.total(), max(-self.first, 0)
        positive = np.concatenate([np.zeros(max(self.first, 0), np.int64), total[below:]])
        negative = np.concatenate([np.zeros(max(-self.first - len(total), 0), np.int64), total[:below][::-1]])
        found = np.zeros(max(len(positive), len(negative), 1), np.int64)
        found[: len(positive)] += positive
        found[: len(negative)] += negative
        found[0] -= int(self.zeros.sum())
        return found

    def summed(self) -> "Histogram":
        """All its pictures as if they were one."""
        zeros = np.array([self.zeros.sum()])
        return replace(
            self, counts=self.total()[None], zeros=zeros, lows=np.array([self.low]), highs=np.array([self.high])
        )

    def picked(self, pictures: Sequence[int]) -> "Histogram":
        """As if these had been the pictures; one may be there several times."""
        rows = list(pictures)
        return replace(
            self, counts=self.counts[rows], zeros=self.zeros[rows], lows=self.lows[rows], highs=self.highs[rows]
        )


def histogram(values: NDArray[np.generic], bins: int) -> Histogram:
    """The histogram of one picture's tensor, of as narrow bins as reach its largest |value| in `bins` of them.

    Raises ValueError for a tensor with NaN or infinity, and for one without values.
    """
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    if not flat.size:
        raise ValueError("no values")
    low, high = float(flat.min()), float(flat.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("NaN or infinity")
    exponent = _exponent(max(abs(low), abs(high)), bins)
    scale = np.float32(2.0**-exponent)
    first, last = (int(np.clip(np.floor(edge * float(scale)), -bins, bins)) for edge in (low, high))
    counts, zeros = np.zeros(last - first + 1, np.int64), 0
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK] * scale
        zeros += int(np.count_nonzero(part == 0))
        np.floor(part, out=part)
        part -= np.float32(first)
        counts += np.bincount(part.astype(np.int32), minlength=len(counts))
    return Histogram(counts[None], first, exponent, np.array([zeros]), np.array([low]), np.array([high]))


def together(parts: Sequence[Histogram]) -> Histogram:
    """One histogram of the pictures of all, in bins that are wide enough for each."""
    exponent = max(part.exponent for part in parts)
    wide = [widened(part, exponent) for part in parts]
    first = min(part.first for part in wide)
    bins = max(part.first + part.counts.shape[1] for part in wide) - first
    counts = np.zeros((sum(len(part.counts) for part in wide), bins), np.int64)
    row = 0
    for part in wide:
        start = part.first - first
        counts[row : row + len(part.counts), start : start + part.counts.shape[1]] = part.counts
        row += len(part.counts)
    rows = (np.concatenate([getattr(part, name) for part in wide]) for name in ("zeros", "lows", "highs"))
    return Histogram(counts, first, exponent, *rows)


def widened(one: Histogram, exponent: int) -> Histogram:
    """The same with bins of 2 ** `exponent`, no narrower than they are."""
    share = 1 << min(exponent - one.exponent, 40)
    if share == 1:
        return one
    places = (one.first + np.arange(one.counts.shape[1])) // share
    starts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
    counts = np.add.reduceat(one.counts, starts, axis=1)
    return replace(one, counts=counts, first=int(places[0]), exponent=exponent)


def difference(one: Histogram, other: Histogram) -> float:
    """How far values have to move to come from one to the other, on the average, as a share of the largest.

    Between 0 and 2, of the same number of values; infinite between others.
    """
    both = together([one.summed(), other.summed()])
    sizes = both.counts.sum(axis=1)
    if sizes[0] != sizes[1]:
        return float("inf")
    if not both.largest:
        return 0.0
    apart = np.abs(np.cumsum(both.counts[0] - both.counts[1])).sum() / sizes[0]
    return float(apart * both.width / both.largest)


def _exponent(largest: float, bins: int) -> int:
    """The smallest power of two of which `bins` are more than the largest value."""
    if largest <= 0:
        return LEAST_EXPONENT
    exponent = int(np.frexp(largest / bins)[1])
    return int(np.clip(exponent, LEAST_EXPONENT, MOST_EXPONENT))
