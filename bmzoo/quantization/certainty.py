"""How sure thresholds are: how far they move over other pictures of the same kind, and how many would do.

Thresholds are found again over halves of the pictures, each beside the other half: by how much those move is by how
much thresholds of all move from one set of pictures to another. (McCarthy, Pseudo-replication: Half Samples, 1969.)
Pictures drawn with replacement, a bootstrap, say less, as they seldom lose the largest values: bench/README.md.
What moves by chance shrinks with the root of their number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bmzoo.quantization.histograms import Histogram
from bmzoo.quantization.thresholds import LEAST_THRESHOLD, clipping

# How often the pictures are halved.
HALVINGS = 10
# A tensor whose threshold moves by more than this is unstable: a step of INT8 is that much wider or narrower.
UNSTABLE = 0.15
# Enough pictures: nine tensors of ten move by no more than this.
ENOUGH = 0.05
# These look at each picture by itself.
_BY_PICTURE = ("aciq_laplace", "aciq_gauss")


@dataclass(frozen=True)
class Certainty:
    """`moves`: by tensor, the standard deviation of its threshold as a share of it. `pictures`: how many it saw."""

    moves: Mapping[str, float]
    pictures: int

    @property
    def typical(self) -> float:
        """What nine tensors of ten do not exceed."""
        return float(np.quantile(list(self.moves.values()), 0.9)) if self.moves else 0.0

    @property
    def enough(self) -> int:
        """How many pictures would do, by what these say."""
        return max(2, int(np.ceil(self.pictures * (self.typical / ENOUGH) ** 2)))

    @property
    def doubtful(self) -> bool:
        """Whether thresholds are chance: more than one in ten is unstable."""
        return self.typical > UNSTABLE

    def said(self) -> str:
        """How sure, in a sentence for people."""
        worst = max(self.moves, key=lambda name: self.moves[name], default="")
        by = f"`{worst}` moves by {self.moves[worst]:.0%}" if worst else "nothing moves"
        if self.doubtful:
            return f"these {self.pictures} pictures are too few: {by}; about {self.enough} would do"
        if self.enough > self.pictures:
            return f"{self.pictures} pictures, about {self.enough} would do better: {by}"
        return f"{self.pictures} pictures, {self.enough} would do: {by}"

    def unstable(self) -> list[str]:
        """Tensors that move most, and by too much, the worst first."""
        names = [name for name, move in self.moves.items() if move > UNSTABLE]
        return sorted(names, key=lambda name: -self.moves[name])


def movement(seen: Histogram, method: str, tune: bool) -> float:
    """The standard deviation of the logarithm of a tensor's threshold over other pictures of the same kind."""
    number = len(seen.counts)
    if number < 2 or seen.largest <= LEAST_THRESHOLD:
        return 0.0
    found = [clipping(one, method, tune=tune).threshold for one in halves(seen, method in _BY_PICTURE)]
    part = number // 2 / number  # an odd picture is in neither half
    return float(np.std(np.log(found)) * np.sqrt(part / (1 - part)))


def halves(seen: Histogram, by_picture: bool) -> list[Histogram]:
    """Histograms of halves of the pictures, in pairs, always the same. `by_picture`: not summed."""
    number, random = len(seen.counts), np.random.default_rng(0)
    orders = [random.permutation(number) for _ in range(HALVINGS)]
    half = number // 2
    parts = [part for order in orders for part in (order[:half], order[half : 2 * half])]
    if by_picture:
        return [seen.picked(part.tolist()) for part in parts]
    chosen = np.zeros((len(parts), number))  # a product of matrices is faster than picking rows, and as exact
    np.put_along_axis(chosen, np.stack(parts), 1.0, axis=1)
    counts = np.rint(chosen @ seen.counts.astype(np.float64)).astype(np.int64)
    zeros = np.rint(chosen @ seen.zeros).astype(np.int64)
    return [
        replace(
            seen,
            counts=counts[i : i + 1],
            zeros=zeros[i : i + 1],
            lows=seen.lows[part].min(keepdims=True),
            highs=seen.highs[part].max(keepdims=True),
        )
        for i, part in enumerate(parts)
    ]
