"""From where on the values of a tensor are clipped in INT8: methods of the field, over histograms of pictures.

- `kl`: the clipped and rounded distribution that says most of the real one. (Migacz, 8-bit Inference with TensorRT,
  GTC 2017.) Candidates lie a whole number of bins for each level apart, as TPU-MLIR has it, and 0 does not count.
- `mse`: least squared error, as a fixed point. (Sakr et al., Optimal Clipping and Magnitude-aware Differentiation
  for Improved Quantization-aware Training, ICML 2022.)
- `max`: nothing is clipped. (Jacob et al., CVPR 2018.)
- `percentile9999`: one value in 10,000 is, at either end. (Wu et al., Integer Quantization for Deep Learning
  Inference, 2020.)
- `aciq_laplace`, `aciq_gauss`: the best for such a distribution, with the width that is seen of it, on the average
  over pictures. (Banner et al., Post Training 4-bit Quantization of Convolutional Networks, NeurIPS 2019.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmzoo.quantization.histograms import Histogram

Floats = NDArray[np.float64]
# Below this nothing is left to scale; TPU-MLIR writes the same.
LEAST_THRESHOLD = 1e-5
# As many steps from a threshold up to the largest value are tried as TPU-MLIR's tuning tries.
TUNING_STEPS = 21
# The error of clipping is that of a few values, the error of rounding that of all: four times the least, 6 dB, is
# better than the least, and far better than what kl leaves of outputs with few large values. See bench/README.md.
NEAR_LEAST = 4.0
_ROUNDS = 100  # of the fixed point, which settles in ten
_SHARE = 1e-4
# By levels of one sign: 8 and 4 bits. Where a standard distribution is best clipped (Banner et al.).
_LAPLACE = {128: 9.89675982, 8: 5.02864014}
_GAUSS = {128: 3.92403337, 8: 2.55913642}


@dataclass(frozen=True)
class Clipping:
    """What a table says of a tensor."""

    threshold: float
    low: float
    high: float


def clipping(seen: Histogram, method: str, levels: int = 128, tune: bool = False) -> Clipping:
    """A tensor's row by a method. `levels`: of one sign, 128 for INT8 and 8 for INT4.

    `tune`: raise the threshold until noise is near the least (kl, and the two aciq). TPU-MLIR's tuning never lowers
    one either; it runs the layers that read the tensor, here the tensor's own squared error counts.
    """
    largest = seen.largest
    if largest <= LEAST_THRESHOLD:
        return Clipping(LEAST_THRESHOLD, -LEAST_THRESHOLD if seen.low < 0 else 0.0, LEAST_THRESHOLD)
    if method == "percentile9999":
        low, high = percentiles(seen)
        return Clipping(max(abs(low), abs(high), LEAST_THRESHOLD), low, high)
    threshold = THRESHOLDS_BY[method](seen, levels)
    if tune and method in TUNED:
        threshold = raised(seen, threshold, levels)
    return Clipping(min(max(threshold, LEAST_THRESHOLD), largest), seen.low, seen.high)


def kl(seen: Histogram, levels: int) -> float:
    """The threshold of least Kullback-Leibler divergence between what is seen and what its levels say of it."""
    counts = seen.magnitudes().astype(np.float64)
    each = -(-len(counts) // levels)  # bins to a level at the last candidate
    counts = np.pad(counts, (0, each * levels - len(counts)))
    spans = np.arange(1, each + 1)
    edges = spans[:, None] * np.arange(levels + 1)[None]  # [candidates, levels + 1]
    sums, filled = np.diff(_summed(counts)[edges]), np.diff(_summed(counts > 0)[edges])
    kept, total = sums.sum(axis=1), counts.sum()
    last, clipped = counts[spans * levels - 1], total - kept
    own = _summed(counts * _log(counts / total))[spans * levels]
    said = (sums * _log(sums / np.maximum(filled, 1) / np.maximum(kept, 1)[:, None])).sum(axis=1)
    # What is clipped falls on the last bin, of which the levels know nothing where it is empty.
    ends = sums[:, -1] / np.maximum(filled[:, -1], 1) / np.maximum(kept, 1) * (last > 0)
    more = (last + clipped) * _log((last + clipped) / total) - last * _log(last / total) - clipped * _log(ends)
    divergence = (own + more - said) / total
    return float(spans[np.argmin(divergence)] * levels * seen.width)


def mse(seen: Histogram, levels: int) -> float:
    """The fixed point of least squared error; half a bin is as near as it gets."""
    count, first, _ = _moments(seen)
    edges = np.arange(len(count)) * seen.width
    step = _step(seen, levels)
    found = first[-1] / count[-1]
    for _ in range(_ROUNDS):
        below, sum_below = np.interp(found, edges, count), np.interp(found, edges, first)
        above = max(count[-1] - below, 0.0)
        rounded = below + seen.zeros.sum()
        after = (first[-1] - sum_below) / max(step**2 / 12 * rounded + above, 1e-300)
        if abs(after - found) <= 1e-6 * found:
            break
        found = after
    return float(found)


def percentiles(seen: Histogram, share: float = _SHARE) -> tuple[float, float]:
    """Below the first, and above the second, lies this share of all values."""
    counts, zeros, place = seen.total(), float(seen.zeros.sum()), -seen.first
    edges = (seen.first + np.arange(len(counts) + 1)) * seen.width
    summed = _summed(counts)
    if zeros:  # all at one place: the edge of their bin stands twice, before and after them
        summed = np.insert(summed, place + 1, summed[place] + zeros)
        edges = np.insert(edges, place + 1, 0.0)
    low, high = np.interp([share * summed[-1], (1 - share) * summed[-1]], summed, edges)
    return float(max(low, seen.low)), float(min(high, seen.high))


def aciq_laplace(seen: Histogram, levels: int) -> float:
    """From the mean distance to the mean."""
    centres = (seen.first + np.arange(seen.counts.shape[1]) + 0.5) * seen.width
    counts = seen.counts.astype(np.float64)
    # Zeros lie at the start of their bin, and often are half of all.
    sums = counts @ centres - 0.5 * seen.width * seen.zeros
    sizes = counts.sum(axis=1)
    means = sums / sizes
    apart = (counts * np.abs(centres[None] - means[:, None])).sum(axis=1)
    apart += seen.zeros * (np.abs(means) - np.abs(0.5 * seen.width - means))
    return float(_LAPLACE[levels] * np.mean(apart / sizes))


def aciq_gauss(seen: Histogram, levels: int) -> float:
    """From the range that so many values of a normal distribution have."""
    sizes = np.maximum(seen.counts.sum(axis=1), 2)
    deviations = (seen.highs - seen.lows) * 0.175 * (1 + np.sqrt(np.pi * np.log(4))) / np.sqrt(2 * np.log(sizes))
    return float(_GAUSS[levels] * np.mean(deviations))


def largest_value(seen: Histogram, levels: int) -> float:
    """Nothing is clipped, whatever the levels."""
    return seen.largest


def raised(seen: Histogram, threshold: float, levels: int) -> float:
    """The first candidate from a threshold up to the largest value whose squared error is near the least."""
    candidates = np.linspace(min(threshold, seen.largest), seen.largest, TUNING_STEPS + 1)
    found = noise(seen, candidates, levels)
    return float(candidates[np.argmax(found <= NEAR_LEAST * found.min())])


def noise(seen: Histogram, thresholds: Floats, levels: int) -> Floats:
    """Squared error by rounding and by clipping, over all values, for each threshold."""
    moments = _moments(seen)
    edges = np.arange(len(moments[0])) * seen.width
    below = [np.interp(thresholds, edges, moment) for moment in moments]
    count, first, second = (moment[-1] - part for moment, part in zip(moments, below, strict=True))
    clipped = second - 2 * thresholds * first + thresholds**2 * count
    rounded = below[0] * (_step(seen, levels) * thresholds) ** 2 / 12
    return np.asarray(rounded + clipped)


def _step(seen: Histogram, levels: int) -> float:
    """The share of a threshold that a step is: what is never negative has steps half as wide."""
    return 1 / levels / (2 if seen.low >= 0 else 1)


def _moments(seen: Histogram) -> tuple[Floats, Floats, Floats]:
    """How many magnitudes lie below each edge, their sum, and the sum of their squares [bins + 1]; 0 left out."""
    counts = seen.magnitudes().astype(np.float64)
    centres = (np.arange(len(counts)) + 0.5) * seen.width
    return _summed(counts), _summed(counts * centres), _summed(counts * centres**2)


def _summed(values: NDArray[np.generic]) -> Floats:
    """The sum of all before each place [n + 1]."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _log(values: Floats) -> Floats:
    """Logarithms, of 0 that of next to nothing."""
    return np.asarray(np.log(values + 1e-30))


THRESHOLDS_BY: Mapping[str, Callable[[Histogram, int], float]] = {
    "kl": kl,
    "mse": mse,
    "max": largest_value,
    "percentile9999": lambda seen, levels: max(map(abs, percentiles(seen))),
    "aciq_laplace": aciq_laplace,
    "aciq_gauss": aciq_gauss,
}
TUNED = ("kl", "aciq_laplace", "aciq_gauss")
