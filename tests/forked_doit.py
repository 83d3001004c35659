"""Runs `doit` in the current folder again and again, each time in a fork of this process, with everything imported.

Each line on stdin is a run: seconds until it is killed, or `-`, then doit's words. Its wait status comes on stdout.
"""

import os
import select
import signal
import sys
from pathlib import Path

import onnx  # noqa: F401  # imported here once, in place of once in every run
import onnxruntime  # noqa: F401
from doit.doit_cmd import DoitMain
from fake_toolchain import FakeToolchain

import bmzoo.commands.prepare
import bmzoo.tasks.registry  # noqa: F401
from bmzoo.plan.step import Command
from bmzoo.system.process import Call, run

SECONDS = "0.02"  # that every command takes, and the time it takes to start a process


def fake_toolchain() -> FakeToolchain:
    """The fake tools, each with a process of its own as the real ones have."""
    toolchain = FakeToolchain()

    def process(command: Command, folder: Path) -> None:
        if toolchain.identity(command.tool) == toolchain.version:
            assert run(Call(("sleep", SECONDS), folder, folder / "log.txt", {"PATH": os.environ["PATH"]})) == 0

    toolchain.before = process
    return toolchain


def main() -> int:
    log = os.open("doit.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for line in sys.stdin:
        seconds, *words = line.split()
        child = os.fork()
        if child == 0:
            os.dup2(log, 1)
            os.dup2(log, 2)
            return int(DoitMain().run(words))
        if seconds != "-":
            select.select([os.pidfd_open(child)], [], [], float(seconds))
            os.kill(child, signal.SIGKILL)  # no effect on one that has just ended
        sys.stdout.write(f"{os.waitpid(child, 0)[1]}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
