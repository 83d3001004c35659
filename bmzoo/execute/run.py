"""Running one step's commands in a scratch folder of its own, and publishing what they wrote."""

import errno
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bmzoo.errors import BmzooError, ToolFailed
from bmzoo.execute.layout import Layout
from bmzoo.execute.resolve import Resolved
from bmzoo.execute.toolchain import Toolchain
from bmzoo.plan.step import Step
from bmzoo.store.local import Entry, Store
from bmzoo.system.files import cannot_write, is_full

# Bytes; logs and tables have less, samples and weights more.
LARGE = 1 << 20


class RunReport(Protocol):
    """What a run says while it goes."""

    def started(self, step: Step, progress: Path | None = None) -> None:
        """`progress`: where the step writes how far it is, if it does; see system/partial.py."""

    def finished(self, step: Step, seconds: float, where: str = "") -> None: ...

    def failed(self, step: Step) -> None: ...

    def warn(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Made:
    """A result, how long its commands took (s), and the machine that they ran on if it is not this one."""

    entry: Entry
    seconds: float
    where: str = ""


@dataclass(frozen=True)
class Runner:
    """Runs steps on this machine. Safe for threads."""

    toolchain: Toolchain
    store: Store
    layout: Layout
    report: RunReport

    def run(self, step: Step, resolved: Resolved, folder: Path) -> Made:
        """Run the commands in a scratch folder and publish what they wrote. Raises BmzooError."""
        start = time.monotonic()
        self._fill(step, resolved, folder)
        self._run_commands(step, folder)
        seconds = time.monotonic() - start
        return Made(self._publish(step, resolved, folder, seconds), seconds)

    def keep_log(self, step: Step, folder: Path) -> None:
        """Copy the log of a step that went well to where people look for it. Raises StoreError."""
        log = self.layout.log(step)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "log.txt", log)
        except OSError as error:
            raise cannot_write(log, error) from None

    def keep_evidence(self, step: Step, folder: Path, error: BmzooError) -> None:
        """Move a failed step's folder aside and say where its log is. Never hides the failure itself."""
        evidence = self.layout.evidence(step)
        with suppress(OSError):
            if is_full(folder):
                _drop_large(folder)
            shutil.rmtree(evidence, ignore_errors=True)
            evidence.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, evidence)  # the store, and its scratch folders, may be on another disk
            error.evidence = self.layout.shown(evidence / "log.txt")

    def _fill(self, step: Step, resolved: Resolved, folder: Path) -> None:
        try:
            if step.resumable:
                pieces = self.layout.partial(resolved.fingerprint)
                pieces.mkdir(parents=True, exist_ok=True)
                (folder / pieces.parent.name).symlink_to(pieces.absolute())
            for name, (path, _) in resolved.files.items():
                link = folder / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.absolute())
            for name, text in step.documents:
                (folder / name).write_text(text, encoding="utf-8")
            if resolved.pictures:
                (folder / "pictures.json").write_text(json.dumps(dict(resolved.pictures)), encoding="utf-8")
        except OSError as error:
            raise cannot_write(folder, error) from None
        for warning in resolved.warnings:
            self.report.warn(warning)

    def _run_commands(self, step: Step, folder: Path) -> None:
        log = folder / "log.txt"
        log.touch()
        for command in step.commands:
            self.toolchain.run(command, folder, log, step.timeout)
            with suppress(OSError, ValueError):
                for warning in json.loads((folder / "warnings.json").read_text(encoding="utf-8")):
                    self.report.warn(f"{step.subject}: {warning}")
                (folder / "warnings.json").unlink()
        if is_full(folder):  # the compiler does not say that what it wrote broke off
            raise cannot_write(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        missing = [n for n in step.outputs if not (folder / n).is_file() or not (folder / n).stat().st_size]
        if missing:
            tool = step.commands[-1].tool
            raise ToolFailed(f"{tool}: ended without an error but did not write: {missing[0]}")

    def _publish(self, step: Step, resolved: Resolved, folder: Path, seconds: float) -> Entry:
        facts: dict[str, Any] = {
            "step": str(step),
            "seconds": round(seconds, 3),
            "material": fingerprinted(resolved),
        }
        self.keep_log(step, folder)
        entry = self.store.publish(resolved.fingerprint, folder, step.outputs, facts)
        if step.resumable:
            shutil.rmtree(self.layout.partial(resolved.fingerprint), ignore_errors=True)
        return entry


def _drop_large(folder: Path) -> None:
    """Evidence on a full disk would keep the next run from starting: what filled it goes, logs and tables stay."""
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_size > LARGE:
            path.unlink()


def fingerprinted(resolved: Resolved) -> Mapping[str, object]:
    """What a step's fingerprint is of."""
    return dict(resolved.facts or resolved.material)
