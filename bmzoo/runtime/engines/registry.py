"""The table of engines: which of them runs a file. To add one: a module with a session, and a row here."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from bmzoo.errors import SessionError, nearest
from bmzoo.runtime.engines.card import CardSession, has_card
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.stages import open_simulator

if TYPE_CHECKING:
    from bmzoo.runtime.engines.session import Session


@dataclass(frozen=True)
class EngineOptions:
    """How to open a model, as in `open_session`."""

    tpuc_root: Optional[Path] = None
    threads: int = 0
    timeout: Optional[float] = None
    log: Optional[Path] = None

    def of_worker(self) -> Dict[str, Any]:
        """For sessions that run TPU-MLIR in a process of its own, whose own timeout holds where none is given."""
        settings = {"log": self.log, "threads": self.threads}
        return settings if self.timeout is None else {**settings, "timeout": self.timeout}


@dataclass(frozen=True)
class Engine:
    """The suffixes of the files that it runs, how to open one (raises SessionError), and whether it is here."""

    suffixes: Tuple[str, ...]
    open: Callable[[Path, EngineOptions], Session]
    here: Callable[[], bool] = lambda: True


# Of those that are here and run a file, `auto` takes the last: a card before its simulator.
ENGINES: Dict[str, Engine] = {
    "onnx": Engine((".onnx",), lambda path, given: OnnxSession(path, given.threads)),
    "mlir": Engine((".mlir",), lambda path, given: MlirSession(path, _root(given), **given.of_worker())),
    "simulator": Engine(
        (".bmodel", ".cvimodel"), lambda path, given: open_simulator(path, _root(given), **given.of_worker())
    ),
    "card": Engine((".bmodel",), lambda path, given: CardSession(path), has_card),
}


def open_session(
    path: Path,
    *,
    engine: str = "auto",
    tpuc_root: Optional[Path] = None,
    threads: int = 0,
    timeout: Optional[float] = None,
    log: Optional[Path] = None,
) -> Session:
    """A session for `path`; `auto` goes by the suffix, and takes a card before the simulator.

    `tpuc_root` is TPU-MLIR's folder, by default `$TPUC_ROOT`, else the installed package. `threads` 0 leaves
    the number to the engine. `timeout`, in seconds for a run, and `log` are for the simulator and MLIR; other
    engines run in this process and ignore them. Raises SessionError.
    """
    chosen = _auto(path) if engine == "auto" else _named(path, engine)
    return chosen.open(path, EngineOptions(tpuc_root, threads, timeout, log))


def find_tpuc_root() -> Path:
    """TPU-MLIR's folder: `$TPUC_ROOT`, else the package of this environment. Raises SessionError."""
    named = os.environ.get("TPUC_ROOT")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("tpu_mlir")
    if spec is None or not spec.submodule_search_locations:
        raise SessionError("TPU-MLIR is not here", "pip install tpu_mlir, or set $TPUC_ROOT to where it lies")
    return Path(next(iter(spec.submodule_search_locations)))


def _root(given: EngineOptions) -> Path:
    return given.tpuc_root or find_tpuc_root()


def _auto(path: Path) -> Engine:
    found = [engine for engine in ENGINES.values() if path.suffix in engine.suffixes and engine.here()]
    if not found:
        hint = (
            f"allowed: {', '.join(sorted({suffix for engine in ENGINES.values() for suffix in engine.suffixes}))}"
        )
        raise SessionError(f"{path}: no engine runs files of this kind: {path.suffix or 'no suffix'}", hint)
    return found[-1]


def _named(path: Path, name: str) -> Engine:
    if name not in ENGINES:
        near = nearest(name, ENGINES)
        hint = f"did you mean `{near}`?" if near else f"allowed: auto, {', '.join(ENGINES)}"
        raise SessionError(f"engine: unknown: {name}", hint)
    engine = ENGINES[name]
    if path.suffix not in engine.suffixes:
        runs = " and ".join(engine.suffixes)
        others = [key for key, other in ENGINES.items() if path.suffix in other.suffixes]
        hint = f"what runs {path.suffix} files: {', '.join(others)}" if others else ""
        raise SessionError(f"{path}: not a file for engine `{name}`, which runs {runs} files", hint)
    return engine
