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

from bmzoo.digests import Digests
from bmzoo.errors import BmzooError, SourceError, ToolFailed
from bmzoo.fingerprint import fingerprint, material
from bmzoo.paths import Layout
from bmzoo.sources import Sources
from bmzoo.step import File, Output, Pictures, Step, Tree
from bmzoo.store import Entry, Store, cannot_write
from bmzoo.toolchain import Toolchain


class Report(Protocol):
    """What a run says while it goes."""

    def started(self, step: Step) -> None: ...

    def finished(self, step: Step, seconds: float) -> None: ...

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


# Another place where a result may lie (a committed table): fills the folder and says whether it did.
Elsewhere = Callable[[Step, str, Path], bool]


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
        self._lock = threading.Lock()
        self.elsewhere: Elsewhere = lambda step, key, folder: False

    def find(self, step: Step) -> Entry | None:
        """The step's result if it is already there for the inputs as they are now; runs nothing."""
        with self._lock:
            if step in self._done:
                return self._done[step]
        if any(self.find(needed) is None for needed in step.needs()):
            return None
        entry = self._store.lookup(self.resolve(step).fingerprint)
        return self._remember(step, entry) if entry else None

    def run(self, step: Step) -> Entry:
        """The step's result, made now if need be. Raises BmzooError; what failed is kept as evidence."""
        for needed in step.needs():
            self.run(needed)
        entry = self.find(step)
        if entry is not None:
            return entry
        ready = self.resolve(step)
        with self._store.working_on(ready.fingerprint):
            entry = self._store.lookup(ready.fingerprint) or self._make(step, ready)
        return self._remember(step, entry)

    def resolve(self, step: Step) -> Ready:
        """The step's fingerprint now. Its needed steps must have results. Raises SourceError."""
        files: dict[str, tuple[Path, str]] = {}
        warnings: list[str] = []
        pictures: dict[str, str] = {}
        for name, ref in step.inputs:
            if isinstance(ref, Output):
                entry = self._need(ref.step)
                files[name] = (entry.path(ref.file), entry.files[ref.file])
            elif isinstance(ref, File):
                files[name] = self._source(ref)
            elif isinstance(ref, Tree):
                found = self._sources.tree(ref).items()
                files |= {f"{name}/{inside}": (path, self._digest(path)) for inside, path in found}
            else:
                self._pictures(name, ref, files, warnings, pictures)
        facts = material(
            step,
            {name: digest for name, (_, digest) in files.items()},
            {c.tool: self._toolchain.identity(c.tool) for c in step.commands},
            self._toolchain.environment,
        )
        return Ready(files, fingerprint(facts), facts, tuple(warnings), pictures)

    def _need(self, step: Step) -> Entry:
        entry = self.find(step)
        return entry if entry is not None else self.run(step)

    def _remember(self, step: Step, entry: Entry) -> Entry:
        with self._lock:
            self._done[step] = entry
        return entry

    def _source(self, ref: File) -> tuple[Path, str]:
        path = self._sources.file(ref)
        digest = self._digest(path)
        if ref.sha256 and digest != ref.sha256:
            raise SourceError(
                f"{path}: not the file that the config pins: sha256 {digest}",
                f"the config says {ref.sha256}; a name is not an identity: get the right file, or pin this one",
            )
        return path, digest

    def _digest(self, path: Path) -> str:
        try:
            return self._digests.of(path)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from None

    def _pictures(
        self,
        name: str,
        ref: Pictures,
        files: dict[str, tuple[Path, str]],
        warnings: list[str],
        pictures: dict[str, str],
    ) -> None:
        found = self._sources.pictures(ref)
        pictures["folder"] = str(found.folder)
        for index, path in enumerate(found.files):
            inside = f"{index:05d}{path.suffix.lower()}"
            files[f"{name}/{inside}"] = (path, self._digest(path))
            pictures[inside] = path.name
        warnings += [f"{found.folder / other}: skipped: not a picture" for other in found.skipped[:5]]
        if ref.count > len(found.files):
            warnings.append(f"{found.folder}: {ref.count} pictures asked for, {len(found.files)} found")

    def _make(self, step: Step, ready: Ready) -> Entry:
        with self._store.scratch() as folder:
            if self.elsewhere(step, ready.fingerprint, folder):
                return self._store.publish(ready.fingerprint, folder, step.outputs, {"step": str(step)})
            self._report.started(step)
            start = time.monotonic()
            try:
                self._fill(step, ready, folder)
                self._run_commands(step, folder)
                seconds = time.monotonic() - start
                entry = self._publish(step, ready, folder, seconds)
            except BmzooError as error:
                self._report.failed(step)
                self._keep(step, folder, error)
                raise
            except BaseException:
                self._report.failed(step)
                raise
        self._report.finished(step, seconds)
        return entry

    def _fill(self, step: Step, ready: Ready, folder: Path) -> None:
        try:
            for name, (path, _) in ready.files.items():
                link = folder / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.absolute())
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
        log = self._layout.log(step)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "log.txt", log)
        except OSError as error:
            raise cannot_write(log, error) from None
        return self._store.publish(ready.fingerprint, folder, step.outputs, facts)

    def _keep(self, step: Step, folder: Path, error: BmzooError) -> None:
        """Move the failed step's folder aside and say where its log is. Never hides the failure itself."""
        evidence = self._layout.evidence(step)
        with suppress(OSError):
            shutil.rmtree(evidence, ignore_errors=True)
            evidence.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(evidence)
            log = self._layout.shown(evidence / "log.txt")
            error.hint = f"{error.hint}\nlog: {log}" if error.hint else f"see the log: {log}"
