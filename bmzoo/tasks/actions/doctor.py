"""Checks whether this machine can build: a list of findings, with a fix for each problem."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bmzoo.config.model import using
from bmzoo.config.search_methods import method_of
from bmzoo.errors import BmzooError, legible
from bmzoo.execute.toolchain import SYSTEM_PATH, Installation, find_installation
from bmzoo.plan.fed import pictures
from bmzoo.plan.selftest import selftest_step
from bmzoo.runtime.engines.overlay import FOREIGN_LIBC
from bmzoo.system import process
from bmzoo.system.supervisor import ADDR_NO_RANDOMIZE
from bmzoo.workspace import Workspace

GIB = 1 << 30
DISK_NEEDED, MEMORY_NEEDED = 3 * GIB, 2 * GIB
# Folders in build/ that tasks write to, beside those of the chips.
BUILT = (
    *("store", "scratch", "cache", "logs", "failed", "last", "partial", "eval", "tune", "quarantine", "qtables"),
    *("cache/scenes", "store/scratch", "scratch/making"),
)
# Exits with 1 where address space randomization is on.
_FIXED = f"import ctypes, sys; sys.exit(not ctypes.CDLL(None).personality(0xFFFFFFFF) & {ADDR_NO_RANDOMIZE})"
_PIN = re.compile(r"^([A-Za-z0-9_.\-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """One line of the report. A `bad` finding prevents builds; `fix` is the hint."""

    what: str
    state: str
    bad: bool = False
    fix: str = ""

    def __str__(self) -> str:
        mark = "PROBLEM" if self.bad else "note" if self.fix else "ok"
        fix = f"\n{'':9}{'':14}hint: {self.fix}" if self.fix else ""
        return legible(f"{mark:9}{self.what:14}{self.state}{fix}")


def examine(at: Workspace) -> Iterator[Finding]:
    """All findings, the quick checks first."""
    yield _interpreter()
    yield _packages(at.root / "requirements.lock", external=bool(at.environ.get("TPUC_ROOT")))
    installation = find_installation(at.environ)
    if installation is None:
        root = at.environ.get("TPUC_ROOT")
        state = f"$TPUC_ROOT is not a folder: {root}" if root else "TPU-MLIR is not installed"
        yield Finding("toolchain", state, True, "start bmzoo with ./doit, or set TPUC_ROOT to an installation")
    else:
        yield Finding("toolchain", f"tpu_mlir {installation.version} in {installation.root}")
        yield _libc(installation)
    yield _disk(at.layout.build)
    yield _writable(at)
    yield _memory()
    yield _addresses()
    yield from _configs(at)
    yield from _data(at)
    yield _shared_store(at)
    yield from _drawing(at)
    if installation is not None:
        yield _selftest(at)


def _interpreter() -> Finding:
    version = platform.python_version()
    bad = sys.version_info[:2] != (3, 10)
    return Finding(
        "python",
        f"{version} in {sys.prefix}",
        bad,
        "TPU-MLIR needs 3.10: remove .venv, run ./doit" if bad else "",
    )


def _packages(lock: Path, external: bool) -> Finding:
    try:
        pins = dict(_PIN.findall(lock.read_text(encoding="utf-8")))
    except OSError as error:
        return Finding("packages", f"{lock.name} cannot be read: {error.strerror}", True, "restore it from git")
    if external:
        pins.pop("tpu_mlir", None)
    wrong = [f"{name} {_version(name)}, not {pin}" for name, pin in pins.items() if _version(name) != pin]
    if wrong:
        return Finding(
            "packages", f"not as locked: {', '.join(wrong[:4])}", True, "remove .venv and run ./doit again"
        )
    return Finding("packages", f"{len(pins)}, all as locked")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _libc(installation: Installation) -> Finding:
    host = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    left = [name for name in FOREIGN_LIBC if (installation.root / "lib" / "third_party" / name).exists()]
    if left and host != "glibc 2.35":
        fix = f"move {', '.join(left)} out of {installation.root / 'lib' / 'third_party'}"
        return Finding("glibc", f"{host} here, the toolchain brings 2.35 of its own", True, fix)
    return Finding("glibc", f"{host}, the toolchain's own copy is out of the way" if not left else host)


def _disk(build: Path) -> Finding:
    where = next(p for p in (build, *build.parents) if p.exists())
    free = shutil.disk_usage(where).free
    bad = free < DISK_NEEDED
    return Finding("disk", f"{free / GIB:.1f} GiB free at {where}", bad, "a build needs 3 GiB" if bad else "")


def _writable(at: Workspace) -> Finding:
    """Whether files can be made wherever tasks make them; a self-test whose result is known writes nothing."""
    problems = {at.layout.shown(folder): why for folder in _written(at) if (why := _refusal(folder))}
    if not problems:
        return Finding("folders", "everything that tasks write can be written")
    told = ", ".join(f"{name}: {why}" for name, why in problems.items())
    return Finding("folders", f"cannot be written: {told}", True, "check who owns them, and their disk")


def _written(at: Workspace) -> Iterator[Path]:
    """Every folder that tasks write to; of those inside build/, the ones that are there."""
    build = at.layout.build
    artifacts = (at.layout.artifact(target) for model in at.models.values() for target in model.targets)
    inside = (*(build / name for name in BUILT), *dict.fromkeys(path.parent for path in artifacts))
    beside = (at.root / "models" / "onnx", at.root / "calibration", at.root / "qtables", at.layout.configs)
    yield from (build, *(path for path in inside if path.exists() or path.is_symlink()), *beside)


def _refusal(folder: Path) -> str:
    """Why no file can be made in a folder, or in the one where it would be made; empty where one can."""
    where = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    try:
        with tempfile.TemporaryFile(dir=where):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    bad = free < MEMORY_NEEDED
    return Finding("memory", f"{free / GIB:.1f} GiB available", bad, "a build needs 2 GiB" if bad else "")


def _addresses() -> Finding:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        status = process.run(process.Call((sys.executable, "-I", "-c", _FIXED), folder, folder / "log.txt"))
    if status == 0:
        return Finding("addresses", "the same for every run of the compiler")
    fix = "now and then two instructions change places; in docker: run --security-opt seccomp=unconfined"
    return Finding("addresses", "randomization cannot be turned off here", fix=fix)


def _configs(at: Workspace) -> Iterator[Finding]:
    for name, error in at.configs.broken.items():
        yield Finding("config", f"{name}: {error.message}", True, error.hint)
    for name, model in at.models.items():
        yield Finding("config", f"{name}: {len(model.targets)} targets")


def _data(at: Workspace) -> Iterator[Finding]:
    for model in at.models.values():
        sources = at.sources(model)
        try:
            weights = at.weights.chosen(model)
            yield Finding("weights", f"{model.name}: {weights.name}, {sources.find(weights.file)}")
        except BmzooError as error:
            yield Finding("weights", f"{model.name}: {error.message}", True, error.hint)
        config = using(model, at.weights.likely(model)).config
        wanted = [("verify", config.verify.images)] if config.verify.images else []
        if config.calibration and config.calibration.images:
            wanted.append(("calibration", config.calibration.images))
        for what, images in wanted:
            try:
                found = sources.pictures(pictures(images))
                yield Finding("pictures", f"{model.name}: {what}: {len(found.files)} in {found.folder}")
            except BmzooError as error:
                yield Finding("pictures", f"{model.name}: {what}: {error.message}", True, error.hint)


def _drawing(at: Workspace) -> Iterator[Finding]:
    """Graphviz, where a model uses a search of TPU-MLIR, which draws the network and fails without it."""
    searches = ((m.name, m.search(target)) for m in at.models.values() for target in m.targets)
    models = dict.fromkeys(name for name, search in searches if search and method_of(search.method).programs)
    if models:
        found = shutil.which("dot", path=SYSTEM_PATH)
        state = found or f"not installed, and the search of {', '.join(models)} needs it"
        yield Finding("graphviz", state, found is None, "" if found else "apt-get install graphviz")


def _shared_store(at: Workspace) -> Finding:
    """Builds work without the shared store, so only an invalid setting is bad."""
    what = "shared store"
    try:
        remote = at.remote
    except BmzooError as error:
        return Finding(what, error.message, True, error.hint or "see `store` in configs/zoo.yaml, or $BMZOO_STORE")
    if remote is None:
        return Finding(what, "none named, so results are not shared")
    with tempfile.TemporaryDirectory() as folder:
        found = remote.trial(Path(folder))
    if found.reading:
        return Finding(
            what, f"{remote.url}: {found.reading}", fix="builds go on without it; $BMZOO_STORE= turns it off"
        )
    if found.writing:
        return Finding(
            what, f"{remote.url}: readable; not writable: {found.writing}", fix="what is made here is not shared"
        )
    if found.closed:
        count, first = len(found.closed), ", ".join(found.closed[:4])
        folders = f"{count} folder{'s' if count > 1 else ''} of other users closed: {first}"
        return Finding(what, f"{remote.url}: {folders}", fix="their owners can open them: chmod -R g+rwX FOLDER")
    return Finding(what, f"{remote.url}: readable and writable")


def _selftest(at: Workspace) -> Finding:
    start = time.monotonic()
    try:
        builder = at.builder(None)
        known = builder.find(selftest_step()) is not None
        builder.run(selftest_step())
    except BmzooError as error:
        return Finding("self-test", error.message, True, error.hint)
    how = "passed before with this toolchain" if known else f"passed in {time.monotonic() - start:.1f} s"
    return Finding("self-test", f"{how}: transform, calibrate, deploy, simulate, float and INT8")


def run_doctor(at: Workspace) -> None:
    """Print what `examine` finds. Raises BmzooError where one of it is a problem."""
    bad = False
    for finding in examine(at):
        bad |= finding.bad
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
    if bad:
        raise BmzooError("a build could not work here", "each problem above has its fix beside it")
