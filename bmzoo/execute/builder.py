"""Runs steps: from the store when their fingerprint is there, else in a scratch folder, then published.

Steps are chained by the digests of what earlier ones produced, so an identical intermediate result stops
a rebuild. A kill at any moment loses only the step that was running.
"""

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bmzoo.errors import BmzooError, SourceError, ToolFailed
from bmzoo.execute.layout import Layout
from bmzoo.execute.origins import origins
from bmzoo.execute.toolchain import Toolchain
from bmzoo.plan.fingerprint import deferred, fingerprint, material
from bmzoo.plan.step import File, Output, Pictures, Step, Tree
from bmzoo.sources.lookup import PictureSet, Sources
from bmzoo.store.local import Entry, Store
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import Digests
from bmzoo.system.partial import PROGRESS


class Report(Protocol):
    """What a run says while it goes."""

    def started(self, step: Step, progress: Path | None = None) -> None:
        """`progress`: where the step writes how far it is, if it does; see partial.py."""

    def finished(self, step: Step, seconds: float, where: str = "") -> None: ...

    def failed(self, step: Step) -> None: ...

    def warn(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Ready:
    """A step's inputs as they are now: name in the folder -> (file, digest), and the fingerprint they give."""

    files: Mapping[str, tuple[Path, str]]
    fingerprint: str
    material: Mapping[str, object]
    warnings: tuple[str, ...]
    pictures: Mapping[str, str]  # name in the folder -> name at the source
    origins: Mapping[str, str]  # name in the folder -> where from, as people know it


@dataclass(frozen=True)
class Made:
    """A result, how long its commands took (s), and the machine that they ran on if it is not this one."""

    entry: Entry
    seconds: float
    where: str = ""


class Executor(Protocol):
    """Makes results on other machines. Safe for threads."""

    def make(self, step: Step, ready: Ready, needed: Mapping[str, Entry], folder: Path) -> Made:
        """`needed`: the inputs that are results, by name. Raises BmzooError; `folder` then holds the evidence."""


# Stands for the file of a deferred step, which is made when a step that reads it is.
NOT_MADE = Path()
# Another place where a result may lie (a committed table): fills the folder and says whether it did.
Elsewhere = Callable[[Step, str, Path], bool]
# Pictures and their digests.
Seen = tuple[PictureSet, tuple[str, ...]]
# Told of every result that is made or found, with what it is made from.
Noted = Callable[[Step, Ready], None]


class Builder:
    """Steps to entries of the store, for one toolchain, store and set of sources. Safe for threads."""

    def __init__(
        self,
        toolchain: Toolchain,
        store: Store,
        sources: Sources,
        digests: Digests,
        layout: Layout,
        report: Report,
    ) -> None:
        self._toolchain = toolchain
        self._store = store
        self._sources = sources
        self._digests = digests
        self._layout = layout
        self._report = report
        self._done: dict[Step, Entry] = {}
        self._seen: dict[Pictures, Seen] = {}
        self._lock = threading.Lock()
        self.elsewhere: Elsewhere = lambda step, key, folder: False
        self.noted: Noted = lambda step, ready: None
        self.executor: Executor | None = None

    def find(self, step: Step) -> Entry | None:
        """The step's result if it is already there for the inputs as they are now; runs nothing."""
        with self._lock:
            known = self._done.get(step)
        if known is not None and self._store.use(known):
            return known
        grounds: dict[Step, Entry] = {}
        for ground in step.grounds():
            found = self.find(ground)
            if found is None:
                return None
            grounds[ground] = found
        ready = self.resolve(step, grounds, again=False)
        entry = self._store.lookup(ready.fingerprint)
        return self._remember(step, ready, entry) if entry else None

    def run(self, step: Step) -> Entry:
        """The step's result, made now if need be. Raises BmzooError; what failed is kept as evidence."""
        for ground in step.grounds():
            self.run(ground)
        entry = self.find(step)
        if entry is not None:
            return entry
        ready = self.resolve(step)
        with self._store.working_on(ready.fingerprint):
            known = self._store.lookup(ready.fingerprint) or self._store.fetch(ready.fingerprint)
            entry = known or self._make(step, ready)
        if known is None:
            self._store.push(entry)  # after the lock: nobody here waits for it
        return self._remember(step, ready, entry)

    def found(self) -> frozenset[str]:
        """Fingerprints of all results that were asked for and found."""
        with self._lock:
            return frozenset(entry.fingerprint for entry in self._done.values())

    def resolve(self, step: Step, given: Mapping[Step, Entry] | None = None, again: bool = True) -> Ready:
        """The step's fingerprint now. Its grounds are run when they have no results. Raises SourceError.

        `again`: whether pictures are looked at now, even if this builder has seen them before; what is made is
        always made from pictures as they are then.

        Entries that are `given` take the place of results, so that nothing is run where all grounds are. A file
        of theirs may have an empty digest: what it will be is not known, and neither is then the fingerprint.
        """
        given = given or {}
        files: dict[str, tuple[Path, str]] = {}
        warnings: list[str] = []
        pictures: dict[str, str] = {}
        for name, ref in step.inputs:
            if isinstance(ref, Output) and ref.step.deferred:
                files[name] = (NOT_MADE, _stand_in(self.resolve(ref.step, given), ref.file))
            elif isinstance(ref, Output):
                entry = given.get(ref.step) or self._need(ref.step)
                files[name] = (entry.path(ref.file), entry.files[ref.file])
            elif isinstance(ref, File):
                files[name] = self._source(ref)
            elif isinstance(ref, Tree):
                found = self._sources.tree(ref).items()
                files |= {f"{name}/{inside}": (path, self._digest(path)) for inside, path in found}
            else:
                self._pictures(name, ref, self._look(ref, again), files, warnings, pictures)
        facts = material(
            step,
            {name: digest for name, (_, digest) in files.items()},
            {c.tool: self._toolchain.identity(c.tool) for c in step.commands},
            self._toolchain.environment,
        )
        shown = origins(step, files, pictures)
        return Ready(files, fingerprint(facts), facts, tuple(warnings), pictures, shown)

    def _need(self, step: Step) -> Entry:
        entry = self.find(step)
        return entry if entry is not None else self.run(step)

    def _remember(self, step: Step, ready: Ready, entry: Entry) -> Entry:
        with self._lock:
            self._done[step] = entry
        self.noted(step, ready)
        return entry

    def _source(self, ref: File) -> tuple[Path, str]:
        return self._sources.pinned(ref, self._digests.of)

    def _digest(self, path: Path) -> str:
        try:
            return self._digests.of(path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from None

    def _look(self, ref: Pictures, again: bool) -> Seen:
        """Pictures and their digests. Every target asks for the same few sets of them."""
        seen = None if again else self._seen.get(ref)
        if seen is None:
            found = self._sources.pictures(ref)
            seen = self._seen[ref] = found, tuple(map(self._digest, found.files))
        return seen

    def _pictures(
        self,
        name: str,
        ref: Pictures,
        seen: Seen,
        files: dict[str, tuple[Path, str]],
        warnings: list[str],
        pictures: dict[str, str],
    ) -> None:
        found, digests = seen
        pictures["folder"] = str(found.folder)
        for index, (path, digest) in enumerate(zip(found.files, digests, strict=True)):
            inside = f"{index:05d}{path.suffix.lower()}"
            files[f"{name}/{inside}"] = (path, digest)
            pictures[inside] = path.name
        warnings += [f"{found.folder / other}: skipped: not a picture" for other in found.skipped[:5]]
        if ref.count > len(found.files):
            warnings.append(f"{found.folder}: {ref.count} pictures asked for, {len(found.files)} found")

    def _make(self, step: Step, ready: Ready) -> Entry:
        with self._store.scratch() as folder:
            if self.elsewhere(step, ready.fingerprint, folder):
                return self._store.publish(ready.fingerprint, folder, step.outputs, {"step": str(step)})
            late = self._late(step)
            self._report.started(step, folder / PROGRESS)
            try:
                made = self._dispatch(step, ready, late, folder)
            except BmzooError as error:
                self._report.failed(step)
                self._keep(step, folder, error)
                raise
            except BaseException:
                self._report.failed(step)
                raise
        self._report.finished(step, made.seconds, made.where)
        return made.entry

    def _dispatch(self, step: Step, ready: Ready, late: Mapping[str, Path], folder: Path) -> Made:
        """Make it here, or have it made."""
        if self.executor is not None:
            needed = {name: self._need(ref.step) for name, ref in step.inputs if isinstance(ref, Output)}
            made = self.executor.make(step, ready, needed, folder)
            self._keep_log(step, folder)
            return made
        return self.make_here(step, ready, late, folder)

    def make_here(self, step: Step, ready: Ready, late: Mapping[str, Path], folder: Path) -> Made:
        """Run the commands in a scratch folder and publish what they wrote. Raises BmzooError.

        `late`: files of results that were not there yet when the inputs were looked up, by name.
        """
        start = time.monotonic()
        self._fill(step, ready, late, folder)
        self._run_commands(step, folder)
        seconds = time.monotonic() - start
        return Made(self._publish(step, ready, folder, seconds), seconds)

    def _late(self, step: Step) -> dict[str, Path]:
        """The files of deferred steps, which are needed now."""
        refs = ((name, ref) for name, ref in step.inputs if isinstance(ref, Output) and ref.step.deferred)
        return {name: self.run(ref.step).path(ref.file) for name, ref in refs}

    def _fill(self, step: Step, ready: Ready, late: Mapping[str, Path], folder: Path) -> None:
        try:
            if step.resumable:
                pieces = self._layout.partial(ready.fingerprint)
                pieces.mkdir(parents=True, exist_ok=True)
                (folder / pieces.parent.name).symlink_to(pieces.absolute())
            for name, (path, _) in ready.files.items():
                link = folder / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(late.get(name, path).absolute())
            for name, text in step.documents:
                (folder / name).write_text(text, encoding="utf-8")
            if ready.pictures:
                (folder / "pictures.json").write_text(json.dumps(dict(ready.pictures)), encoding="utf-8")
        except OSError as error:
            raise cannot_write(folder, error) from None
        for warning in ready.warnings:
            self._report.warn(warning)

    def _run_commands(self, step: Step, folder: Path) -> None:
        log = folder / "log.txt"
        log.touch()
        for command in step.commands:
            self._toolchain.run(command, folder, log, step.timeout)
            with suppress(OSError, ValueError):
                for warning in json.loads((folder / "warnings.json").read_text(encoding="utf-8")):
                    self._report.warn(f"{step.subject}: {warning}")
                (folder / "warnings.json").unlink()
        missing = [n for n in step.outputs if not (folder / n).is_file() or not (folder / n).stat().st_size]
        if missing:
            tool = step.commands[-1].tool
            raise ToolFailed(f"{tool}: ended without an error but did not write: {missing[0]}")

    def _publish(self, step: Step, ready: Ready, folder: Path, seconds: float) -> Entry:
        facts: dict[str, Any] = {
            "step": str(step),
            "seconds": round(seconds, 3),
            "material": dict(ready.material),
        }
        self._keep_log(step, folder)
        entry = self._store.publish(ready.fingerprint, folder, step.outputs, facts)
        if step.resumable:
            shutil.rmtree(self._layout.partial(ready.fingerprint), ignore_errors=True)
        return entry

    def _keep_log(self, step: Step, folder: Path) -> None:
        log = self._layout.log(step)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "log.txt", log)
        except OSError as error:
            raise cannot_write(log, error) from None

    def _keep(self, step: Step, folder: Path, error: BmzooError) -> None:
        """Move the failed step's folder aside and say where its log is. Never hides the failure itself."""
        evidence = self._layout.evidence(step)
        with suppress(OSError):
            shutil.rmtree(evidence, ignore_errors=True)
            evidence.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(evidence)
            log = self._layout.shown(evidence / "log.txt")
            error.hint = f"{error.hint}\nlog: {log}" if error.hint else f"see the log: {log}"


def _stand_in(ready: Ready, file: str) -> str:
    """The digest of a deferred step's file; empty where it cannot be known yet."""
    known = all(digest for _, digest in ready.files.values())
    return deferred(ready.fingerprint, file) if known else ""
