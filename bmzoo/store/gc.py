"""`gc`: evicts the least recently used entries until the store is within its limit, and removes stale evidence.

Entries that the configs of this checkout need are evicted last. Entries used within the last two hours are kept: a
running step may be reading them, and no step runs longer than that without recording another use.
"""

import errno
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bmzoo.plan.step import HOUR
from bmzoo.store.entry import MANIFEST
from bmzoo.store.local import Store
from bmzoo.store.scratch import DAY
from bmzoo.system.files import cannot_write

GRACE = 2 * HOUR
# Evidence of failures and quarantined entries are kept for inspection, for a month.
STALE = 30 * DAY
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Usage:
    """Size of an entry (bytes), and when it was last used (ns since 1970, the file system's clock)."""

    fingerprint: str
    size: int
    used_ns: int


@dataclass(frozen=True)
class Cleaned:
    """What a garbage collection did, or would do. Sizes in bytes."""

    entries: int
    freed: int
    left: int
    limit: int | None
    needed: int  # of the removed entries, those that the configs use
    stale: tuple[Path, ...]

    def lines(self) -> list[str]:
        """The report for the terminal."""
        limit = f", limit {size(self.limit)}" if self.limit is not None else ", no limit set"
        told = [f"{self.entries} entries removed, {size(self.freed)} freed; {size(self.left)} left{limit}"]
        if self.needed:
            told.append(f"{self.needed} of them are used by configs/: the limit is too small to keep them all")
        if self.limit is not None and self.left > self.limit:
            told.append("still over the limit: the rest was used within the last two hours")
        return [*told, *(f"removed, over 30 days old: {path}" for path in self.stale)]


def clean(store: Store, limit: int | None, keep: Collection[str], dry: bool) -> Cleaned:
    """Collect garbage; `dry` only reports. `limit` in bytes, None for no limit. Raises StoreError."""
    now = store.now()
    entries = usages(store)
    chosen = choose(entries, limit, keep, now) if limit is not None else []
    gone = chosen if dry else [usage for usage in chosen if evict(store, usage)]
    stale = tuple(_stale((store.root / "failed", store.root / "quarantine"), now))
    if not dry:
        store.sweep()
        for path in stale:
            shutil.rmtree(path, ignore_errors=True)
    freed = sum(usage.size for usage in gone)
    left = sum(usage.size for usage in entries) - freed
    needed = sum(usage.fingerprint in keep for usage in gone)
    return Cleaned(len(gone), freed, left, limit, needed, stale)


def choose(entries: Iterable[Usage], limit: int, keep: Collection[str], now: float) -> list[Usage]:
    """The entries to evict, in order, so that at most `limit` bytes remain."""
    everything = list(entries)
    excess = sum(usage.size for usage in everything) - limit
    old = [usage for usage in everything if not now - GRACE < usage.used_ns / 1e9 < now + GRACE]
    # A time in the future is not from this file system's clock and says nothing of the last use: evicted first.
    old.sort(key=lambda u: (u.fingerprint in keep, u.used_ns / 1e9 < now, u.used_ns, u.fingerprint))
    chosen = []
    for usage in old:
        if excess <= 0:
            break
        chosen.append(usage)
        excess -= usage.size
    return chosen


def usages(store: Store) -> list[Usage]:
    """Size and last use of every entry."""
    return [usage for folder in store.folders() if (usage := _usage(folder)) is not None]


def evict(store: Store, usage: Usage) -> bool:
    """Remove an entry; False when it is gone, or was used since. Raises StoreError.

    It is renamed before it is deleted, so that others see all of it or nothing.
    """
    folder = store.folder(usage.fingerprint)
    with store.scratch() as rest:
        aside = rest / usage.fingerprint
        try:
            if _used_ns(folder) != usage.used_ns:
                return False
            folder.rename(aside)
            if _used_ns(aside) != usage.used_ns:  # used between the listing and the rename: put it back
                aside.rename(folder)
                return False
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # rebuilt meanwhile
                return True
            raise cannot_write(folder, error) from None
    return True


def _usage(folder: Path) -> Usage | None:
    try:
        size = sum(path.lstat().st_size for path in folder.iterdir())
        return Usage(folder.name, size, _used_ns(folder))
    except OSError:  # removed meanwhile
        return None


def _used_ns(folder: Path) -> int:
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return folder.stat().st_mtime_ns


def size(count: float) -> str:
    """Bytes for people: `1.3 GB`."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def _stale(folders: Iterable[Path], now: float) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.glob("*/")):
            times = [path, *path.rglob("*")] if folder.name == "failed" else [path]
            with suppress(OSError):
                if now - max(p.lstat().st_mtime for p in times) > STALE:
                    yield path
