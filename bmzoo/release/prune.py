"""Finds, lists and removes orphans: results of targets, models or weights that no config has any more.

Only unmodified files that bmzoo wrote are removed. Kept are: an artifact that does not match its provenance, a
table edited by hand, a file that git tracks, and everything of a model whose config is broken.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bmzoo.chips import CHIPS
from bmzoo.errors import ConfigError
from bmzoo.execute import decisions, published
from bmzoo.execute.layout import Layout
from bmzoo.plan.resources import BY_KIND
from bmzoo.plan.verify import engine as engine_of
from bmzoo.runtime.listing import is_stray
from bmzoo.system.files import cannot_write
from bmzoo.target import Target, parse
from bmzoo.workspace import Workspace

_SUFFIXES = (".verify.json", ".profile.json", ".bmodel", ".json")
_ARTIFACT = re.compile(r"(?P<model>.+)_(?P<rest>[^_]+_[0-9]+b(?:_[0-9]+core)?)")
EDITED = "not as bmzoo wrote it"


@dataclass(frozen=True)
class Orphan:
    """A file of a target, model or weights that no config has, or a folder of evidence about one.

    `spared`: why it is kept; empty for one that may be removed.
    """

    path: Path
    model: str
    spared: str = ""


def find_orphans(at: Workspace, tracked: Collection[Path] | None) -> tuple[Orphan, ...]:
    """All orphans. `tracked`: the files that git tracks, None when that is unknown.

    Raises ConfigError when there is no config at all, as everything would be an orphan then.
    """
    if not at.models and not at.broken:
        raise ConfigError("configs/: no config at all: nothing says what is left over", "is this the right branch?")
    found = (*_artifacts(at), *_evaluations(at), *_benchmarks(at), *_evidence(at), *_models(at), *_tables(at))
    return tuple(_spare(at, orphan, tracked) for orphan in found)


def remove(orphans: Collection[Orphan]) -> None:
    """Remove those that are not spared. Raises StoreError."""
    for orphan in orphans:
        if not orphan.spared:
            try:
                if orphan.path.is_dir():
                    shutil.rmtree(orphan.path)
                else:
                    orphan.path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(orphan.path, error) from None


def lines(orphans: Collection[Orphan], layout: Layout, removed: bool) -> Iterator[str]:
    """A listing of orphans for the terminal; the last line says what to do, or what was done."""
    gone = [one for one in orphans if not one.spared]
    for one in gone:
        yield f"{'removed ' if removed else ''}{layout.shown(one.path)}"
    for one in orphans:
        if one.spared:
            yield f"spared: {layout.shown(one.path)}: {one.spared}"
    what = f"{len(gone)} file{'s' if len(gone) != 1 else ''} in no config any more"
    if not gone:
        yield "nothing to prune"
    else:
        yield f"{what}, removed" if removed else f"{what}; ./doit prune yes=1 removes what is listed"


def _spare(at: Workspace, orphan: Orphan, tracked: Collection[Path] | None) -> Orphan:
    why = orphan.spared
    if orphan.model in at.broken:
        why = f"the config of {orphan.model} is broken, so it may still be wanted"
    elif tracked is not None and orphan.path in tracked:
        why = "git tracks it"
    elif tracked is None and not orphan.path.is_relative_to(at.layout.build):
        why = "git does not say whether it tracks it"
    return Orphan(orphan.path, orphan.model, why)


def _artifacts(at: Workspace) -> Iterator[Orphan]:
    wanted = {target for model in at.models.values() for target in model.targets}
    for chip in CHIPS.values():
        for path in _files(at.layout.build / chip.folder):
            target = _target(path, chip.name)
            if target is not None and target not in wanted:
                yield Orphan(path, target.model, "" if _is_ours(at, path, target) else EDITED)


def _target(path: Path, chip: str) -> Target | None:
    """The target that a file belongs to by its name, as artifact, provenance or verification."""
    suffix = next((s for s in _SUFFIXES if path.name.endswith(s)), "")
    name = _ARTIFACT.fullmatch(path.name.removesuffix(suffix))
    if not suffix or name is None:
        return None
    target = _named(name["model"], f"{chip}_{name['rest']}")
    return target if target is not None and Path(target.artifact).stem == name[0] else None


def _is_ours(at: Workspace, path: Path, target: Target) -> bool:
    told = published.read_document(at.layout.provenance(target))
    if path.suffix == ".bmodel":
        return told.get("target") == asdict(target) and at.digests.holds(path, str(told.get("sha256")))
    if path.name.endswith(".profile.json"):
        files = told.get("steps", {}).get("deploy", {}).get("files", {})
        return told.get("target") == asdict(target) and at.digests.holds(path, str(files.get("profile.json")))
    return published.read_document(path).get("target") == asdict(target)


def _evaluations(at: Workspace) -> Iterator[Orphan]:
    for path in _files(at.layout.build / "eval"):
        told = published.read_document(path)
        model, weights, engine = (str(told.get(key)) for key in ("model", "weights", "engine"))
        if path.name != f"{model}.{weights}.{engine}.json":
            continue
        config = at.models.get(model)
        engines = {"onnx"} if config is None else {"onnx", *(engine_of(config, t) for t in config.targets)}
        if engine not in engines or not _has_weights(at, model, weights):
            yield Orphan(path, model)


def _benchmarks(at: Workspace) -> Iterator[Orphan]:
    for path in _files(at.layout.build / "bench"):
        network = Path(str(published.read_document(path).get("network")))
        if network.suffix == ".onnx" and path.stem == network.stem:
            model, _, weights = network.stem.rpartition(".")
            if not _has_weights(at, model, weights):
                yield Orphan(path, model)
        elif path.stem == f"{network.parent.name}.{network.stem}":
            target = _target(network, network.parent.name.lower())
            if target is not None and not _is_wanted(at, target):
                yield Orphan(path, target.model)


def _evidence(at: Workspace) -> Iterator[Orphan]:
    """Orphaned folders below `build/failed/`: by chip and artifact, and by kind of step, model and weights."""
    failed = at.layout.build / "failed"
    for chip in CHIPS.values():
        for path in _folders(failed / chip.folder):
            target = _target(path.with_name(f"{path.name.removesuffix('.reproduce')}.bmodel"), chip.name)
            if target is not None and not _is_wanted(at, target):
                yield Orphan(path, target.model)
    weights = {f"{name}.{w.name}": model for name, model in at.models.items() for w in model.config.weights}
    for path in _folders(failed):
        kind, _, subject = path.name.partition(".")
        if kind not in BY_KIND or not subject:
            continue
        own = next((name for name in weights if f"{subject}.".startswith(f"{name}.")), None)
        if own is None:
            broken = next((name for name in at.broken if subject.startswith(f"{name}.")), subject)
            yield Orphan(path, broken)
            continue
        target = _named(weights[own].name, subject.removeprefix(f"{own}."))
        if target is not None and not _is_wanted(at, target):
            yield Orphan(path, target.model)


def _named(model: str, text: str) -> Target | None:
    try:
        return parse(f"{model}.{text}", "")
    except ConfigError:
        return None


def _is_wanted(at: Workspace, target: Target) -> bool:
    return target.model in at.models and target in at.models[target.model].targets


def _models(at: Workspace) -> Iterator[Orphan]:
    made: set[str] | None = None
    for path in _files(at.root / "models" / "onnx"):
        model, _, weights = path.stem.rpartition(".")
        if path.suffix == ".onnx" and model and not _has_weights(at, model, weights):
            made = made if made is not None else set(_imported(at.layout))
            ours = any(at.digests.holds(path, digest) for digest in made)
            yield Orphan(path, model, "" if ours else "not known to be written by bmzoo")


def _imported(layout: Layout) -> Iterator[str]:
    """Digests of all ONNX models that an import wrote, from cached results and provenances."""
    for path in (layout.build / "store").glob("*/*/manifest.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["facts"]["material"].get("kind") == "import":
                yield str(told["files"]["model.onnx"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    for chip in CHIPS.values():
        for path in _files(layout.build / chip.folder):
            if path.suffix == ".json" and not path.name.endswith((".verify.json", ".profile.json")):
                measure = published.read_document(path).get("steps", {}).get("measure", {})
                yield str(measure.get("inputs", {}).get("model.onnx"))


def _tables(at: Workspace) -> Iterator[Orphan]:
    for folder, suffix, parts in (("calibration", ".table", 2), ("qtables", ".qtable", 3)):
        for path in _files(at.root / folder):
            name = path.stem.rsplit(".", parts - 1)
            if path.suffix != suffix or len(name) != parts or _has_weights(at, name[0], name[1]):
                continue
            ours = decisions.is_ours(path.read_text(encoding="utf-8", errors="replace"))
            yield Orphan(path, name[0], "" if ours else "written or edited by hand")


def _has_weights(at: Workspace, model: str, weights: str) -> bool:
    config = at.models.get(model)
    return config is not None and weights in [w.name for w in config.config.weights]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not is_stray(p.name))
    except OSError:
        return []


def _files(folder: Path) -> list[Path]:
    """Regular files only: bmzoo publishes no symlinks."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_file() and not p.is_symlink() and not is_stray(p.name))
    except OSError:
        return []
