"""The local cache of step results: entries are filled in a scratch folder and published by one rename.

store/ab/abcdef.../            read-only files and `manifest.json`, which lists each with its digest
quarantine/abcdef...-<n>/      corrupt entries, see fsck.py
scratch/                       work in progress, see scratch.py

All files have one fixed modification time, so that a later change is detected without reading them. The
modification time of the manifest is that of the last use, for eviction.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from bmzoo.errors import StoreError
from bmzoo.store.entry import MANIFEST, Damaged, StoreManifest, is_fingerprint, parse_manifest
from bmzoo.store.scratch import Scratch, apart
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import sha256

# 2000-01-01: the modification time of every published file. Not 0, which some archive formats cannot represent.
SEALED_NS = 946_684_800 * 10**9
# Uses are recorded at most this often (s); gc keeps entries that were used within a multiple of it.
STAMP = 1800.0


@dataclass(frozen=True)
class Entry:
    """A published result: `files` maps name to sha256, `facts` is metadata from the step that produced it."""

    fingerprint: str
    folder: Path
    files: Mapping[str, str]
    facts: Mapping[str, Any]

    def path(self, name: str) -> Path:
        return _below(str(self.folder), name)

    def read_json(self, name: str) -> Any:
        """A JSON file of the result."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))


# Remembered, as pathlib is slow, and a result is an input of many steps.
@lru_cache(maxsize=32768)
def _below(folder: str, name: str) -> Path:
    return Path(folder, name)


class Store:
    """A local cache. Safe for threads, processes and machines; a kill leaves no half-written entry.

    `stamping`: whether a lookup counts as a use of the entry.
    """

    def __init__(self, root: Path, stamping: bool = True) -> None:
        self._entries = root / "store"
        self.root = root
        # Entries are published by a rename, which does not reach from one mount to another.
        beside = root / "scratch"
        self._scratch = Scratch(self._entries / "scratch" if apart(self._entries, root) else beside)
        self._stamping = stamping

    def lookup(self, fingerprint: str) -> Entry | None:
        """The entry, or None when it is missing, incomplete or modified."""
        folder = self.folder(fingerprint)
        try:
            with open(f"{folder}/{MANIFEST}", "rb") as file:  # noqa: PTH123  # every step asks for one or two
                manifest = parse_manifest(file.read(), fingerprint)
            whole = all(_is_sound(folder, manifest, name) for name in manifest.files)
        except (OSError, Damaged):
            return None
        entry = Entry(fingerprint, folder, manifest.files, manifest.facts)
        return entry if whole and self.use(entry) else None

    def use(self, entry: Entry) -> bool:
        """Record a use of an entry; False when it is gone."""
        path = f"{entry.folder}/{MANIFEST}"  # a string, as pathlib is slow and this is called for every step
        try:
            # In either direction: this machine's clock may be behind that of the file system.
            if self._stamping and abs(time.time() - os.stat(path).st_mtime) > STAMP:  # noqa: PTH116
                os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # another user's, or on a read-only mount: usable, but the use cannot be recorded
        return True

    def fetch(self, fingerprint: str) -> Entry | None:
        """Fetch the entry from the shared store; None when there is no such entry or no shared store."""
        return None

    def push(self, entry: Entry) -> None:
        """Upload an entry to the shared store, if there is one."""

    def publish(
        self,
        fingerprint: str,
        filled: Path,
        names: tuple[str, ...],
        facts: Mapping[str, Any],
        known: Mapping[str, str] | None = None,
    ) -> Entry:
        """Move `names` out of a scratch folder into a new entry. An existing entry wins.

        `known` are digests that the caller has just computed. Raises StoreError when the disk is full or the
        store cannot be written, and then leaves no partial entry.
        """
        folder = self.folder(fingerprint)
        part = filled / ".publish"
        try:
            part.mkdir()
            for name in names:
                source = filled / name
                (shutil.copyfile if source.is_symlink() else os.replace)(source, part / name)
            files = known or {name: sha256(part / name) for name in names}
            sizes = {name: (part / name).stat().st_size for name in names}
            for name in names:
                _seal(part / name)
            manifest = StoreManifest(fingerprint, dict(files), sizes, dict(facts))
            (part / MANIFEST).write_text(manifest.text(), encoding="utf-8")
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
        for attempt in range(3):  # another process may quarantine the same corrupt entry, or publish first
            try:
                part.rename(folder)
                return
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            if self.lookup(folder.name) is not None:
                return
            with suppress(FileNotFoundError):
                folder.rename(part.parent / f".damaged{attempt}")
        part.rename(folder)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder of its own, removed at the end. Raises StoreError when it cannot be made."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(self._scratch.folder())
            except OSError as error:
                raise cannot_write(self._scratch.root, error) from None
            yield folder

    @contextmanager
    def working_on(self, fingerprint: str) -> Iterator[None]:
        """Lock the entry for building: a second builder waits here, and then finds the entry.

        Where locks do not reach other machines, two may build it at once, and the first to publish wins.
        """
        try:
            lock = self._scratch.lock(fingerprint)
        except OSError as error:
            raise cannot_write(self._scratch.root, error) from None
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove scratch folders whose owner is gone, and anything there that is over a day old."""
        self._scratch.sweep()

    # --- maintenance -------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 1970 by the file system's clock. Raises StoreError where it cannot be asked."""
        try:
            return self._scratch.now()
        except OSError as error:
            raise cannot_write(self._scratch.root, error) from None

    def folders(self) -> list[Path]:
        """Every entry's folder, valid or corrupt, in order of fingerprints."""
        found = self._entries.glob("[0-9a-f][0-9a-f]/*/")
        return sorted(path for path in found if is_fingerprint(path.name) and path.is_dir())

    def folder(self, fingerprint: str) -> Path:
        """The folder of an entry, whether or not it exists."""
        return self._entries / f"{fingerprint[:2]}/{fingerprint}"


def _is_sound(folder: Path, manifest: StoreManifest, name: str) -> bool:
    """Whether a file is as published; it is rehashed only when its size or times say that it may have changed."""
    stat = os.lstat(f"{folder}/{name}")
    if not S_ISREG(stat.st_mode) or stat.st_size != manifest.sizes[name]:
        return False
    if stat.st_mtime_ns == SEALED_NS:
        return True
    path = folder / name
    if sha256(path) != manifest.files[name]:
        return False
    with suppress(OSError):
        _seal(path)  # only the time differs: the store was copied, or is older than sealing
    return True


def _seal(path: Path) -> None:
    os.utime(path, ns=(SEALED_NS, SEALED_NS))
