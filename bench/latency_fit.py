"""Constants of chips from profiles and published figures, and what becomes of networks that are left out. Pure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bmzoo.measure.chip_constants import Constants
from bmzoo.measure.latency import busy, run_time
from bmzoo.target import Target

Floats = npt.NDArray[np.float64]
# What is tried of each constant: steps as coarse as the figures are certain, so that every machine finds the same.
ARITHMETIC = tuple(round(0.9 + 0.02 * i, 2) for i in range(31))
FP32 = tuple(round(0.9 + 0.05 * i, 2) for i in range(21))
MEMORY = tuple(round(0.8 + 0.1 * i, 1) for i in range(18))
RUN = tuple(round(0.05 * i, 2) for i in range(11))
JOIN = tuple(round(0.004 * i, 3) for i in range(11))
SHARE = 0.9  # of the figures of networks left out that an interval is to hold
FAR = 1.15  # figures further apart than this have an order that an estimate should have, too
SAME = 1e-9  # errors nearer than this are equal: the first constants that have them are taken


@dataclass(frozen=True)
class Sample:
    """One published figure and the profile of what it is of. `published`: ms for one picture."""

    target: Target
    published: float
    profile: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.target.model}.{self.target}"

    @property
    def profiled(self) -> bool:
        return self.profile.get("known") is True

    @property
    def joins(self) -> int:
        return max((core["joins"] for core in self.profile["cores"]), default=0)

    def estimate(self, constants: Constants) -> float:
        """Milliseconds for one picture."""
        return run_time(constants, self.target.precision, self.profile) / self.target.batch


def chip_fit(samples: Sequence[Sample]) -> dict[str, Any]:
    """Constants of a chip, with how far they are from each figure, also where its network was left out.

    A chip without profiles has none: what its layer groups cost is tried instead, and only shown.
    """
    if not all(one.profiled for one in samples):
        without = by_cost(samples)
        return {"constants": None, "left_out": judged(samples, without), "residuals": _rows(samples, without)}
    without = left_out(samples)
    found = fit(samples, *factors(samples, without))
    rows = _rows(samples, without)
    for one in samples:
        rows[one.name]["fitted"] = round(one.estimate(found), 4)
    return {"constants": asdict(found), "left_out": judged(samples, without), "residuals": rows}


def _rows(samples: Sequence[Sample], without: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {one.name: {"published": one.published, "left_out": round(without[one.name], 4)} for one in samples}


def by_cost(samples: Sequence[Sample]) -> dict[str, float]:
    """Figure -> its cost times the median of what a cycle takes in other networks of its precision."""
    found = {}
    for one in samples:
        others = [
            other.published * other.target.batch / other.facts["cost"]
            for other in samples
            if other.target.model != one.target.model and other.target.precision == one.target.precision
        ]
        found[one.name] = statistics.median(others) * one.facts["cost"] / one.target.batch
    return found


def fit(samples: Sequence[Sample], low: float = 1.0, high: float = 1.0) -> Constants:
    """The constants with the smallest mean error, as a factor, every network counting once."""
    kinds = [_Kind.of(samples, single) for single in (False, True)]
    best, found = math.inf, (1.0, 1.0, 1.0, 0.0, 0.0)
    joins = JOIN if any(one.joins for one in samples) else (0.0,)
    for memory in MEMORY:
        busy = [kind.busy(memory) for kind in kinds]
        for join in joins:
            # How slow one kind of arithmetic is does not depend on the other, given what a run costs.
            errors = [kind.errors(times, join) for kind, times in zip(kinds, busy, strict=True)]
            totals = sum(kind.min(axis=0) for kind in errors)
            run = int(np.argmin(totals))
            if totals[run] < best - SAME:
                slower = [k.scales[int(e[:, run].argmin())] for k, e in zip(kinds, errors, strict=True)]
                best, found = float(totals[run]), (slower[0], slower[1], memory, RUN[run], join)
    return Constants(*found, low, high)


@dataclass(frozen=True)
class _Kind:
    """Samples of one kind of arithmetic, what each counts, and how many times as long it may take."""

    samples: tuple[Sample, ...]
    weights: Floats
    scales: tuple[float, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample], single: bool) -> _Kind:
        weights = _weights(samples)
        own = [i for i, one in enumerate(samples) if (one.target.precision == "fp32") == single]
        return cls(tuple(samples[i] for i in own), weights[own], FP32 if single else ARITHMETIC)

    def busy(self, memory: float) -> Floats:
        """How long engines work, by scale and sample."""
        rows = [[busy(one.profile["stretched"], scale, memory) for one in self.samples] for scale in self.scales]
        return np.array(rows).reshape(len(self.scales), len(self.samples))

    def errors(self, times: Floats, join: float) -> Floats:
        """How far estimates are from the figures, by scale and by what a run costs."""
        published = np.log([one.published * one.target.batch for one in self.samples])
        joins = np.array([one.joins * join for one in self.samples])
        runs = times[:, None, :] + np.array(RUN)[None, :, None] + joins
        return np.asarray(np.abs(np.log(runs) - published) @ self.weights)


def _weights(samples: Sequence[Sample]) -> Floats:
    names = [one.target.model for one in samples]
    each = np.array([1 / names.count(name) for name in names])
    return np.asarray(each / each.sum())


def left_out(samples: Sequence[Sample]) -> dict[str, float]:
    """Figure -> what constants fitted without its network make of it, ms for one picture."""
    found: dict[str, float] = {}
    for network in dict.fromkeys(one.target.model for one in samples):
        constants = fit([one for one in samples if one.target.model != network])
        found |= {one.name: one.estimate(constants) for one in samples if one.target.model == network}
    return found


def factors(samples: Iterable[Sample], estimates: Mapping[str, float]) -> tuple[float, float]:
    """By what an estimate is multiplied for the ends of the interval, so that SHARE of the figures are inside."""
    ratios = sorted(one.published / estimates[one.name] for one in samples)
    outside = math.floor(len(ratios) * (1 - SHARE) / 2 + SAME)
    low, high = ratios[outside], ratios[-1 - outside]
    return min(1.0, math.floor(100 * low) / 100), max(1.0, math.ceil(100 * high) / 100)


def judged(samples: Sequence[Sample], estimates: Mapping[str, float]) -> dict[str, Any]:
    """How far estimates of networks left out are from the published figures."""
    pairs = [(one.published, estimates[one.name]) for one in samples]
    errors = [abs(estimate / published - 1) for published, estimate in pairs]
    far = [
        (one, other)
        for one, other in itertools.combinations(pairs, 2)
        if max(one[0], other[0]) > FAR * min(one[0], other[0])
    ]
    ordered = sum((one[0] < other[0]) == (one[1] < other[1]) for one, other in far)
    return {
        "figures": len(pairs),
        "networks": len({one.target.model for one in samples}),
        "median_error": round(statistics.median(errors), 4),
        "within_25_percent": round(sum(error <= 0.25 for error in errors) / len(errors), 4),
        "largest_error": round(max(errors), 4),
        "pairs": len(far),
        "in_order": round(ordered / len(far), 4) if far else None,
    }
