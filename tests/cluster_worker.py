"""Preloaded by the workers of dask_processes.py: the fake toolchain for the real one.

`$FAKE_MARKS` is a folder. In it `slow` says which tool takes how many seconds, and every such tool leaves a file
`<process id of the worker>-<n>` with the process ids of what it started there: a process and its child.
"""

import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from distributed import Worker
from fake_toolchain import FakeToolchain

from bmzoo.cluster.remote_step import Site
from bmzoo.cluster.worker import OtherSite
from bmzoo.plan.step import Command
from bmzoo.system import process
from bmzoo.system.hashing import Digests

TOOL = """\
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
with open(sys.argv[1] + ".part", "w") as mark:
    mark.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(float(sys.argv[2]))
"""


async def dask_setup(worker: Worker) -> None:
    marks = Path(os.environ["FAKE_MARKS"])
    numbers = count()

    def toolchain(digests: Digests, stopped: Callable[[], bool], threads: int) -> FakeToolchain:
        fake = FakeToolchain(os.environ.get("FAKE_VERSION", "fake 1"))

        def before(command: Command, folder: Path) -> None:
            seconds = json.loads((marks / "slow").read_text()).get(command.tool)
            if seconds:
                mark = marks / f"{os.getpid()}-{next(numbers)}"
                argv = (sys.executable, "-c", TOOL, str(mark), str(seconds))
                process.run(process.Call(argv, folder, folder / "log.txt", dict(os.environ), stopped=stopped))

        fake.before = before
        return fake

    await worker.plugin_add(OtherSite(Site(toolchain)))
