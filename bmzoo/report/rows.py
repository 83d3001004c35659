"""One target as a row of the zoo: the manifest's figures, and its time. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bmzoo.measure.groundtruth import by_subset
from bmzoo.release.manifest import Artifact
from bmzoo.report.profiles import NoProfile, StoredProfile

# More columns than these nobody reads side by side.
MOST_SUBSETS = 3


@dataclass(frozen=True)
class PictureTime:
    """ms for one picture; `low` and `high` where an estimate has them, else it is the compiler's own profile."""

    ms: float
    low: float | None = None
    high: float | None = None

    @property
    def estimated(self) -> bool:
        return self.low is not None


@dataclass(frozen=True)
class ZooRow:
    """`name`: as on the command line. `no_time`: why its time is not known."""

    name: str
    artifact: Artifact
    time: PictureTime | None
    no_time: str = ""

    @property
    def page(self) -> str:
        """Path of its own page below the report."""
        return f"{self.artifact.file.removesuffix('.bmodel')}.html"

    def ap(self, subset: str) -> float | None:
        """Average precision in percent."""
        found = self.artifact.accuracy.ap.get(subset) if self.artifact.accuracy is not None else None
        return None if found is None else 100 * found

    def change(self, subset: str) -> float | None:
        """Points against ONNX; below 0 where the artifact is worse."""
        onnx = self.artifact.accuracy.onnx.get(subset) if self.artifact.accuracy is not None else None
        own = self.ap(subset)
        return None if own is None or onnx is None else own - 100 * onnx

    @property
    def worst_change(self) -> float | None:
        """Of all subsets, the one that loses most."""
        names = self.artifact.accuracy.ap if self.artifact.accuracy is not None else ()
        return min((found for name in names if (found := self.change(name)) is not None), default=None)

    @property
    def found_share(self) -> float | None:
        """Of what the ONNX model finds, what the artifact finds too, in percent."""
        missed = self.artifact.agreement.share("missed") if self.artifact.agreement is not None else None
        return None if missed is None else 100 * (1 - missed)


def zoo_row(name: str, artifact: Artifact, profile: StoredProfile | NoProfile) -> ZooRow:
    """The row of a target."""
    estimate = getattr(artifact, "estimate", None)
    if estimate is not None:
        return ZooRow(name, artifact, PictureTime(estimate.ms, estimate.low, estimate.high))
    if isinstance(profile, NoProfile):
        return ZooRow(name, artifact, None, profile.why)
    return ZooRow(name, artifact, PictureTime(profile.milliseconds / artifact.batch))


def shown_subsets(rows: Iterable[ZooRow]) -> list[str]:
    """Subsets of the ground truth that get a column: those that most targets have."""
    named = Counter(name for row in rows if row.artifact.accuracy is not None for name in row.artifact.accuracy.ap)
    return by_subset(name for name, _ in named.most_common(MOST_SUBSETS))
