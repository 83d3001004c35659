"""Runs external commands: argument lists, explicit folder and environment, output to a log file, a timeout.

No shell, no inherited environment, and no process that outlives bmzoo: every command runs under
`supervisor.py`, which kills its whole process group when bmzoo ends for whatever reason.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bmzoo.errors import ToolFailed

SUPERVISOR = Path(__file__).with_name("supervisor.py")
POLL = 0.2  # seconds between two checks whether a command is cancelled


class Stopped(Exception):
    """A command was cancelled: nobody waits for its result any more. Not a failure."""


@dataclass(frozen=True)
class Call:
    """One command to run. `stdout`, when given, receives the command's standard output instead of the log."""

    argv: tuple[str, ...]
    cwd: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stdout: Path | None = None
    timeout: float | None = None  # seconds
    echo: bool = False  # what goes to the log also goes to this process's stderr
    stopped: Callable[[], bool] | None = None  # polled while the command runs: true cancels it


def run(call: Call) -> int:
    """Run to completion; returns the exit status, negative for a signal.

    Raises ToolFailed after `timeout`, and Stopped once `stopped` returns true.
    """
    with ExitStack() as stack:
        log: IO[bytes] = stack.enter_context(call.log.open("ab"))
        if call.echo:
            log = stack.enter_context(_echoing(log))
        out = stack.enter_context(call.stdout.open("wb")) if call.stdout else log
        ours, theirs = os.pipe()
        # The write end stays in this process: however the process ends, the kernel closes it, and the supervisor
        # takes that as the signal to kill.
        stack.callback(os.close, theirs)
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), str(ours), *call.argv],
                cwd=call.cwd,
                env=dict(call.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                pass_fds=(ours,),
                start_new_session=True,
            )
        finally:
            os.close(ours)
        try:
            return _status(_wait(process, call))
        except subprocess.TimeoutExpired:
            raise ToolFailed(
                f"{Path(call.argv[0]).name}: ran longer than {call.timeout:g} s and was stopped",
                f"log: {call.log}",
            ) from None
        finally:
            if process.poll() is None:  # timeout, interrupt or stopped
                process.send_signal(signal.SIGTERM)
                process.wait()


def _wait(process: subprocess.Popen[bytes], call: Call) -> int:
    """Like Popen.wait, polling `stopped`."""
    if call.stopped is None:
        return process.wait(call.timeout)
    end = None if call.timeout is None else time.monotonic() + call.timeout
    while not call.stopped():
        left = POLL if end is None else min(POLL, end - time.monotonic())
        with suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, left))
        if left < 0:
            raise subprocess.TimeoutExpired(call.argv, call.timeout or 0.0)
    raise Stopped


@contextmanager
def _echoing(log: IO[bytes]) -> Iterator[IO[bytes]]:
    """A pipe that is copied to the log and to stderr, unbuffered."""
    out, into = os.pipe()

    def copy() -> None:
        shown = True
        with open(out, "rb", buffering=0) as source:  # noqa: PTH123  # a descriptor, not a path
            while chunk := source.read(1 << 16):
                log.write(chunk)
                try:
                    if shown:
                        sys.stderr.buffer.write(chunk)
                        sys.stderr.buffer.flush()
                except OSError:  # nobody reads any more; the command, and its log, go on
                    shown = False

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        with open(into, "wb") as sink:  # noqa: PTH123
            yield sink
    finally:
        thread.join()


def _status(code: int) -> int:
    """Exit status as Popen has it; the supervisor reports a signal as 128 + number, like a shell."""
    return 128 - code if 128 < code < 160 else code


def describe(status: int) -> str:
    """`exit status 3` or `killed by SIGKILL`, for messages."""
    return f"killed by {signal_name(status)}" if status < 0 else f"exit status {status}"


def signal_name(status: int) -> str:
    """The signal of a negative exit status; real-time signals have numbers only."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
