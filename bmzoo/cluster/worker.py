"""Entry point on a Dask worker. It is pickled by name, so workers must be started where `import bmzoo` works."""

import os
from pathlib import Path

from distributed import Status, Worker, WorkerPlugin, get_worker

from bmzoo.cluster.job import Outcome, RemoteJob
from bmzoo.cluster.remote_step import RemoteStep, Site, local_site

CHECKOUT = Path(__file__).resolve().parents[2]
RUNNING = (Status.running, Status.paused, Status.closing_gracefully)


class OtherSite(WorkerPlugin):
    """Worker plugin that overrides the toolchain and data folders that the worker would find by itself."""

    name = "bmzoo-site"

    def __init__(self, site: Site) -> None:
        self.site = site


def run(job: RemoteJob) -> Outcome:
    """Run a job on the current Dask worker, below its local directory."""
    worker = get_worker()
    given = worker.plugins.get(OtherSite.name)
    site = given.site if isinstance(given, OtherSite) else local_site(os.environ, CHECKOUT)
    key = worker.get_current_task()
    step = RemoteStep(site, Path(worker.local_directory) / "bmzoo", worker.address)
    return step.run(job, lambda: is_unwanted(worker, str(key)))


def is_unwanted(worker: Worker, key: str) -> bool:
    """Whether a running task is obsolete: it was cancelled, its client is gone, or the worker is closing.

    Dask cannot interrupt a thread; it only marks the task as cancelled. So the task has to poll this.
    """
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled" or worker.status not in RUNNING
