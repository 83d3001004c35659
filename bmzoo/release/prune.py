"""Finds, lists and removes orphans: results of targets, models or weights that no config has any more.

What is wanted is computed from the configs (wanted.py) and compared by path: a name alone does not tell models from
weights where both may have dots. Only unmodified files that bmzoo wrote are removed. Kept are: an artifact unlike
its provenance, a table edited by hand, a file that git tracks, and everything of a model whose config is broken.
"""

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.errors import ConfigError
from bmzoo.execute import decisions, published
from bmzoo.execute.layout import Layout
from bmzoo.plan.resources import BY_KIND
from bmzoo.release.wanted import wanted
from bmzoo.runtime.listing import is_stray
from bmzoo.system.files import cannot_write
from bmzoo.target import Target, parse
from bmzoo.workspace import Workspace

_MODELS = frozenset(chip.suffix for chip in CHIPS.values())
_SUFFIXES = (".verify.json", ".profile.json", *_MODELS, ".json")
_COMBINED = re.compile(r".+_[^_]+(?:_[0-9]+b){2,}(?:_[0-9]+core)?")
_ARTIFACT = re.compile(r"(?P<model>.+)_(?P<rest>[^_]+_[0-9]+b(?:_[0-9]+core)?)")
# What `tune` writes, or wrote.
_TUNED = {"tune.json", "table.md", "pareto.html", "pareto.png"}
EDITED = "not as bmzoo wrote it"


@dataclass(frozen=True)
class Orphan:
    """A file of a target, model or weights that no config has, or a folder of evidence about one.

    `spared`: why it is kept; empty for one that may be removed.
    """

    path: Path
    spared: str = ""


def find_orphans(at: Workspace, tracked: Collection[Path] | None) -> tuple[Orphan, ...]:
    """All orphans. `tracked`: the files that git tracks, None when that is unknown.

    Raises ConfigError when there is no config at all, as everything would be an orphan then.
    """
    if not at.models and not at.configs.broken:
        raise ConfigError("configs/: no config at all: nothing says what is left over", "is this the right branch?")
    keep = wanted(at)
    results = (
        *_artifacts(at),
        *_combined(at),
        *_exports(at),
        *_evaluations(at),
        *_audits(at),
        *_benchmarks(at),
        *_tuned(at),
        *_evidence(at),
    )
    found = (*results, *_models(at, keep), *_tables(at))
    return tuple(_spare(at, one, tracked) for one in found if not {one.path, one.path.resolve()} & keep)


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
    broken = next(
        (name for name in at.configs.broken if re.search(rf"(^|\.){re.escape(name)}[._]", orphan.path.name)), ""
    )
    if broken:
        why = f"the config of {broken} is broken, so it may still be wanted"
    elif tracked is not None and orphan.path in tracked:
        why = "git tracks it"
    elif tracked is None and not orphan.path.is_relative_to(at.layout.build):
        why = "git does not say whether it tracks it"
    return replace(orphan, spared=why)


def _artifacts(at: Workspace) -> Iterator[Orphan]:
    for chip in CHIPS.values():
        for path in _files(at.layout.build / chip.folder):
            target = _target(path, chip.name)
            if target is not None:
                yield Orphan(path, "" if _is_ours(at, path, target) else EDITED)


def _target(path: Path, chip: str) -> Target | None:
    """The target that a file belongs to by its name, as artifact, provenance or verification."""
    suffix = next((s for s in _SUFFIXES if path.name.endswith(s)), "")
    name = _ARTIFACT.fullmatch(path.name.removesuffix(suffix))
    if not suffix or name is None:
        return None
    target = _named(name["model"], f"{chip}_{name['rest']}")
    known = target is not None and Path(target.stem).name == name[0]
    return target if known and suffix in (".verify.json", ".profile.json", ".json", CHIPS[chip].suffix) else None


def _exports(at: Workspace) -> Iterator[Orphan]:
    """Archives, which are whole in themselves: ./doit attest says whether one was changed."""
    for chip in CHIPS.values():
        for path in _files(at.layout.build / "export" / chip.folder):
            target = _target(path.with_suffix(chip.suffix), chip.name)
            if target is not None and path == at.layout.export(target):
                yield Orphan(path)


def _combined(at: Workspace) -> Iterator[Orphan]:
    """Artifacts of several batches in one file, whose parts are kept by themselves."""
    for chip in CHIPS.values():
        for path in _files(at.layout.build / "combined" / chip.folder):
            if path.suffix in (chip.suffix, ".json") and _COMBINED.fullmatch(path.stem):
                yield Orphan(path)


def _is_ours(at: Workspace, path: Path, target: Target) -> bool:
    told = published.read_document(at.layout.provenance(target))
    if path.suffix in _MODELS:
        return told.get("target") == asdict(target) and at.digests.holds(path, str(told.get("sha256")))
    if path.name.endswith(".profile.json"):
        files = told.get("steps", {}).get("deploy", {}).get("files", {})
        return told.get("target") == asdict(target) and at.digests.holds(path, str(files.get("profile.json")))
    return published.read_document(path).get("target") == asdict(target)


def _evaluations(at: Workspace) -> Iterator[Orphan]:
    for path in _files(at.layout.build / "eval"):
        told = published.read_document(path)
        if path == at.layout.evaluation(*(str(told.get(key)) for key in ("model", "weights", "engine"))):
            yield Orphan(path)


def _audits(at: Workspace) -> Iterator[Orphan]:
    for path in _files(at.layout.build / "audit"):
        told = published.read_document(path)
        if path == at.layout.audit(*(str(told.get(key)) for key in ("model", "weights"))):
            yield Orphan(path)


def _benchmarks(at: Workspace) -> Iterator[Orphan]:
    for path in _files(at.layout.build / "bench"):
        network = _document(path).get("network")
        if isinstance(network, str) and path == at.layout.bench(Path(network)):
            yield Orphan(path)


def _document(path: Path) -> Mapping[str, Any]:
    """A JSON document that may be older than the number of its schema."""
    try:
        found = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    """A file's text; empty where it cannot be read, which is nothing that bmzoo wrote."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _tuned(at: Workspace) -> Iterator[Orphan]:
    for path in _folders(at.layout.tuning("")):
        names = set(os.listdir(path))  # noqa: PTH208  # names, not paths
        if "tune.json" in names:
            yield Orphan(path, "" if names <= _TUNED else EDITED)


def _evidence(at: Workspace) -> Iterator[Orphan]:
    """Folders below `build/failed/`: by chip and artifact, and by kind of step, model and weights."""
    for chip in CHIPS.values():
        for path in _folders(at.layout.failed / chip.folder):
            name = path.name.removesuffix(".reproduce")
            if _target(path.with_name(f"{name}{chip.suffix}"), chip.name) is not None:
                yield Orphan(path)
    for path in _folders(at.layout.failed):
        kind, _, subject = path.name.partition(".")
        if kind in BY_KIND and subject and not _may_be_wanted(at, subject):
            yield Orphan(path)


def _may_be_wanted(at: Workspace, subject: str) -> bool:
    """Whether a step of any model and weights may go by this name; they may have dots, so several can."""
    for model in at.models.values():
        for name in (f"{model.name}.{weights.name}" for weights in model.config.weights):
            if subject == name:
                return True
            if subject.startswith(f"{name}."):
                target = _named(model.name, subject.removeprefix(f"{name}."))
                if target is None or target in model.targets:
                    return True
    return False


def _named(model: str, text: str) -> Target | None:
    try:
        return parse(f"{model}.{text}", "")
    except ConfigError:
        return None


def _models(at: Workspace, keep: Collection[Path]) -> Iterator[Orphan]:
    made: set[str] | None = None
    for path in _files(at.root / "models" / "onnx"):
        if path.suffix == ".onnx" and "." in path.stem and path not in keep:
            made = made if made is not None else set(_imported(at.layout))
            ours = any(at.digests.holds(path, digest) for digest in made)
            yield Orphan(path, "" if ours else "not known to be written by bmzoo")


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
    for folder, suffixes in (("calibration", (".table", ".scales", ".int8")), ("qtables", (".qtable",))):
        for path in _files(at.root / folder):
            if path.suffix in suffixes and "." in path.stem:
                ours = decisions.is_ours(_text(path))
                yield Orphan(path, "" if ours else "written or edited by hand")


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
