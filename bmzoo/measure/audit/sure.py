"""Whether a network does surely better another way: the same pictures both ways, picture by picture. Pure.

Wilcoxon's signed-rank test (Individual Comparisons by Ranking Methods, 1945), exact and one-sided, also with ties.
As many ways are tried, its bound is divided by their number (Bonferroni), with a share for each axis. How
much better it is, and whether by enough, is a bootstrap over pictures (Efron, 1979).
"""

from dataclasses import dataclass
from math import ceil, comb, log2

import numpy as np
from numpy.typing import NDArray

from bmzoo.measure.sureness import resamples

# How often a right config may be called wrong, over all alternatives together.
CHANCE = 0.02
# How much more must be found: below, it does not matter, whatever is the cause.
LEAST_GAIN = 0.03

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """`share`: how much more is found than as configured, inf for something in place of nothing. `low`: what 19 of
    20 draws of the pictures exceed. `chance`: of so many better pictures where nothing is better.
    """

    share: float
    low: float
    chance: float

    def sure(self, tried: int) -> bool:
        """Whether it is surely better, and by enough. `tried`: how many alternatives there were."""
        return self.chance * tried < CHANCE and self.low > 0 and self.share > LEAST_GAIN


def gain(before: Values, after: Values) -> Gain:
    """Of what is found in each picture, [pictures] both."""
    total, more = float(before.sum()), after - before
    scale = max(total, float(np.abs(before).sum()) / 2)
    if scale <= 1e-6 * max(float(np.abs(after).sum()), 1e-9):
        share = np.inf if more.sum() > 0 else 0.0
        return Gain(share, share, signed_ranks(more))
    draws = resamples(len(more)) @ more / scale
    return Gain(float(more.sum()) / scale, float(np.quantile(draws, 0.05)), signed_ranks(more))


def signed_ranks(more: Values) -> float:
    """How likely differences are to be as high as these by chance: their signs drawn anew, ranks kept."""
    more = more[np.abs(more) > 1e-9]
    if not len(more):
        return 1.0
    ranks = _double_ranks(np.abs(more))
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        taken = np.zeros_like(ways)
        taken[rank:] = ways[: len(ways) - rank]
        ways = (ways + taken) / 2
    return float(ways[int(ranks[more > 0].sum()) :].sum())


def by_chance(some: int, of: int, others: int, of_others: int) -> float:
    """How likely so few, or fewer, are among `of`, where `others` are among `of_others`, if all are alike.

    Fisher's exact test (Statistical Methods for Research Workers, 1934), one-sided.
    """
    both, all_ = some + others, of + of_others
    ways = sum(comb(of, few) * comb(of_others, both - few) for few in range(max(0, both - of_others), some + 1))
    return ways / comb(all_, both)


def _double_ranks(sizes: Values) -> NDArray[np.int64]:
    """Twice the rank of each, from the smallest on: a whole number also where ties share the mean of theirs."""
    below = (sizes[None] < sizes[:, None]).sum(axis=1)
    same = (np.abs(sizes[None] - sizes[:, None]) == 0).sum(axis=1)
    return np.asarray(2 * below + same + 1, np.int64)


def fewest(tried: int) -> int:
    """How many pictures can decide anything at all: with fewer, all better ones may be chance."""
    return ceil(log2(tried / CHANCE))
