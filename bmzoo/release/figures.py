"""The metrics of an artifact that `diff` compares: value, unit, which direction is a regression, and the limit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bmzoo.config.project import Regression
from bmzoo.measure.metrics.registry import FACES_AP, SUBSETS, ordered
from bmzoo.release.manifest import Artifact

# Values in a manifest are rounded: a change this close to the limit counts as equal to it.
_SLACK = 1e-9


@dataclass(frozen=True)
class Metric:
    """One metric. `worse`: +1 where a rise is a regression, -1 where a drop is. `limit` None: reported only."""

    name: str
    value: float | None
    form: str  # how the value is written
    worse: int
    limit: float | None = None
    percent: bool = False  # the difference is relative to the old value
    unit: str = ""  # of the difference
    absent: str = "missing"  # text for a value of None
    kept: bool = True  # with a limit: whether it must not get lost

    def shown(self, value: float | None) -> str:
        return self.absent if value is None else self.form.format(value)

    def change(self, old: float, new: float) -> float:
        """The change in the unit of the limit; a relative change from 0 is infinite."""
        if not self.percent:
            return new - old
        return 100 * (new / old - 1) if old else math.inf

    def difference(self, old: float, new: float) -> str:
        change = self.change(old, new)
        if self.percent:
            return f"{change:+.1f}%"
        sign = "+" if change > 0 else "-"
        return f"{sign}{self.form.format(abs(change)).removesuffix(self.unit).strip()}{self.unit}"

    def allowed(self) -> str:
        if self.limit is None:
            return ""
        sign = "+" if self.worse > 0 else "-"
        if self.percent or self.form.endswith("%}"):
            return f"{sign}{self.limit if self.percent else 100 * self.limit:g}%"
        return f"{sign}{self.limit:.4g}{self.unit}"

    def is_regression(self, old: float, new: float) -> bool:
        return self.limit is not None and self.worse * self.change(old, new) > self.limit + _SLACK


def figures(artifact: Artifact, limits: Regression) -> Iterator[Metric]:
    """All metrics that apply to the artifact, including those whose value is unknown."""
    yield from _accuracy(artifact, limits)
    agreement = artifact.agreement
    if agreement is not None:
        yield Metric("missed", agreement.share("missed"), "{:.1%}", +1, limits.missed)
        yield Metric("extra", agreement.share("extra"), "{:.1%}", +1, limits.extra)
        yield Metric("mean IoU", agreement.mean_iou, "{:.3f}", -1)
        yield Metric("cosine", agreement.cosine, "{:.5f}", -1)
        yield Metric("SQNR", agreement.sqnr_db, "{:.1f} dB", -1, unit=" dB", absent="exact")
    yield Metric("cost", artifact.cost, "{:,.0f}", +1, limits.cost, percent=True)
    if artifact.estimate is not None:
        ms, high = artifact.estimate.ms, artifact.estimate.high
        limit = high - ms if limits.estimate is not None else None
        yield Metric("estimate", ms, "{:.3g} ms", +1, limit, unit=" ms", absent="none", kept=False)
    yield Metric("size", artifact.size, "{:,.0f} bytes", +1, limits.size, percent=True)
    yield Metric("float layers", artifact.float_layers, "{:.0f}", +1)


def _accuracy(artifact: Artifact, limits: Regression) -> Iterator[Metric]:
    if artifact.accuracy is None:
        return
    metric, known = artifact.accuracy.named, artifact.accuracy.values
    for name in ordered(metric, known):
        limit = getattr(limits.ap, name if metric == FACES_AP and name in SUBSETS else "other")
        yield Metric(f"{metric} {name}", 100 * known[name], "{:.2f}", -1, limit, unit=" points")
