"""What runs a step's commands: TPU-MLIR as installed here, behind a protocol that tests can fake."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

from bmzoo.commands.registry import COMMANDS
from bmzoo.config.search_methods import LOCKED, RUN_QTABLE, RUN_SENSITIVE_LAYER, SEARCH_QTABLE
from bmzoo.errors import BmzooError, ToolFailed, error_class
from bmzoo.execute.dialect import DIALECT, Capabilities, translated
from bmzoo.execute.failures import ended_by, known_cause
from bmzoo.plan.step import Command
from bmzoo.runtime.engines.overlay import overlay
from bmzoo.runtime.listing import is_stray
from bmzoo.system import process
from bmzoo.system.hashing import Digests

PACKAGE = Path(__file__).resolve().parents[1]
STAND_INS = PACKAGE / "execute" / "placeholders"
# Imported by TPU-MLIR at start, used only for custom operators: stand-ins save 2 GB when they are absent.
PLACEHOLDERS = ("torch", "onnxruntime_extensions")
_VERSION = re.compile(rb"\bv(\d+\.\d+(?:\.\d+)?)-(?:\d{8}|g?[0-9a-f]{7,})")
# Files of an installation that decide what it computes.
_DECISIVE = ("bin/*", "lib/*.so*", "python/*.so", "python/[ctmnu]*/**/*.py")
# Makes the backends of bm1688 and later write a profile, as that of bm1684x does unasked; the bmodel is the same.
PROFILING = {"CMODEL_ENABLE_STAS_GEN": "1"}
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxsim", "opencv-python-headless")


class Toolchain(Protocol):
    """Runs commands and says what it is, so that its version counts in every fingerprint."""

    @property
    def version(self) -> str:
        """For people: `tpu_mlir 1.30.2`."""

    @property
    def release(self) -> str:
        """The version alone, wherever it is installed: what decisions are derived with."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that reach every tool and are the same on every machine."""

    @property
    def searches(self) -> frozenset[str]:
        """Which of vendor.SEARCHES it has."""

    def identity(self, tool: str) -> str:
        """What would run for a tool, changing whenever its results could."""

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        """Run one command in a folder. Raises ToolFailed, or the error that bmzoo's own command reported."""


@dataclass(frozen=True)
class Installation:
    """Where TPU-MLIR lies: the wheel's package folder, or `$TPUC_ROOT`."""

    root: Path
    version: str
    external: bool  # an installation that is not ours: never modified
    # What its tools understand, where plans are put in its words; None for one that takes them as they are.
    knows: Capabilities | None = None


def find_installation(environ: Mapping[str, str]) -> Installation | None:
    """The installation that `$TPUC_ROOT` names, else the one in this environment, else None."""
    if environ.get("TPUC_ROOT"):
        root = Path(environ["TPUC_ROOT"])
        return Installation(root, _vendor_version(root), external=True) if root.is_dir() else None
    try:
        distribution = importlib.metadata.distribution("tpu_mlir")
    except importlib.metadata.PackageNotFoundError:
        return None
    return Installation(Path(str(distribution.locate_file("tpu_mlir"))), distribution.version, external=False)


def installed_searches(installation: Installation | None) -> frozenset[str]:
    """Which of search_methods.SEARCHES can be run; those of the locked version where nothing is installed."""
    return searches_of(installation.root) if installation is not None else LOCKED


def searches_of(root: Path) -> frozenset[str]:
    """Which of vendor.SEARCHES an installation has, by its programs."""
    tools = root / "python" / "tools"
    found = {name for name in (RUN_QTABLE, RUN_SENSITIVE_LAYER) if (tools / name).is_file()}
    try:
        calibration = (tools / "run_calibration.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        calibration = ""
    return frozenset(found | ({SEARCH_QTABLE} if f"'{SEARCH_QTABLE}'" in calibration else set()))


def opened(installation: Installation | None, digests: Digests, echo: bool) -> "LocalToolchain":
    """The installed TPU-MLIR. Raises ToolFailed when there is none."""
    if installation is None:
        raise ToolFailed("TPU-MLIR is not installed here", "start bmzoo with ./doit, which installs it")
    return LocalToolchain(installation, digests, echo=echo)


class LocalToolchain:
    """TPU-MLIR on this machine, every command in an environment built from nothing."""

    def __init__(
        self,
        installation: Installation,
        digests: Digests,
        threads: int = 2,
        echo: bool = False,
        stopped: Callable[[], bool] | None = None,
        path: str = SYSTEM_PATH,
    ) -> None:
        """`stopped` is asked while a command runs, see process.Call. `path`: where programs are, as in $PATH.

        `threads`: of a command that runs alone. Side by side they get fewer, down to one each where there are not
        more cores: a second one saves a third of the time on a free core, and costs a fifth on a busy one.
        """
        self._stopped = stopped
        self._path = path
        self._installation = installation
        self._digests = digests
        self._threads = threads
        self._cores = len(os.sched_getaffinity(0))
        self._running = 0
        self._counting = threading.Lock()
        self._echo = echo
        self._vendor_identity = lru_cache(maxsize=1)(self._digest_installation)
        self._own_identity = lru_cache(maxsize=None)(self._digest_sources)
        self._sources = lru_cache(maxsize=None)(_sources)  # commands share most of theirs
        self._libraries = lru_cache(maxsize=1)(_library_versions)

    @property
    def version(self) -> str:
        where = f" ({self._installation.root})" if self._installation.external else ""
        return f"{self.release}{where}"

    @property
    def release(self) -> str:
        return f"tpu_mlir {self._installation.version}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}

    @property
    def searches(self) -> frozenset[str]:
        return searches_of(self._installation.root)

    def identity(self, tool: str) -> str:
        if tool not in COMMANDS:
            return self._vendor_identity()
        own = self._own_identity(tool)
        return f"{self._vendor_identity()} {own}" if COMMANDS[tool].installation else own

    def run(self, command: Command, folder: Path, log: Path, timeout: float) -> None:
        if self._installation.knows is not None:
            command = translated(command, self._installation.knows)
        with log.open("a", encoding="utf-8") as out:
            out.write(f"$ {command}\n")
        start = log.stat().st_size
        with self._share() as threads:
            call = process.Call(
                self._argv(command, folder),
                folder,
                log,
                {**self._environment(command, folder), "OMP_NUM_THREADS": str(threads)},
                folder / command.stdout if command.stdout else None,
                timeout,
                self._echo,
                self._stopped,
            )
            status = process.run(call)
        if status:
            raise failure(command, status, folder, log, start)

    @contextmanager
    def _share(self) -> Iterator[int]:
        """How many threads a command has that starts now."""
        with self._counting:
            self._running += 1
            share = max(1, min(self._threads, self._cores // self._running))
        try:
            yield share
        finally:
            with self._counting:
                self._running -= 1

    def _argv(self, command: Command, folder: Path) -> tuple[str, ...]:
        root = self._installation.root
        if command.tool == "simulate":
            return (sys.executable, "-m", "bmzoo.runtime.engines.simulate", *command.args[1:])
        if command.tool in COMMANDS:
            return (sys.executable, "-m", "bmzoo.commands", command.tool, *command.args)
        if command.tool.endswith(".py"):
            return (sys.executable, str(root / "python" / "tools" / command.tool), *command.args)
        return (str(root / "bin" / command.tool), *command.args)

    def _environment(self, command: Command, folder: Path) -> dict[str, str]:
        base = {
            **self.environment,
            "PATH": self._path,
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if command.tool == "simulate":
            private = overlay(
                self._installation.root, command.args[0], Path(mkdtemp(prefix="simulator-", dir=folder))
            )
            return {
                **base,
                **private,
                "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), private["PYTHONPATH"]]),
            }
        if command.tool in COMMANDS:
            needed = COMMANDS[command.tool].installation
            root = {"TPUC_ROOT": str(self._installation.root)} if needed else {}
            return {**base, **root, "PYTHONPATH": str(PACKAGE.parent)}
        # A step's own `bin/` comes first: `vendor-start` puts a `dot` there that works.
        path = os.pathsep.join([str(folder / "bin"), base["PATH"]])
        profiling = PROFILING if command.tool == "model_deploy.py" else {}
        return {**base, **vendor_environment(self._installation.root, path), **profiling}

    def _digest_installation(self) -> str:
        """Version and content of the installation; the content is remembered between runs."""
        root = self._installation.root
        found = (path for pattern in _DECISIVE for path in root.glob(pattern))
        files = sorted({path for path in found if path.is_file() and not is_stray(path.name)})
        total = hashlib.sha256()
        for path in files:
            total.update(f"{path.relative_to(root)} {self._digests.of(path)}\n".encode())
        told = "" if self._installation.knows is None else f", told in dialect {DIALECT}"
        return f"tpu_mlir {self._installation.version} {total.hexdigest()}{told}"

    def _digest_sources(self, tool: str) -> str:
        total = hashlib.sha256()
        for pattern in COMMANDS[tool].sources:
            for path in self._sources(pattern):
                total.update(f"{path.relative_to(PACKAGE)} {self._digests.of(path)}\n".encode())
        return f"bmzoo {total.hexdigest()} {self._libraries()}"


def _sources(pattern: str) -> tuple[Path, ...]:
    """Files of the package, in order."""
    return tuple(sorted(path for path in PACKAGE.glob(pattern) if not is_stray(path.name)))


def _library_versions() -> str:
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)


def vendor_environment(root: Path, path: str) -> dict[str, str]:
    """The variables that TPU-MLIR's own envsetup exports, for an installation at `root`."""
    missing = (name for name in PLACEHOLDERS if importlib.util.find_spec(name) is None)
    stand_ins = [str(STAND_INS / name) for name in missing]
    return {
        "TPUC_ROOT": str(root),
        "PATH": os.pathsep.join([str(root / "bin"), str(root / "python" / "tools"), path]),
        "PYTHONPATH": os.pathsep.join(
            [
                str(root.parent),
                str(root),
                str(root / "python"),
                str(root / "customlayer" / "python"),
                *stand_ins,
            ]
        ),
        "LD_LIBRARY_PATH": os.pathsep.join(str(root / "lib" / sub) for sub in ("", "capi", "third_party")),
        "TPUKERNEL_CUSTOM_FIRMWARE_PATH": str(root / "lib" / "libcmodel_custom.so"),
        "CUSTOM_LAYER_UNITTEST_DIR": str(root / "customlayer" / "test_if" / "unittest"),
    }


def failure(command: Command, status: int, folder: Path, log: Path, start: int) -> BmzooError:
    """The error for a command that failed: what our own command reported, else the log's known cause."""
    report = folder / "error.json"
    if report.is_file():
        said = json.loads(report.read_text(encoding="utf-8"))
        return error_class(said["type"])(said["message"], said["hint"])
    with log.open("rb") as file:
        file.seek(start)
        said = file.read().decode("utf-8", "replace")
    cause, hint = known_cause(said)
    if not cause and status < 0:
        why, hint = ended_by(process.signal_name(status))
        cause = f"{process.describe(status)}: {why}" if why else ""
    what = cause or process.describe(status)
    return ToolFailed(f"{command.tool}: {what}", hint)


def _vendor_version(root: Path) -> str:
    """The version that an unpacked release carries in its model_tool, else the name of its folder."""
    try:
        found = _VERSION.search((root / "bin" / "model_tool").read_bytes())
    except OSError:
        found = None
    return found[1].decode() if found else root.resolve().name
