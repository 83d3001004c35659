"""A real Dask scheduler and its workers, as processes on this machine; see cluster_worker.py for their tools."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


class Engine:
    """A scheduler and workers as processes on this machine."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir(parents=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}",
            "FAKE_MARKS": str(self.marks),
            **environ,
        }
        self.workers: list[subprocess.Popen[bytes]] = []
        self.slow()
        self.start_scheduler()

    def start_scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start("scheduler", "--host=127.0.0.1", "--port=0", f"--scheduler-file={file}")
        wait_until(file.exists, 30)
        wait_until(lambda: file.read_text().endswith("}"), 5)
        self.address = str(json.loads(file.read_text())["address"])

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        """One that takes one step at a time."""
        own = self.folder / f"worker{len(self.workers)}"
        resources = ("--nthreads=1", "--resources=cores=2 memory=8e9", f"--local-directory={own}")
        self.workers.append(self._start("worker", self.address, "--no-nanny", *resources, *options))
        return self.workers[-1]

    def want(self, number: int) -> None:
        """That many fake workers, no more and no fewer."""
        if self.scheduler.poll() is not None:
            self.start_scheduler()
        running = [worker for worker in self.workers if worker.poll() is None]
        for worker in running[number:]:
            end(worker)
        for _ in range(number - len(running)):
            self.start_worker("--preload=cluster_worker")
        with client(self.address) as there:
            wait_until(lambda: len(there.scheduler_info()["workers"]) == number, 30)

    def slow(self, **seconds: float) -> None:
        """How long tools take; forgets what ran so far and what workers have kept. Names are without `.py`."""
        for kept in self.folder.glob("worker*/dask-scratch-space/worker-*/bmzoo"):
            shutil.rmtree(kept)
        for mark in self.marks.iterdir():
            mark.unlink()
        (self.marks / "slow").write_text(json.dumps({f"{name}.py": value for name, value in seconds.items()}))

    def running(self) -> dict[int, list[int]]:
        """Worker -> processes of the slow tools that it has started, so far."""
        found: dict[int, list[int]] = {}
        for mark in sorted(self.marks.glob("*-*[0-9]")):
            found.setdefault(int(mark.name.partition("-")[0]), []).extend(map(int, mark.read_text().split()))
        return found

    def close(self) -> None:
        for one in [*self.workers, self.scheduler]:
            end(one)

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "dask", kind, "--no-dashboard", *options]
        with (self.folder / f"{kind}s.log").open("ab") as log:
            return subprocess.Popen(argv, cwd=self.folder, env=self.environ, stdout=log, stderr=log)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def client(address: str) -> Any:
    from distributed import Client

    return Client(address, set_as_default=False)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)
