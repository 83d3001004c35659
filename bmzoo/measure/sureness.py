"""How sure a figure over pictures is: the same pictures drawn anew, with replacement, again and again. Pure.

The bootstrap (Efron 1979), by pictures: what is found in one picture stays together. It knows only the pictures
that it is given; that they are like those to come is not its business.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

TIMES = 1000
# Of the draws. A bound lies where one draw in twenty is beyond it.
NINETEEN_OF_TWENTY = 0.95
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
    """Scores of what was found in a picture, how far each is right, 0..1, and how many things there are to find."""

    scores: tuple[float, ...]
    right: tuple[float, ...]
    wanted: float


@dataclass(frozen=True)
class Ranked:
    """A figure that is an AP over all pictures together, with all-point interpolation (Pascal VOC 2010)."""

    pictures: tuple[RankedPicture, ...]

    def under(self, counts: Counts) -> Figures:
        rows = [self._under(counts[at : at + _AT_ONCE]) for at in range(0, len(counts), _AT_ONCE)]
        return np.concatenate(rows) if rows else np.empty(0)

    def _under(self, counts: Counts) -> Figures:
        scores = np.array([score for one in self.pictures for score in one.scores])
        right = np.array([hit for one in self.pictures for hit in one.right])
        whose = np.repeat(np.arange(len(self.pictures)), [len(one.scores) for one in self.pictures])
        order = np.argsort(-scores, kind="stable")
        weight = counts[:, whose[order]]
        hits, found = np.cumsum(weight * right[order], axis=1), np.cumsum(weight, axis=1)
        precision = np.divide(hits, found, out=np.zeros(hits.shape), where=found > 0)
        wanted = counts @ np.array([one.wanted for one in self.pictures], np.float64)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return _shares((np.diff(hits, prepend=0, axis=1) * envelope).sum(axis=1), wanted)

    def as_json(self) -> dict[str, Any]:
        return {"ranked": [_rounded_picture(one) for one in self.pictures]}


def _rounded_picture(one: RankedPicture) -> dict[str, Any]:
    scores, right = ([round(value, 6) for value in values] for values in (one.scores, one.right))
    return {"scores": scores, "right": right, "wanted": round(one.wanted, 6)}


@dataclass(frozen=True)
class Kept:
    """What is kept of an AP, 1 for all of it: 1 - its drop from `before` to `after`, in the same pictures."""

    before: Ranked
    after: Ranked

    def under(self, counts: Counts) -> Figures:
        return 1 - (self.before.under(counts) - self.after.under(counts))

    def as_json(self) -> dict[str, Any]:
        return {"before": self.before.as_json(), "after": self.after.as_json()}


def evidence_of(told: Mapping[str, Any]) -> Evidence:
    """What `as_json` gave. Raises KeyError for anything else."""
    if "means" in told:
        return Means(tuple(told["means"]))
    if "before" in told:
        return Kept(_ranked_of(told["before"]), _ranked_of(told["after"]))
    return _ranked_of(told)


def _ranked_of(told: Mapping[str, Any]) -> Ranked:
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
    low, high = np.quantile(counted, (1 - NINETEEN_OF_TWENTY, NINETEEN_OF_TWENTY))
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


@dataclass(frozen=True)
class ShareLimit:
    """How many things of each picture are wrong, of how many, and the largest share of them that passes."""

    wrong: Sequence[int]
    of: Sequence[int]
    most: float

    def under(self, counts: Counts) -> Figures:
        """The share under all draws: [times, pictures] to [times]; NaN where there is nothing."""
        return _shares(counts @ np.asarray(self.wrong), counts @ np.asarray(self.of))


def same_verdict(limits: Sequence[ShareLimit]) -> tuple[float, int | None]:
    """In which share of all draws of the pictures the verdict is what it is: that all limits are kept, or not.

    And how many pictures would tell, for the limit that takes most; None where no number would.
    """
    pictures = len(limits[0].of)
    counts, once = resamples(pictures), np.ones((1, pictures), np.int64)
    figures = [limit.under(counts) for limit in limits]
    now = [float(limit.under(once)[0]) for limit in limits]
    passes = np.logical_and.reduce([drawn <= limit.most for drawn, limit in zip(figures, limits, strict=True)])
    passed = all(figure <= limit.most for figure, limit in zip(now, limits, strict=True))
    needed = [
        pictures_needed(figure, limit.most, sureness(drawn).deviation, pictures)
        for figure, drawn, limit in zip(now, figures, limits, strict=True)
        if passed or figure > limit.most
    ]
    known = [number for number in needed if number is not None]
    return float((passes == passed).mean()), max(known) if len(known) == len(needed) else None


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> Figures:
    nothing = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=nothing, where=whole > 0)
