"""The figures of an artifact that `diff` compares: value, unit, in which direction worse lies, what is allowed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bmzoo.config.project import Regression
from bmzoo.measure.groundtruth import SUBSETS, by_subset
from bmzoo.release.manifest import Artifact

# Figures in a manifest are rounded; what is this near to the limit is at the limit.
_SLACK = 1e-9


@dataclass(frozen=True)
class Figure:
    """One figure. `worse` is +1 when a rise is worse, -1 when a drop is; `limit` None: said, but not judged."""

    name: str
    value: float | None
    form: str  # how the value is written
    worse: int
    limit: float | None = None
    percent: bool = False  # the difference is relative to the old value
    unit: str = ""  # of the difference
    absent: str = "missing"  # what no value means

    def shown(self, value: float | None) -> str:
        return self.absent if value is None else self.form.format(value)

    def change(self, old: float, new: float) -> float:
        """The difference in the unit of the limit; infinite for a share of nothing."""
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
        return f"{sign}{self.limit:g}{self.unit}"

    def is_regression(self, old: float, new: float) -> bool:
        return self.limit is not None and self.worse * self.change(old, new) > self.limit + _SLACK


def figures(artifact: Artifact, limits: Regression) -> Iterator[Figure]:
    """All figures that the artifact can have, those that are not known included."""
    known = artifact.accuracy.ap if artifact.accuracy is not None else {}
    for subset in by_subset(known):
        limit = getattr(limits.ap, subset if subset in SUBSETS else "other")
        yield Figure(f"AP {subset}", 100 * known[subset], "{:.2f}", -1, limit, unit=" points")
    agreement = artifact.agreement
    if agreement is not None:
        yield Figure("missed", agreement.share("missed"), "{:.1%}", +1, limits.missed)
        yield Figure("extra", agreement.share("extra"), "{:.1%}", +1, limits.extra)
        yield Figure("mean IoU", agreement.mean_iou, "{:.3f}", -1)
        yield Figure("cosine", agreement.cosine, "{:.5f}", -1)
        yield Figure("SQNR", agreement.sqnr_db, "{:.1f} dB", -1, unit=" dB", absent="exact")
    yield Figure("cost", artifact.cost, "{:,.0f}", +1, limits.cost, percent=True)
    yield Figure("size", artifact.size, "{:,.0f} bytes", +1, limits.size, percent=True)
    yield Figure("float layers", artifact.float_layers, "{:.0f}", +1)
