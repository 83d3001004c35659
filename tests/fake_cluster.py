"""A stand-in for Dask's client and worker: a client that runs jobs at once, as on another machine."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from fake_toolchain import FakeToolchain

from bmzoo.cluster.job import Outcome, RemoteJob
from bmzoo.cluster.remote_step import RemoteStep, Site


class Here:
    """Stands in for Dask's client and worker. `hidden`: the machines have no disk in common."""

    status = "running"

    def __init__(self, root: Path, hidden: bool) -> None:
        self.root = root
        self.hidden = hidden
        self.toolchain = FakeToolchain()
        self.jobs: list[RemoteJob] = []
        self.resources: list[dict[str, float]] = []
        self.data: tuple[Path, ...] = ()

    def submit(self, run: object, job: RemoteJob, **options: Any) -> "Here":
        job = pickle.loads(pickle.dumps(job))
        self.resources.append(options["resources"])
        if self.hidden:
            job = replace(job, inputs={name: replace(one, path="/nowhere") for name, one in job.inputs.items()})
        self.jobs.append(job)
        return self

    def result(self, timeout: float) -> Outcome:
        step = RemoteStep(
            Site(lambda digests, stopped, threads: self.toolchain, self.data), self.root, "tcp://far:1"
        )
        return step.run(self.jobs[-1], lambda: False)

    def release(self) -> None: ...

    def close(self) -> None: ...
