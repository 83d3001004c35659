"""bmodels on TPU-MLIR's chip simulator, without a card: a process per run, in an overlay of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.bmodel import BModelInfo, parse_info
from bmzoo.runtime.overlay import overlay
from bmzoo.runtime.simulate import MARK, rounds, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = "simulator.log"


class SimulatorSession:
    """A bmodel on the simulator of the chip that it was compiled for; `run` starts a process each time.

    `python` is an interpreter of the version that the TPU-MLIR package at `tpuc_root` wants, with numpy.
    `timeout` is in seconds for each run of the network. What the engine prints is appended to `log`, by
    default a file in a temporary folder that is kept when something failed. Raises SessionError when the
    model is missing, damaged or for a chip without a simulator.
    """

    def __init__(
        self,
        bmodel: Path,
        tpuc_root: Path,
        python: str = sys.executable,
        timeout: float = 600.0,
        log: Optional[Path] = None,
    ) -> None:
        self._bmodel, self._python, self._timeout = bmodel.resolve(), python, timeout
        if not self._bmodel.is_file():
            raise SessionError(f"{bmodel}: no such bmodel")
        self._folder = Path(tempfile.mkdtemp(prefix="bmzoo-simulator-"))
        self.log = log.resolve() if log else self._folder / LOG
        self._failed = False
        try:
            self.info = self._read_info(tpuc_root)
            self._env = {**_inherited(), **overlay(tpuc_root, self.info.chip, self._folder / "tpuc")}
            self._env["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[2])
        except BaseException as error:
            self.close()
            if isinstance(error, SessionError):
                raise SessionError(f"{self._bmodel}: {error.message}", error.hint) from None
            raise
        # float32 whatever the file holds: the worker converts both ways.
        self.inputs = tuple(replace(tensor, dtype="float32") for tensor in self.info.inputs)
        self.outputs = tuple(replace(tensor, dtype="float32") for tensor in self.info.outputs)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Dict[str, NDArray[np.float32]]:
        """Outputs by name, float32, in network order; arrays may hold a multiple of the model's batch."""
        arrays = dict(feeds)
        try:
            count = rounds({info.name: info.shape for info in self.inputs}, arrays)
        except SessionError as error:
            raise SessionError(f"{self._bmodel}: {error.message}", error.hint) from None
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            inputs, outputs = Path(folder, "in.npz"), Path(folder, "out.npz")
            write_arrays(inputs, arrays)
            extra = ["--inputs", str(inputs), "--outputs", str(outputs)]
            self._worker(extra, Path(folder), outputs, self._timeout * count)
            with np.load(outputs) as results:
                return {name: results[name] for name in results.files}

    def close(self) -> None:
        """Remove the temporary folder; after a failure all of it but a log inside."""
        shutil.rmtree(self._folder / "tpuc", ignore_errors=True)
        if not (self._failed and self.log.parent == self._folder):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _read_info(self, tpuc_root: Path) -> BModelInfo:
        argv = [str(tpuc_root.resolve() / "bin" / "model_tool"), "--info", str(self._bmodel)]
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            answer = Path(folder, "info.txt")
            code = _run(argv, Path(folder), _inherited(), answer, self._timeout)
            text = answer.read_text(errors="replace")
        # A damaged file can make the tool crash after it has printed something that looks whole.
        return parse_info(text if code == 0 else text[-200:] + f"\nmodel_tool: {_end(code)}")

    def _worker(self, extra: Sequence[str], folder: Path, result: Path, timeout: float) -> None:
        """Run the worker; it must end well and write `result`."""
        argv = [self._python, "-m", "bmzoo.runtime.simulate", "--model", str(self._bmodel)]
        argv += ["--parent", str(os.getpid()), *extra]
        start = self.log.stat().st_size if self.log.exists() else 0
        try:
            code = _run(argv, folder, self._env, self.log, timeout)
        except SessionError as error:
            self._failed = True
            raise SessionError(f"{self._bmodel}: {error.message}", f"log: {self.log}") from None
        if code != 0 or not result.is_file():
            self._failed = True
            raise SessionError(f"{self._bmodel}: simulator: {_cause(code, self.log, start)}", f"log: {self.log}")


def _run(argv: List[str], cwd: Path, env: Dict[str, str], log: Path, timeout: float) -> int:
    """The only door to processes here: exit code, negative for a signal. Output is appended to `log`."""
    with log.open("ab") as out:
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        except OSError as error:
            raise SessionError(f"cannot start `{argv[0]}`: {error.strerror}") from error
        try:
            return process.wait(timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: nobody else ends it on ctrl-C
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise SessionError(f"simulator: not done after {timeout:g} s") from None
            raise


def _cause(code: int, log: Path, start: int) -> str:
    """How the process ended and what it said last, one line."""
    with log.open("rb") as stream:
        stream.seek(start)
        lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(MARK):
            return line[len(MARK) :]
    telling = [line for line in lines if "FATAL" in line or "Assertion" in line] or lines[-3:]
    return "; ".join([_end(code)] + [line.strip()[:200] for line in telling[:3]])


def _end(code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else "exit code 0, but no result"


def _inherited() -> Dict[str, str]:
    """What of this process's environment a child may see: nothing that could change a result."""
    return {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS") if key in os.environ}
