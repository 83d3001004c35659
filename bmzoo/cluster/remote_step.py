"""Execution of one job on a worker: fetch and verify inputs, run the step, upload the result, report."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from bmzoo.cluster.job import TRANSFERS, Outcome, RemoteJob, Wanted
from bmzoo.errors import BmzooError, StoreError, ToolFailed
from bmzoo.execute.layout import Layout
from bmzoo.execute.resolve import Resolved
from bmzoo.execute.run import Runner
from bmzoo.execute.toolchain import LocalToolchain, Toolchain, find_installation
from bmzoo.plan.resources import needs
from bmzoo.plan.step import Step
from bmzoo.store import upload
from bmzoo.store.remote import Remote
from bmzoo.store.shared import SharedStore
from bmzoo.system.hashing import Digests
from bmzoo.system.process import Stopped

MAX_LOG = 1 << 20  # bytes of a log that are sent back: the last ones
MAX_EVIDENCE = 32 << 20  # bytes of other files that are sent back after a failure


@dataclass(frozen=True)
class Site:
    """A worker's environment: its data folders, and a factory of its toolchain.

    Arguments of the factory: digest cache, a callback that says whether to cancel, threads per command.
    """

    toolchain: Callable[[Digests, Callable[[], bool], int], Toolchain]
    data: tuple[Path, ...] = ()


def local_site(environ: Mapping[str, str], checkout: Path) -> Site:
    """The environment that a local build would use: `$TPUC_ROOT` or `.venv`, `$BMZOO_DATA` and `../shared/data`."""

    def toolchain(digests: Digests, stopped: Callable[[], bool], threads: int) -> Toolchain:
        installation = find_installation(environ)
        if installation is None:
            raise ToolFailed("TPU-MLIR is not installed there", "start workers in a checkout where ./doit has run")
        return LocalToolchain(installation, digests, threads, stopped=stopped)

    named = environ.get("BMZOO_DATA")
    return Site(toolchain, (*([Path(named)] if named else []), Layout(checkout).shared_data))


class RemoteStep:
    """Runs jobs below the worker's local folder `root`. `name`: the worker's, for messages."""

    def __init__(self, site: Site, root: Path, name: str) -> None:
        self._site = site
        self._layout = Layout(root)
        self._name = name

    def run(self, job: RemoteJob, stopped: Callable[[], bool]) -> Outcome:
        """Build the job's result unless the channel has it. A BmzooError is returned as part of the outcome."""
        digests, trouble = Digests(self._layout.memory), Notes()
        try:
            _check_witness(job)
            toolchain = self._site.toolchain(digests, stopped, needs(job.step).cores)
            check_tools(job.material, toolchain)
            store = SharedStore(self._layout.build, Remote(job.channel, trouble.warn))
            with store.working_on(job.fingerprint):
                outcome = self._run(job, toolchain, store, digests)
        except BmzooError as error:
            outcome = Outcome(self._name, error=error)
        except Stopped:
            outcome = Outcome(self._name, error=ToolFailed("stopped, as nobody waited for it any more"))
        finally:
            digests.save()
        return replace(outcome, trouble=tuple(trouble.warnings))

    def _run(self, job: RemoteJob, toolchain: Toolchain, store: SharedStore, digests: Digests) -> Outcome:
        entry = store.lookup(job.fingerprint) or store.fetch(job.fingerprint)
        if entry is not None:
            store.push(entry)
            return Outcome(self._name, float(entry.facts.get("seconds", 0.0)))
        found = _Inputs(store, digests, self._site.data).find(job.inputs)
        if lacks := tuple(name for name, path in found.items() if path is None):
            return Outcome(self._name, lacks=lacks)
        notes = Notes()
        runner = Runner(toolchain, store, self._layout, notes)
        with store.scratch() as folder:
            try:
                made = runner.run(job.step, _resolved(job, found), folder)
            except BmzooError as error:
                return Outcome(self._name, error=error, warnings=tuple(notes.warnings), files=_evidence(folder))
            log = _tail(folder / "log.txt")
        store.push(made.entry)
        return Outcome(self._name, made.seconds, warnings=tuple(notes.warnings), files={"log.txt": log})


class Notes:
    """A report that only collects warnings; progress is reported by the client."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def started(self, step: Step, progress: Path | None = None) -> None: ...

    def finished(self, step: Step, seconds: float, where: str = "") -> None: ...

    def failed(self, step: Step) -> None: ...

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def say(self, text: str) -> None: ...


class _Inputs:
    """Locates a job's input files on this machine, and fetches missing ones."""

    def __init__(self, store: SharedStore, digests: Digests, data: tuple[Path, ...]) -> None:
        self._store = store
        self._digests = digests
        self._data = data

    def find(self, wanted: Mapping[str, Wanted]) -> dict[str, Path | None]:
        """Name -> local file; None for one that was not found."""
        for key in {one.entry for one in wanted.values() if one.entry}:  # once per entry, not per file
            self._store.lookup(key) or self._store.fetch(key)
        with ThreadPoolExecutor(TRANSFERS) as pool:
            return dict(zip(wanted, pool.map(self._path, wanted.values()), strict=True))

    def _path(self, one: Wanted) -> Path | None:
        if one.entry:
            return self._in_entry(one.entry, one.name, one.sha256, fetch=False)
        for path in (Path(one.path), *(folder / one.name for folder in self._data)):
            with suppress(OSError):
                if self._digests.of(path) == one.sha256:
                    return path
        return self._in_entry(upload.key(one.sha256), upload.CONTENT, one.sha256, fetch=True)

    def _in_entry(self, key: str, name: str, sha256: str, fetch: bool) -> Path | None:
        entry = self._store.lookup(key) or (self._store.fetch(key) if fetch else None)
        return entry.path(name) if entry is not None and entry.files.get(name) == sha256 else None


def check_tools(material: Mapping[str, object], toolchain: Toolchain) -> None:
    """Raises ToolFailed when a tool on this machine differs from the client's, and so could give other results."""
    tools = material["tools"]
    assert isinstance(tools, Mapping), "as fingerprint.material makes it"
    for tool, needed in tools.items():
        here = toolchain.identity(tool)
        if here != needed:
            other, wanted = _difference(here, needed)
            raise ToolFailed(
                f"{tool} is of {other} there, the build needs {wanted}",
                "bring that worker's checkout and .venv to the state of this one, or stop the worker",
            )
    if material["environment"] != dict(toolchain.environment):
        raise ToolFailed("tools get other variables there", "bring that worker's checkout to the state of this one")


def _difference(a: str, b: str) -> tuple[str, str]:
    """Two tool identities, up to the first word that differs; digests abbreviated."""
    pairs = list(zip_longest(*([word[:12] for word in text.split()] for text in (a, b)), fillvalue=""))
    at = next((i for i, (x, y) in enumerate(pairs) if x != y), 0)
    shown = pairs[max(0, at - 2) : at + 1]
    return " ".join(x for x, _ in shown).strip(), " ".join(y for _, y in shown).strip()


def _resolved(job: RemoteJob, found: Mapping[str, Path | None]) -> Resolved:
    files = {name: (path, job.inputs[name].sha256) for name, path in found.items() if path is not None}
    return Resolved(files, job.fingerprint, job.material, job.facts, (), job.pictures)


def _check_witness(job: RemoteJob) -> None:
    if job.witness and not Path(job.witness).is_dir():
        raise StoreError(
            f"it does not see {Path(job.channel).parent}, and there is no shared store",
            "name a store that all machines reach as `store: {url: ...}` in configs/zoo.yaml, or in $BMZOO_STORE",
        )


def _evidence(folder: Path) -> dict[str, bytes]:
    """The small files that a failed step wrote, and `files.txt`, a listing of all."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    content: dict[str, bytes] = {}
    listing: list[str] = []
    left = MAX_EVIDENCE
    for path in paths:
        size = path.stat().st_size
        listing.append(f"{size:12} {path.relative_to(folder)}\n")
        if path.parent == folder and size <= left and path.name != "log.txt":
            content[path.name] = path.read_bytes()
            left -= size
    return {**content, "log.txt": _tail(folder / "log.txt"), "files.txt": "".join(listing).encode()}


def _tail(path: Path) -> bytes:
    """The last MAX_LOG bytes of a log; empty when there is none."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_LOG))
        return file.read()
    return b""
