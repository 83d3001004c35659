"""Engines that need a process of their own: started once, the model loaded once, asked many times.

The other end of the pipes is worker_serve.py. A request and its answer are one line of JSON each; arrays lie
in npz files in the worker's private folder. All processes of the runtime are started in this module.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Dict, List, Mapping, NoReturn, Optional, Sequence

import numpy as np

from bmzoo.errors import SessionError
from bmzoo.runtime.engines.overlay import overlay
from bmzoo.runtime.engines.simulate import write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOG = "engine.log"
OWN_PACKAGE = Path(__file__).resolve().parents[2]
# Words in an engine's last output that tell more than its last lines, which are a stack dump.
TELLING = ("FATAL", "ASSERT", "Assertion", "UNREACHABLE", "failed to", "doesn't exist", "Error:")

# The kernel counts as a worker's parent the thread that started it, and ends the worker with that thread:
# all are started by this one, which lives as long as the program.
_starter = ThreadPoolExecutor(1, "bmzoo-worker-starter")


def _renew_starter() -> None:
    global _starter  # noqa: PLW0603  # threads do not survive a fork
    _starter = ThreadPoolExecutor(1, "bmzoo-worker-starter")


os.register_at_fork(after_in_child=_renew_starter)


class Worker:
    """`python -m <module> --model <model>` behind pipes, started when first needed and again after a failure.

    `label` names the engine in errors; `timeout` is in seconds, for start and load and for each run of the
    network. What the engine prints is appended to `log`, by default a file in the private folder, which is
    kept when something failed. Between requests the process is stopped: some simulators spin while idle.
    One request at a time; other threads wait.
    """

    def __init__(self, module: str, label: str, python: str, timeout: float, log: Optional[Path]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"bmzoo-{label}-"))
        self.log = log.resolve() if log else self.folder / LOG
        self.model, self.env = Path(), inherited()
        self._module, self._label, self._python, self._timeout = module, label, python, timeout
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._lock = threading.RLock()
        self._said: Dict[str, Any] = {}
        self._log_start = 0
        self._failed = self._closed = False

    def use(self, tpuc_root: Path, chip: str, threads: int) -> None:
        """Have the engine of this TPU-MLIR package, with the libraries of a chip. Raises SessionError."""
        self.env = {**inherited(threads), **overlay(tpuc_root, chip, self.folder / "tpuc")}
        # By a link: beside an installed package lie others, such as a numpy for another Python than the engine's.
        alone = self.folder / "alone"
        alone.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            (alone / OWN_PACKAGE.name).symlink_to(OWN_PACKAGE)
        self.env["PYTHONPATH"] += f":{alone}"

    def start(self) -> Dict[str, Any]:
        """Have the engine up with the model loaded; what it says about the model. Raises SessionError."""
        with self._lock:
            if self._closed:
                raise SessionError(f"{self.model}: the session is closed")
            if self._process is None:
                self._process = self._spawn()
                try:
                    self._said = self._answer(self._process, self._timeout)
                except BaseException:
                    self._end()
                    raise
            return self._said

    def run(
        self, feeds: Mapping[str, NDArray[Any]], count: int = 1, names: Optional[Sequence[str]] = None
    ) -> Dict[str, NDArray[np.float32]]:
        """Arrays by name from the engine, which runs its network `count` times. Raises SessionError."""
        with self._lock:
            self.start()
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                inputs, outputs = Path(folder, "in.npz"), Path(folder, "out.npz")
                write_arrays(inputs, dict(feeds))
                request = {"inputs": str(inputs), "outputs": str(outputs), "names": names}
                self._ask(request, self._timeout * count)
                with np.load(outputs) as results:
                    return {name: results[name] for name in results.files}

    def close(self) -> None:
        """End the process and remove the private folder; after a failure all of it but a log inside."""
        self._closed = True
        self._end()
        if not (self._failed and self.log.parent == self.folder and self.log.exists()):
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for entry in self.folder.iterdir():
            if entry != self.log:
                shutil.rmtree(entry, ignore_errors=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        argv = [self._python, "-m", self._module, "--model", str(self.model), "--parent", str(os.getpid())]
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            # The weights beside an .mlir are found from the working directory.
            start = _starter.submit(popen, argv, self.model.parent, self.env, subprocess.PIPE, out)
            try:
                return start.result()
            except SessionError as error:
                self._fail(error.message)

    def _ask(self, request: Dict[str, Any], timeout: float) -> None:
        process = self._process
        assert process is not None and process.stdin is not None, "start() was called"
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        os.killpg(process.pid, signal.SIGCONT)
        with suppress(OSError):  # it is gone: waiting for its answer finds out how
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        self._answer(process, timeout)

    def _answer(self, process: subprocess.Popen[bytes], timeout: float) -> Dict[str, Any]:
        """The next line from the process; any other end of the wait ends the process."""
        try:
            line = _read_line(process.stdout, time.monotonic() + timeout)
        except BaseException:
            self._end()  # whatever it is doing now, its answer would be taken for the next one's
            raise
        if line is None:
            self._fail(f"not done after {timeout:g} s")
        if not line.endswith(b"\n"):
            self._fail(cause(_exit_code(process), self.log, self._log_start))
        try:
            answer = json.loads(line)
            error, hint = answer.get("error"), answer.get("hint", "")
        except (ValueError, AttributeError):
            self._fail(f"answers what is no answer: {line[:80]!r}")
        os.killpg(process.pid, signal.SIGSTOP)
        if error is not None:
            raise SessionError(f"{self.model}: {self._label}: {error}", hint)
        return dict(answer)

    def _fail(self, what: str) -> NoReturn:
        self._end()
        self._failed = True
        raise SessionError(f"{self.model}: {self._label}: {what}", f"log: {self.log}") from None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            kill(process)


def call(argv: Sequence[str], cwd: Path, env: Mapping[str, str], answer: Path, timeout: float) -> int:
    """Run a short command, its output to the file `answer`: exit code, negative for a signal."""
    with answer.open("ab") as out:
        process = popen(argv, cwd, env, subprocess.DEVNULL, out)
        try:
            return process.wait(timeout)
        except BaseException as error:
            kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise SessionError(f"`{argv[0]}`: not done after {timeout:g} s") from None
            raise


def popen(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], pipe: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that nobody else ends it on ctrl-C.

    With `pipe` subprocess.PIPE stdin and stdout are pipes; else stdin is empty, and stdout goes to `log` as
    stderr always does.
    """
    out = pipe if pipe == subprocess.PIPE else log
    try:
        return subprocess.Popen(
            list(argv), cwd=cwd, env=env, stdin=pipe, stdout=out, stderr=log, start_new_session=True
        )
    except OSError as error:
        raise SessionError(f"cannot start `{argv[0]}`: {error.strerror}") from error


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process started here, and all that it started."""
    with suppress(ProcessLookupError):  # it has ended and was waited for
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # a request that nobody reads any more
                stream.close()


def cause(code: int, log: Path, start: int) -> str:
    """How a process ended and what it said last, one line."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode(errors="replace")
    lines = [line.strip()[:200] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in TELLING)] or lines[-3:]
    return "; ".join([how_it_ended(code), *telling[:3]])


def how_it_ended(code: int) -> str:
    """For people: an exit code, or the name of the signal that a negative one stands for."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else "exit code 0, but no result"


def inherited(threads: int = 0) -> Dict[str, str]:
    """What of this process's environment a child may see: nothing that could change a result."""
    env = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS") if key in os.environ}
    return {**env, "OMP_NUM_THREADS": str(threads)} if threads else env


def _read_line(stream: Optional[IO[bytes]], deadline: float) -> Optional[bytes]:
    """A line, or less when the writer is gone, or None when the time is up."""
    assert stream is not None, "started with pipes"
    ready = select.poll()
    ready.register(stream, select.POLLIN)
    pieces: List[bytes] = []
    while not (pieces and pieces[-1].endswith(b"\n")):
        left = deadline - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            return None
        piece = os.read(stream.fileno(), 1 << 16)
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Of a process that has closed its pipe, and so is about to end."""
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.wait()
