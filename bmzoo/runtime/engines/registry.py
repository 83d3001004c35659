"""The one place that knows all engines: which of them runs a file."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from bmzoo.errors import SessionError, nearest
from bmzoo.runtime.engines.card import CardSession, has_card
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.session import OnnxSession
from bmzoo.runtime.engines.simulator import SimulatorSession

if TYPE_CHECKING:
    from bmzoo.runtime.engines.session import Session

# Engine -> suffix of the files that it runs.
ENGINES = {"onnx": ".onnx", "mlir": ".mlir", "simulator": ".bmodel", "card": ".bmodel"}


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
    chosen = _auto(path) if engine == "auto" else engine
    _check(path, chosen)
    if chosen == "onnx":
        return OnnxSession(path, threads)
    if chosen == "card":
        return CardSession(path)
    settings: Dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    session = MlirSession if chosen == "mlir" else SimulatorSession
    return session(path, tpuc_root or find_tpuc_root(), log=log, threads=threads, **settings)


def find_tpuc_root() -> Path:
    """TPU-MLIR's folder: `$TPUC_ROOT`, else the package of this environment. Raises SessionError."""
    named = os.environ.get("TPUC_ROOT")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("tpu_mlir")
    if spec is None or not spec.submodule_search_locations:
        raise SessionError("TPU-MLIR is not here", "pip install tpu_mlir, or set $TPUC_ROOT to where it lies")
    return Path(next(iter(spec.submodule_search_locations)))


def _auto(path: Path) -> str:
    if path.suffix == ".bmodel":
        return "card" if has_card() else "simulator"
    for engine, suffix in ENGINES.items():
        if suffix == path.suffix:
            return engine
    hint = f"allowed: {', '.join(sorted(set(ENGINES.values())))}"
    raise SessionError(f"{path}: no engine runs files of this kind: {path.suffix or 'no suffix'}", hint)


def _check(path: Path, engine: str) -> None:
    if engine not in ENGINES:
        near = nearest(engine, ENGINES)
        hint = f"did you mean `{near}`?" if near else f"allowed: auto, {', '.join(ENGINES)}"
        raise SessionError(f"engine: unknown: {engine}", hint)
    if path.suffix != ENGINES[engine]:
        raise SessionError(f"{path}: not a file for engine `{engine}`, which runs {ENGINES[engine]} files")
