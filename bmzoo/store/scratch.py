"""Scratch folders, and locks on the entries being built. Several machines may share the disk.

scratch/ lies in build/, or in the store's own folder where that is on another disk.

scratch/<boot>-<random>/       one folder for each running step
scratch/<boot>-<random>.lock   held while the folder is in use; <boot> says by which running machine
scratch/making/                one lock for each group of fingerprints

Not every file system propagates locks to other machines. So a free lock proves only for folders of this machine
that their owner is gone; those of other machines expire by age, by the file system's clock.
"""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bmzoo.plan.step import HOUR

if TYPE_CHECKING:
    from filelock import FileLock

DAY = 24 * HOUR


def apart(folder: Path, other: Path) -> bool:
    """Whether a rename cannot go from one folder to the other: a link to another disk, a mount, a subvolume."""
    try:
        return _mount(folder) != _mount(other)
    except OSError:  # one is not there yet
        return False


def _mount(folder: Path) -> tuple[int, str]:
    """Device and mount of a folder. Within a device, a bind mount differs in the second only."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
        return os.fstat(descriptor).st_dev, told.partition("mnt_id:")[2].partition("\n")[0].strip()
    finally:
        os.close(descriptor)


class Scratch:
    """The scratch folder of one store. Raises OSError; callers translate it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._boot = _boot()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new empty folder, removed at the end."""
        from filelock import FileLock  # imports asyncio, which is slow, and listing tasks does not need it

        self.root.mkdir(parents=True, exist_ok=True)
        folder = self.root / f"{self._boot}-{secrets.token_hex(8)}"
        lock = FileLock(folder.with_suffix(".lock"))
        with lock:  # before the folder exists: a sweep removes a folder whose lock is free
            try:
                folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):
                    Path(lock.lock_file).unlink()

    def lock(self, fingerprint: str) -> "FileLock":
        """Acquire the lock on building this entry.

        Lock files are never removed, as that would be a race; they are named by a prefix of the fingerprint, which
        bounds their number.
        """
        from filelock import FileLock

        locks = self.root / "making"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / fingerprint[:3])
        lock.acquire()
        return lock

    def now(self) -> float:
        """Seconds since 1970 by the file system's clock, which may be that of a file server."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.root) as probe:
            return os.fstat(probe.fileno()).st_mtime

    def sweep(self) -> None:
        """Remove leftovers of dead processes: this machine's at once, others after a day. Never fails."""
        with suppress(OSError):
            if not self.root.is_dir():
                return
            now = self.now()
            for path in sorted(self.root.iterdir()):
                with suppress(OSError):
                    self._sweep(path, now - path.lstat().st_mtime)

    def _sweep(self, path: Path, age: float) -> None:
        lock_file = path.with_suffix(".lock")
        if path.name == "making" or (path == lock_file and path.with_suffix("").exists()):
            return  # a lock file is removed with its folder
        if age < DAY and not (path.is_dir() and lock_file.exists() and path.name.startswith(self._boot)):
            return
        from filelock import FileLock, Timeout

        lock = FileLock(lock_file)
        try:
            with lock.acquire(timeout=0):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)  # removed with the lock held, so its owner is gone
        except Timeout:
            return
        with suppress(OSError):
            lock_file.unlink()


def _boot() -> str:
    """Eight characters of the kernel's boot id: processes under one kernel see each other's locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return socket.gethostname().replace("-", "")[:8].ljust(8, "0")
