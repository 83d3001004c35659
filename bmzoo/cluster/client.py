"""Remote execution on an existing Dask scheduler and its workers, selected by `scheduler=ADDRESS`.

The task graph stays local. Each step that has to run is sent as a job; files and results are transferred through
the shared store, or through `build/store` where all machines see the same disk. Dask retries a step whose worker is
lost.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bmzoo.cluster.job import TRANSFERS, Outcome, RemoteJob, Wanted
from bmzoo.errors import BmzooError, ConfigError, StoreError, ToolFailed
from bmzoo.execute.resolve import Resolved
from bmzoo.execute.run import Made, RunReport
from bmzoo.plan.resources import Needs, needs
from bmzoo.plan.step import ExternalData, File, Output, Pictures, Step, Tree
from bmzoo.store import upload, urls
from bmzoo.store.local import Entry, Store
from bmzoo.store.remote import Remote
from bmzoo.system.files import cannot_write

if TYPE_CHECKING:
    from distributed import Client, Future

PIN = "distributed==2026.8.0"  # as in pyproject.toml: client, scheduler and workers must be of one version
SCHEDULER_TIMEOUT = 10.0  # seconds
LOOK = 5.0  # seconds between two checks whether any worker can run a waiting step
# Seconds between retries of a lookup: NFS caches directory listings, so a result may appear half a minute late.
ARRIVAL = (0.0, 0.1, 0.5, 2.0, 8.0, 30.0)
SAME_STATE = "scheduler and workers must run this version of bmzoo: start them in a checkout in the same state"


class Cluster:
    """An executor that runs steps on the workers of one scheduler. Safe for threads; connects lazily."""

    def __init__(self, address: str, store: Store, remote: Remote | None, report: RunReport) -> None:
        """Raises ConfigError when Dask is not installed or the shared store cannot be written."""
        if find_spec("distributed") is None:
            raise ConfigError(f"scheduler {address}: distributed is not installed", f".venv/bin/pip install {PIN}")
        if remote is not None and urls.scheme(remote.url) not in ("file", "s3"):
            raise ConfigError(
                f"store {remote.url}: results of workers cannot travel through it",
                "a directory or an S3 bucket that all machines reach is needed",
            )
        self._address = address
        self._store = store
        self._remote = remote
        self._channel = remote if remote is not None else Remote(str(store.root / "store"), report.warn)
        self._report = report
        self._connecting = threading.Lock()
        self._connection: Client | BmzooError | None = None

    def make(self, step: Step, resolved: Resolved, needed: Mapping[str, Entry], folder: Path) -> Made:
        """Run the step on a worker. Raises BmzooError; evidence is then in `folder`."""
        for warning in resolved.warnings:
            self._report.warn(warning)
        job = _job(step, resolved, needed, self._channel.url, str(folder) if self._remote is None else "")
        outcome = self._run(job)
        if outcome.lacks:  # local results that were never uploaded, and files that the worker does not have
            self._send([(job.inputs[name], needed.get(name)) for name in outcome.lacks])
            outcome = self._run(job)
        for warning in (*outcome.warnings, *(f"worker {outcome.worker}: {text}" for text in outcome.trouble)):
            self._report.warn(warning)
        _write(outcome.files, folder)
        if outcome.error is not None:
            raise _told(outcome.error, outcome.worker)
        if outcome.lacks:
            raise StoreError(
                f"worker {outcome.worker}: gets no {outcome.lacks[0]} from {self._channel.url}",
                "; ".join(outcome.trouble) or "can that machine read it?",
            )
        return Made(self._arrived(job.fingerprint, outcome), outcome.seconds, outcome.worker)

    def close(self) -> None:
        """Disconnect from the scheduler, which cancels what still runs for this build."""
        with self._connecting:
            if self._connection is not None and not isinstance(self._connection, BmzooError):
                self._connection.close()
            self._connection = None

    # --- transfer ----------------------------------------------------------------------------------------

    def _run(self, job: RemoteJob) -> Outcome:
        """Submit a job and wait for its outcome. Raises ToolFailed when no worker completed it."""
        from distributed import CancelledError, KilledWorker

        from bmzoo.cluster import worker

        client, what = self._client(), needs(job.step)
        try:
            future: Future[Outcome] = client.submit(
                worker.run,
                job,
                key=f"{job.step.kind}-{secrets.token_hex(8)}",  # Dask estimates durations by the key's prefix
                resources=what.resources(),
                pure=False,
            )
            try:
                return self._wait(client, future, job.step, what)
            finally:
                future.release()  # if it still runs, this cancels it: see worker.is_unwanted
        except KilledWorker as error:
            raise ToolFailed(
                f"{job.step}: {error.allowed_failures + 1} workers were lost while they ran it,"
                f" the last was {error.last_worker.address}",
                f"was there enough memory for it? it is given {what}",
            ) from None
        except (CancelledError, OSError) as error:
            raise ToolFailed(
                f"{job.step}: connection to scheduler {self._address} lost",
                "what was finished is kept; when the scheduler is back, run the same command to go on",
            ) from error
        except BmzooError:
            raise
        except Exception as error:  # Dask and pickle raise many kinds when versions differ between machines
            cause = str(error.__cause__ or error).strip().partition("\n")[0]
            raise ToolFailed(f"{job.step}: Dask could not run it: {cause}", SAME_STATE) from error

    def _wait(self, client: "Client", future: "Future[Outcome]", step: Step, what: Needs) -> Outcome:
        from distributed import TimeoutError as NotYet  # not Python's own before 3.11

        while True:
            try:
                return future.result(timeout=LOOK)
            except NotYet:
                self._look(client, step, what)

    def _look(self, client: "Client", step: Step, what: Needs) -> None:
        """Warn when no worker has the resources of a waiting step; one may still join. Raises OSError."""
        if client.status != "running":
            raise ConnectionError(client.status)
        workers: Mapping[str, Any] = client.scheduler_info()["workers"]
        able = [w for w in workers.values() if _fits(w.get("resources", {}), what.resources())]
        if not able:
            said = f"none of its {len(workers)} workers has {what}" if workers else "it has no workers"
            start = f"-m dask worker {self._address} --resources '{what}'"
            self._report.warn(f"scheduler {self._address}: {step} waits: {said}; start one: {start}")

    def _send(self, lacking: Sequence[tuple[Wanted, Entry | None]]) -> None:
        """Upload what a worker lacks to the channel. A failed upload is only a warning: the file stays missing."""
        pool = ThreadPoolExecutor(TRANSFERS)
        try:
            for _ in pool.map(self._send_one, *zip(*lacking, strict=True)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)

    def _send_one(self, wanted: Wanted, entry: Entry | None) -> None:
        if entry is not None:
            self._channel.push(entry)
            return
        with self._store.scratch() as folder:
            try:
                upload.send(Path(wanted.path), wanted.sha256, self._channel, folder)
            except OSError as error:
                raise StoreError(f"{wanted.path}: cannot be sent to a worker: {error.strerror}") from None

    def _arrived(self, fingerprint: str, outcome: Outcome) -> Entry:
        for pause in ARRIVAL:
            time.sleep(pause)
            entry = self._store.lookup(fingerprint) or self._store.fetch(fingerprint)
            if entry is not None:
                return entry
            if self._remote is not None:
                break  # a remote store is consistent: retrying would not help
        raise StoreError(
            f"worker {outcome.worker}: its result did not arrive in {self._channel.url}",
            "; ".join(outcome.trouble) or "can that machine write there?",
        )

    def _client(self) -> "Client":
        """The connection. Raises BmzooError; a failure is cached, so that not every step waits for a timeout."""
        with self._connecting:
            found = self._connection
            if found is None or (not isinstance(found, BmzooError) and found.status == "closed"):
                found = self._connection = _connect(self._address)
            if isinstance(found, BmzooError):
                raise found
            return found


def _connect(address: str) -> "Client | BmzooError":
    from distributed import Client

    # Dask logs tracebacks of lost connections, which add nothing to the error that is raised here.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout=SCHEDULER_TIMEOUT, set_as_default=False, name="bmzoo")
    except ValueError as error:
        return ConfigError(f"scheduler {address}: not an address: {error}", "such as tcp://host:8786")
    except OSError:
        return ToolFailed(
            f"scheduler {address}: not reached within {SCHEDULER_TIMEOUT:g} s",
            "is it running, is the address right?",
        )


def _job(step: Step, resolved: Resolved, needed: Mapping[str, Entry], channel: str, witness: str) -> RemoteJob:
    names = dict(_names(step, resolved))
    inputs: dict[str, Wanted] = {}
    for name, (path, sha256) in resolved.files.items():
        entry, wanted = needed.get(name), names[name]
        if entry is None:
            inputs[name] = Wanted(sha256, wanted, path=str(path.absolute()))
        else:
            inputs[name] = Wanted(entry.files[wanted], wanted, entry.fingerprint)
    # The step is sent without its inputs, which would pickle all steps before it.
    bare = replace(step, inputs=(), decision=None)
    return RemoteJob(
        bare,
        resolved.fingerprint,
        dict(resolved.material),
        inputs,
        dict(resolved.pictures),
        channel,
        witness,
        dict(resolved.facts),
    )


def _names(step: Step, resolved: Resolved) -> Iterator[tuple[str, str]]:
    """(name in the step's folder, name at its source) of each input: in an entry, or below a data folder."""
    for name, ref in step.inputs:
        if isinstance(ref, Output):
            yield name, ref.file
        elif isinstance(ref, File):
            yield name, ref.path
        else:
            for inside in (key for key in resolved.files if key.startswith(f"{name}/")):
                yield inside, _below(ref, inside.removeprefix(f"{name}/"), resolved.files[inside][0])


def _below(ref: Pictures | Tree | ExternalData, inside: str, path: Path) -> str:
    if isinstance(ref, ExternalData):
        return str(PurePosixPath(ref.model.path).parent / inside)
    return str(PurePosixPath(ref.folder) / (inside if isinstance(ref, Tree) else path.name))


def _fits(has: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(has.get(name, 0.0) >= value for name, value in wanted.items())


def _told(error: BmzooError, worker: str) -> BmzooError:
    """The worker's error, with the worker's name added."""
    return type(error)(f"worker {worker}: {error.message}", error.hint)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files that a worker returned to the step's local folder; there is always a log."""
    try:
        for name, content in {"log.txt": b"", **files}.items():
            (folder / PurePosixPath(name).name).write_bytes(content)
    except OSError as error:
        raise cannot_write(folder, error) from None
