"""An upgrade as a table for the terminal, as a page, and as JSON. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict

from bmzoo.errors import legible
from bmzoo.release.diff_report import sentence
from bmzoo.release.manifest import Artifact
from bmzoo.release.upgrade import MadeWith, Upgrade
from bmzoo.system.markdown import plain, table
from bmzoo.system.text import aligned
from bmzoo.target import Target

WORDS = ("target", "verdict", "bytes", "")


def _metric(artifact: Artifact) -> str:
    """The first of its figures, in percent."""
    figures = artifact.accuracy.titled if artifact.accuracy is not None else {}
    return next((f"{name} {100 * value:.2f}" for name, (value, _) in figures.items()), "")


_FIGURES: Mapping[str, Callable[[Artifact], str]] = {
    "verdict": lambda a: a.status if a.status != "failed" else f"failed: {a.stage}",
    "metric": _metric,
    "cosine": lambda a: "" if a.agreement is None or a.agreement.cosine is None else f"{a.agreement.cosine:.5f}",
    "cost": lambda a: "" if a.cost is None else f"{a.cost:,}",
    "size": lambda a: "" if a.size is None else f"{a.size:,}",
    "float layers": lambda a: "" if a.float_layers is None else str(a.float_layers),
}


def upgrade_text(found: Upgrade) -> str:
    """For the terminal: a line for each target, why some fail, what holds for all, and the verdict."""
    lines = [
        *aligned({title: cells for title, cells in _columns(found).items() if any(cells)}, WORDS),
        *(f"{name} with {version}: {why}" for name, version, why in failures(found)),
        *worse(found),
        *found.notes,
        found.verdict,
    ]
    return legible("\n".join(lines)) + "\n"


def upgrade_page(found: Upgrade) -> str:
    """The same as Markdown."""
    parts = [
        f"# TPU-MLIR {found.old.version} to {found.new.version}\n",
        f"{plain(found.verdict)}.\n",
        table({title: [_escaped(cell) for cell in cells] for title, cells in _columns(found).items()}, WORDS),
        *_listed("What gets worse", list(worse(found))),
        *_listed("What fails", [f"{name} with {version}: {why}" for name, version, why in failures(found)]),
        *_listed("What else to know", [*found.notes, *map(_source, (found.old, found.new))]),
    ]
    return "\n".join(parts)


def upgrade_json(found: Upgrade) -> str:
    """Everything, for other programs."""
    told = {
        "schema_version": 1,
        "old": _told(found.old),
        "new": _told(found.new),
        "targets": list(map(found.name, found.targets)),
        "same_bytes": list(map(found.name, found.same)),
        "changes": [asdict(change) for change in found.comparison.changes],
        "notes": found.notes,
        "safe": found.safe,
        "verdict": found.verdict,
        "reasons": found.reasons,
    }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def failures(found: Upgrade) -> Iterator[tuple[str, str, str]]:
    """Target, version and reason of every target that a version did not make, or that is not sound."""
    for target in found.targets:
        for made in (found.old, found.new):
            one = made.artifacts[target]
            if one.status in ("failed", "built"):
                where = f" ({one.evidence})" if one.evidence else ""
                yield found.name(target), made.version, f"{one.cause or 'not said'}{where}"


def worse(found: Upgrade) -> Iterator[str]:
    """Every change for the worse but those that `failures` tells."""
    failing = {name for name, version, _ in failures(found) if version == found.new.version}
    for change in found.comparison.regressions:
        if change.figure != "status" or change.target not in failing:
            yield f"{change.target}: {sentence(change)}"


def _columns(found: Upgrade) -> dict[str, list[str]]:
    targets = found.targets
    worse = {change.target for change in found.comparison.regressions}
    cells = {title: [_both(found, target, of) for target in targets] for title, of in _FIGURES.items()}
    times = [_change(*(_time(made, target) for made in (found.old, found.new))) for target in targets]
    return {
        "target": list(map(found.name, targets)),
        **{title: cells[title] for title in ("verdict", "metric", "cosine")},
        "ms": times,
        **{title: cells[title] for title in ("cost", "size", "float layers")},
        "bytes": list(map(found.bytes_of, targets)),
        "": ["worse" if found.name(target) in worse else "" for target in targets],
    }


def _both(found: Upgrade, target: Target, of: Callable[[Artifact], str]) -> str:
    return _change(of(found.old.artifacts[target]), of(found.new.artifacts[target]))


def _change(old: str, new: str) -> str:
    return new if old == new else f"{old or '-'} -> {new or '-'}"


def _time(made: MadeWith, target: Target) -> str:
    return f"{made.times[target]:.4g}" if target in made.times else ""


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    items = [f"- {_escaped(line)}" for line in lines]
    if items:
        yield "\n".join([f"## {title}\n", *items, ""])


def _escaped(text: str) -> str:
    """For a page, where an arrow is one."""
    return plain(text.replace("->", "→"))


def _source(made: MadeWith) -> str:
    return (
        f"{made.version} is {made.url}, sha256 {made.sha256}"
        if made.sha256
        else f"{made.version} is the one in use"
    )


def _told(made: MadeWith) -> dict[str, object]:
    artifacts = {str(target): artifact.model_dump(mode="json") for target, artifact in made.artifacts.items()}
    about = {"version": made.version, "url": made.url, "sha256": made.sha256, "libraries": made.libraries}
    return {
        **about,
        "artifacts": list(artifacts.values()),
        "milliseconds": {str(t.artifact): ms for t, ms in made.times.items()},
    }
