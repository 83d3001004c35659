"""One target as a row of the zoo: the manifest's figures, and its time. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bmzoo.release.manifest import Artifact
from bmzoo.report.profiles import NoProfile, StoredProfile

# More columns than these nobody reads side by side.
MOST_FIGURES = 3


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
        return f"{self.artifact.target.stem}.html"

    @property
    def figures(self) -> Mapping[str, tuple[float, float | None]]:
        """Figures on ground truth by title, such as `AP easy`, and those of ONNX."""
        return self.artifact.accuracy.titled if self.artifact.accuracy is not None else {}

    def reached(self, title: str) -> float | None:
        """A figure in percent."""
        return 100 * self.figures[title][0] if title in self.figures else None

    def change(self, title: str) -> float | None:
        """Points against ONNX; below 0 where the artifact is worse."""
        own, onnx = self.figures.get(title, (0.0, None))
        return None if onnx is None else 100 * own - 100 * onnx

    @property
    def worst_change(self) -> float | None:
        """Of all figures, the one that loses most."""
        return min((found for name in self.figures if (found := self.change(name)) is not None), default=None)

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


def shown_figures(rows: Iterable[ZooRow]) -> list[str]:
    """Figures on ground truth that get a column: those that most targets have, in the order of their metric."""
    counts = Counter(title for row in rows for title in row.figures)
    most = {title for title, _ in counts.most_common(MOST_FIGURES)}
    return [title for title in counts if title in most]
