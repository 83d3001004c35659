"""Two versions of TPU-MLIR side by side: the same targets made with both, what differs, is it safe. Pure.

It is a difference of two manifests (`diff.py`), by the same limits, with the time that each compiler gives its own
profile in place of an estimate, which is known of one version only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bmzoo.config.project import Regression
from bmzoo.release.diff import Change, Comparison, compare_manifests
from bmzoo.release.diff_report import sentence
from bmzoo.release.figures import Metric
from bmzoo.release.manifest import Artifact, ZooManifest
from bmzoo.target import Target

SOUND = ("verified", "unverified")


@dataclass(frozen=True)
class MadeWith:
    """What a version made of the targets. `times`: ms for one picture, by its own profile, where it wrote one.

    `contents`: digests of the artifacts without the name of the version, which each compiler writes into them.
    `url`, `sha256`: of its wheel, where bmzoo installed it. `libraries`: of which it ran with others than it names.
    """

    version: str
    artifacts: Mapping[Target, Artifact]
    times: Mapping[Target, float]
    contents: Mapping[Target, str] = field(default_factory=dict)
    url: str = ""
    sha256: str = ""
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upgrade:
    """Both, and what changes from one to the other. `notes`: what holds for all targets."""

    old: MadeWith
    new: MadeWith
    comparison: Comparison
    default_model: str
    notes: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(self.new.artifacts)

    def name(self, target: Target) -> str:
        return target.qualified(self.default_model)

    @property
    def failing(self) -> tuple[Target, ...]:
        """Those that neither version makes a sound artifact of."""
        return tuple(
            t for t in self.targets if not any(_is_sound(made.artifacts[t]) for made in (self.old, self.new))
        )

    @property
    def same(self) -> tuple[Target, ...]:
        """Those of which both make the same bytes, but for the name of the version."""
        return tuple(t for t in self.targets if self.bytes_of(t).startswith("same"))

    def bytes_of(self, target: Target) -> str:
        """In a word whether they are the same; empty where one of the versions made none."""
        before, now = (made.artifacts[target].sha256 for made in (self.old, self.new))
        if before is None or now is None:
            return ""
        if before == now:
            return "same"
        old, new = self.old.contents.get(target), self.new.contents.get(target)
        return "same but for the version" if old is not None and old == new else "other"

    @property
    def safe(self) -> bool:
        """Whether nothing gets worse, of what says something: a target that both fail with says nothing."""
        return not self.comparison.regressions and len(self.failing) < len(self.targets)

    @property
    def verdict(self) -> str:
        """In a line: safe, or how many targets are not."""
        worse = len(dict.fromkeys(change.target for change in self.comparison.regressions))
        whole, way = len(self.targets), f"{self.old.version} to {self.new.version}"
        targets = f"{whole} target{'s' if whole != 1 else ''}"
        beside = f"{len(self.same)} with the same bytes"
        if self.failing:
            beside += f", {len(self.failing)} that neither makes"
        if self.safe:
            return f"safe from {way}: nothing gets worse in {targets} ({beside})"
        if not worse:
            return f"not known to be safe from {way}: neither makes a sound artifact of {targets}"
        return f"not safe from {way}: {worse} of {targets} get{'s' if worse == 1 else ''} worse ({beside})"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not safe, a line for each change for the worse."""
        return tuple(f"{change.target}: {sentence(change)}" for change in self.comparison.regressions)


def side_by_side(
    old: MadeWith, new: MadeWith, limits: Regression, default_model: str, notes: tuple[str, ...]
) -> Upgrade:
    """What changes between two versions. Both have the same targets in the same order."""
    before, now = (ZooManifest(artifacts=tuple(map(_comparable, made.artifacts.values()))) for made in (old, new))
    found = compare_manifests(before, now, limits, default_model)
    changes = [*found.changes, *_slower(old, new, limits, default_model)]
    order = {name: index for index, name in enumerate(found.targets)}
    changes.sort(key=lambda change: order[change.target])
    return Upgrade(old, new, replace(found, changes=tuple(changes)), default_model, notes)


def not_made(target: Target, why: str) -> Artifact:
    """A target that a version has not made, for a reason of its config."""
    about = {"model": target.model, "chip": target.chip, "precision": target.precision, "batch": target.batch}
    return Artifact.model_validate(
        {
            **about,
            "cores": target.cores,
            "file": target.artifact,
            "status": "failed",
            "stage": "build",
            "cause": why,
        }
    )


def _is_sound(artifact: Artifact) -> bool:
    return artifact.status in SOUND


def _comparable(artifact: Artifact) -> Artifact:
    """Without what is known of one version only."""
    return artifact.model_copy(update={"estimate": None, "no_estimate": None})


def _slower(old: MadeWith, new: MadeWith, limits: Regression, default_model: str) -> Iterator[Change]:
    """Changes of the compilers' own times, which may rise by as much as their cost."""
    for target in (one for one in old.times if one in new.times):
        before, now = old.times[target], new.times[target]
        figure = Metric("time", before, "{:.4g} ms", +1, limits.cost, percent=True)
        if figure.shown(before) != figure.shown(now):
            yield Change(
                *(target.qualified(default_model), figure.name, figure.shown(before), figure.shown(now)),
                *(figure.difference(before, now), figure.allowed(), figure.is_regression(before, now)),
            )
