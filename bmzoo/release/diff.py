"""Comparison of two manifests: changes, and which are regressions by the thresholds in the config. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from bmzoo.config.project import Regression
from bmzoo.release.figures import Metric, figures
from bmzoo.release.manifest import STATUSES, Artifact, ZooManifest
from bmzoo.target import Target

_RANK = {status: rank for rank, status in enumerate(reversed(STATUSES))}


@dataclass(frozen=True)
class Change:
    """A changed metric or property of one target; `old` and `new` are formatted values."""

    target: str
    figure: str
    old: str
    new: str
    change: str = ""
    allowed: str = ""
    regression: bool = False


@dataclass(frozen=True)
class Comparison:
    """All changes, targets in the order of the new manifest, removed ones last."""

    changes: tuple[Change, ...]
    targets: tuple[str, ...]  # of both manifests
    added: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...]  # changes outside of targets: broken configs, tools, evaluation pictures

    @property
    def regressions(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.regression)

    @property
    def changed(self) -> tuple[str, ...]:
        """Targets in both manifests that differ."""
        new = {*self.added, *self.removed}
        return tuple(dict.fromkeys(c.target for c in self.changes if c.target not in new))


def compare_manifests(
    old: ZooManifest, new: ZooManifest, limits: Regression, default_model: str, allow_removed: bool = False
) -> Comparison:
    """Compare `old` with `new`. A removed target is a regression unless `allow_removed`."""

    def name(target: Target) -> str:
        return target.qualified(default_model)

    before = {a.target: a for a in old.artifacts}
    now = {a.target: a for a in new.artifacts}
    changes: list[Change] = []
    for target, artifact in now.items():
        if target in before:
            changes += _changes(name(target), before[target], artifact, limits)
        else:
            changes.append(Change(name(target), "target", "", f"added, {artifact.status}"))
    removed = [target for target in before if target not in now]
    changes += [
        Change(name(t), "target", before[t].status, "removed", regression=not allow_removed) for t in removed
    ]
    return Comparison(
        changes=tuple(changes),
        targets=tuple(map(name, (*now, *removed))),
        added=tuple(name(t) for t in now if t not in before),
        removed=tuple(map(name, removed)),
        notes=tuple(_notes(old, new)),
    )


def _changes(name: str, old: Artifact, new: Artifact, limits: Regression) -> Iterator[Change]:
    if old.status != new.status:
        worse = _RANK[new.status] < _RANK[old.status]
        why = f"{new.status}: {new.cause}" if new.cause else new.status
        yield Change(name, "status", old.status, why, regression=worse)
    if old.sha256 is None or new.sha256 is None:
        return  # nothing to compare; the change of status explains it
    if old.weights != new.weights:
        yield Change(name, "weights", old.weights or "", new.weights or "")
    found = list(_figures(name, old, new, limits))
    yield from found
    if old.sha256 != new.sha256 and not found:
        yield Change(name, "sha256", old.sha256[:12], new.sha256[:12])


def _figures(name: str, old: Artifact, new: Artifact, limits: Regression) -> Iterator[Change]:
    before = {figure.name: figure for figure in figures(old, limits)}
    now = {figure.name: figure for figure in figures(new, limits)}
    for key in {**now, **before}:
        figure, base = now.get(key), before.get(key)
        kind = base or figure  # of an estimate, the interval of before
        assert kind is not None
        then, value = base.value if base else None, figure.value if figure else None
        # A metric without a limit is left out when its formatted value is the same.
        if then != value and (kind.limit is not None or kind.shown(then) != kind.shown(value)):
            yield _judge(name, kind, then, value)


def _judge(name: str, kind: Metric, old: float | None, new: float | None) -> Change:
    allowed = kind.allowed()
    if new is None:
        # A missing value of a metric with a limit is a regression: nothing shows that the limit is kept.
        gone = kind.limit is not None and kind.kept
        return Change(name, kind.name, kind.shown(old), kind.absent, "", allowed, regression=gone)
    if old is None:
        return Change(name, kind.name, kind.absent, kind.shown(new))
    return Change(
        name,
        kind.name,
        kind.shown(old),
        kind.shown(new),
        kind.difference(old, new),
        allowed,
        kind.is_regression(old, new),
    )


def _notes(old: ZooManifest, new: ZooManifest) -> Iterator[str]:
    for model in sorted(new.broken.keys() - old.broken.keys()):
        yield f"the config of {model} is broken now: {new.broken[model]}"
    for tool in sorted(old.tools.keys() | new.tools.keys()):
        then, now = old.tools.get(tool, ()), new.tools.get(tool, ())
        if then != now:
            yield f"{tool} is another one: {_identity(then)} -> {_identity(now)}"
    counts = [
        tuple(sorted({a.accuracy.pictures for a in m.artifacts if a.accuracy is not None})) for m in (old, new)
    ]
    if all(counts) and counts[0] != counts[1]:
        then_text, now_text = (" or ".join(map(str, count)) for count in counts)
        yield f"figures over {then_text} pictures before, over {now_text} now: not the same measure"


def _identity(names: tuple[str, ...]) -> str:
    """Tool identities with abbreviated digests."""
    words = (" ".join(w[:12] if len(w) == 64 else w for w in name.split()[:3]) for name in names)
    return " and ".join(words) or "none"
