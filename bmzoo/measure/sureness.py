"""How sure a figure over pictures is: the same pictures drawn anew, with replacement, again and again. Pure.

The bootstrap (Efron 1979), by pictures: what is found in one picture stays together. It knows only the pictures
that it is given; that they are like those to come is not its business.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

TIMES = 1000
# Of the draws. A bound lies where one draw in twenty is beyond it.
CERTAINTY = 0.95
# The same in standard deviations, one-sided.
_DEVIATIONS = 1.645
# Draws at a time: memory stays below 50 MB for 10,000 detections.
_AT_ONCE = 100
_NOBODY_HAS_MORE = 100_000

Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


def resamples(pictures: int, times: int = TIMES, seed: int = 0) -> Counts:
    """How often each picture is drawn: int64 [times, pictures], every row sums to `pictures`; always the same."""
    return np.random.default_rng(seed).multinomial(pictures, np.full(pictures, 1 / pictures), size=times)


class Evidence(Protocol):
    """What a figure is made of, picture by picture."""

    def under(self, counts: Counts) -> Figures:
        """The figure where each picture counts so often: [times, pictures] to [times]; NaN where nothing counts."""

    def as_json(self) -> dict[str, Any]:
        """As documents keep it."""


@dataclass(frozen=True)
class Means:
    """A figure that is the mean over pictures; None for one that does not count."""

    values: tuple[float | None, ...]

    def under(self, counts: Counts) -> Figures:
        counting = counts * np.array([value is not None for value in self.values], np.int64)
        total = counting @ np.array([value or 0.0 for value in self.values])
        return _shares(total, counting.sum(axis=1))

    def as_json(self) -> dict[str, Any]:
        return {"means": [None if value is None else round(value, 6) for value in self.values]}


@dataclass(frozen=True)
class RankedPicture:
    """Scores of what was found in a picture, whether each is right, and how many things there are to find."""

    scores: tuple[float, ...]
    right: tuple[bool, ...]
    wanted: int


@dataclass(frozen=True)
class Ranked:
    """A figure that is an AP over all pictures together, with all-point interpolation (Pascal VOC 2010)."""

    pictures: tuple[RankedPicture, ...]

    def under(self, counts: Counts) -> Figures:
        rows = [self._under(counts[at : at + _AT_ONCE]) for at in range(0, len(counts), _AT_ONCE)]
        return np.concatenate(rows) if rows else np.empty(0)

    def _under(self, counts: Counts) -> Figures:
        scores = np.array([score for one in self.pictures for score in one.scores])
        right = np.array([hit for one in self.pictures for hit in one.right], np.bool_)
        whose = np.repeat(np.arange(len(self.pictures)), [len(one.scores) for one in self.pictures])
        order = np.argsort(-scores, kind="stable")
        weight = counts[:, whose[order]]
        hits, found = np.cumsum(weight * right[order], axis=1), np.cumsum(weight, axis=1)
        precision = np.divide(hits, found, out=np.zeros(hits.shape), where=found > 0)
        wanted = counts @ np.array([one.wanted for one in self.pictures], np.int64)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return _shares((np.diff(hits, prepend=0, axis=1) * envelope).sum(axis=1), wanted)

    def as_json(self) -> dict[str, Any]:
        return {
            "ranked": [
                {"scores": [round(score, 6) for score in one.scores], "right": [*one.right], "wanted": one.wanted}
                for one in self.pictures
            ]
        }


def evidence_of(told: Mapping[str, Any]) -> Evidence:
    """What `as_json` gave. Raises KeyError for anything else."""
    if "means" in told:
        return Means(tuple(told["means"]))
    rows = (RankedPicture(tuple(one["scores"]), tuple(one["right"]), one["wanted"]) for one in told["ranked"])
    return Ranked(tuple(rows))


def figure_of(evidence: Evidence, pictures: int) -> float:
    """The figure over all pictures, each once; NaN where nothing counts."""
    return float(evidence.under(np.ones((1, pictures), np.int64))[0])


@dataclass(frozen=True)
class Sureness:
    """Bounds of a figure, each of which one draw in twenty is beyond, and its standard deviation over draws."""

    low: float
    high: float
    deviation: float


def sureness(figures: Figures) -> Sureness:
    """Of the figure under all draws, [times]; those in which nothing counted are left out."""
    counted = figures[np.isfinite(figures)]
    if not len(counted):
        return Sureness(math.nan, math.nan, math.nan)
    low, high = np.quantile(counted, (1 - CERTAINTY, CERTAINTY))
    return Sureness(float(low), float(high), float(counted.std()))


def pictures_needed(figure: float, limit: float, deviation: float, pictures: int) -> int | None:
    """How many pictures like these would tell on which side of a limit the figure is; None where no number would.

    The deviation falls with the square root of their number. Rounded up to two digits.
    """
    away = abs(figure - limit)
    if not deviation:
        return pictures
    if not away or (number := pictures * (_DEVIATIONS * deviation / away) ** 2) > _NOBODY_HAS_MORE:
        return None
    size: int = 10 ** max(len(str(math.ceil(number))) - 2, 0)
    return max(pictures, math.ceil(number / size) * size)


def share_within(tests: Sequence[tuple[Figures, Callable[[Figures], NDArray[np.bool_]]]]) -> float:
    """In which share of the draws all of some figures, [times] each, pass their tests."""
    return float(np.logical_and.reduce([test(figures) for figures, test in tests]).mean())


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> Figures:
    nothing = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=nothing, where=whole > 0)
