"""What a Dask worker runs. It is found by name: workers are started where `import bmzoo` works, in a checkout."""

import os
from pathlib import Path

from distributed import Status, Worker, WorkerPlugin, get_worker

from bmzoo.cluster.job import Outcome, RemoteJob
from bmzoo.cluster.remote_step import RemoteStep, Site, local_site

CHECKOUT = Path(__file__).resolve().parents[2]
RUNNING = (Status.running, Status.paused, Status.closing_gracefully)


class OtherSite(WorkerPlugin):
    """Given to a worker, it replaces the toolchain and data that the worker would find for itself."""

    name = "bmzoo-site"

    def __init__(self, site: Site) -> None:
        self.site = site


def run(job: RemoteJob) -> Outcome:
    """Run a job on the Dask worker that calls this, below its own local directory."""
    worker = get_worker()
    given = worker.plugins.get(OtherSite.name)
    site = given.site if isinstance(given, OtherSite) else local_site(os.environ, CHECKOUT)
    key = worker.get_current_task()
    step = RemoteStep(site, Path(worker.local_directory) / "bmzoo", worker.address)
    return step.run(job, lambda: is_unwanted(worker, str(key)))


def is_unwanted(worker: Worker, key: str) -> bool:
    """Whether nobody waits for a running task: it was cancelled, its client is gone, or the worker ends.

    Dask cannot end a thread. It marks the task as cancelled and hopes for the best.
    """
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled" or worker.status not in RUNNING
