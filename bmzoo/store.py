"""Step results under their fingerprint: filled in a scratch folder, published whole by one rename.

store/ab/abcdef.../            read-only files and `manifest.json`, which names each with its digest
scratch/<pid>-<random>/        one folder for each running step, held by a lock; orphans are swept
"""

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bmzoo.digests import sha256
from bmzoo.errors import StoreError

MANIFEST = "manifest.json"
HOUR = 3600.0


@dataclass(frozen=True)
class Entry:
    """A published result: `files` maps name to sha256, `facts` is what the step said about itself."""

    fingerprint: str
    folder: Path
    files: Mapping[str, str]
    facts: Mapping[str, Any]

    def path(self, name: str) -> Path:
        return self.folder / name


class Store:
    """A folder of results. Safe for threads and processes; a kill leaves no half-written entry."""

    def __init__(self, root: Path) -> None:
        self._entries = root / "store"
        self._scratch = root / "scratch"

    def lookup(self, fingerprint: str) -> Entry | None:
        """The entry, or None when there is none or what is there is not whole."""
        folder = self._folder(fingerprint)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            files = {str(k): str(v) for k, v in manifest["files"].items()}
            sizes = manifest["sizes"]
            whole = all((folder / name).stat().st_size == sizes[name] for name in files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Entry(fingerprint, folder, files, manifest.get("facts", {})) if whole else None

    def publish(self, fingerprint: str, filled: Path, names: tuple[str, ...], facts: Mapping[str, Any]) -> Entry:
        """Move `names` out of a scratch folder into a new entry. An entry that exists already wins.

        Raises StoreError when the disk is full or the store cannot be written; nothing is left half done.
        """
        folder = self._folder(fingerprint)
        part = filled / ".publish"
        try:
            part.mkdir()
            for name in names:
                source = filled / name
                (shutil.copyfile if source.is_symlink() else os.replace)(source, part / name)
            files = {name: sha256(part / name) for name in names}
            sizes = {name: (part / name).stat().st_size for name in names}
            manifest = {"fingerprint": fingerprint, "files": files, "sizes": sizes, "facts": dict(facts)}
            (part / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
            for path in part.iterdir():
                path.chmod(0o444)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._replace(part, folder)
        except OSError as error:
            raise cannot_write(folder, error) from None
        entry = self.lookup(fingerprint)
        if entry is None:
            raise StoreError(f"{folder}: result vanished while it was published", "is something cleaning build/?")
        return entry

    def _replace(self, part: Path, folder: Path) -> None:
        try:
            part.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if self.lookup(folder.name) is None:  # damaged: set it aside, then take its place
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder of its own, removed at the end. Raises StoreError when it cannot be made."""
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._scratch))
        except OSError as error:
            raise cannot_write(self._scratch, error) from None
        lock = FileLock(folder.with_suffix(".lock"))
        try:
            with lock:
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                Path(lock.lock_file).unlink()

    @contextmanager
    def working_on(self, fingerprint: str) -> Iterator[None]:
        """Hold the right to make this entry: a second builder waits here and then finds it made.

        Lock files are never removed, as that would race; a prefix of the fingerprint bounds their number.
        """
        locks = self._scratch / "making"
        try:
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / fingerprint[:3])
            lock.acquire()
        except OSError as error:
            raise cannot_write(locks, error) from None
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove scratch folders whose owner is gone, and those that never got a lock after an hour."""
        for folder in self._scratch.glob("*-*/"):
            with suppress(OSError):
                if not folder.with_suffix(".lock").exists() and time.time() - folder.stat().st_mtime > HOUR:
                    shutil.rmtree(folder, ignore_errors=True)
        for lock_file in self._scratch.glob("*.lock") if self._scratch.is_dir() else ():
            lock = FileLock(lock_file)
            try:
                with lock.acquire(timeout=0):
                    shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            except (Timeout, OSError):
                continue
            with suppress(OSError):
                lock_file.unlink()

    def _folder(self, fingerprint: str) -> Path:
        return self._entries / fingerprint[:2] / fingerprint


def cannot_write(where: Path, error: OSError) -> StoreError:
    """A write that failed, as one line with its cause."""
    hints = {
        errno.ENOSPC: "free some space; ./doit doctor shows how much a build needs",
        errno.EROFS: "the file system is mounted read-only",
        errno.EACCES: "check who owns build/",
        errno.EDQUOT: "the disk quota is used up",
    }
    return StoreError(f"{where}: cannot be written: {error.strerror}", hints.get(error.errno or 0, ""))
