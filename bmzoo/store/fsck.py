"""`fsck`: rehashes every file of every entry against its manifest; corrupt entries go to quarantine."""

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from stat import S_ISREG

from bmzoo.errors import StoreError
from bmzoo.store.entry import MANIFEST, Damaged, StoreManifest, check_material, parse_manifest
from bmzoo.store.local import Store
from bmzoo.store.remote import Remote, UnreadableEntry
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import sha256

HASH_THREADS = 4
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Bad:
    """A corrupt entry, what is wrong with it, and where it was moved."""

    fingerprint: str
    problem: str
    now: str

    def __str__(self) -> str:
        return f"{self.fingerprint[:16]}: {self.problem}; {self.now}"


def check_store(store: Store, advance: Advance) -> list[Bad]:
    """Rehash the store and quarantine corrupt entries; `advance` is called with bytes read. Raises StoreError."""
    folders = store.folders()
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        problems = list(pool.map(lambda folder: check_entry(folder, advance), folders))
    bad = [(folder, problem) for folder, problem in zip(folders, problems, strict=True) if problem]
    return [found for folder, problem in bad if (found := _named(store, folder, problem)) is not None]


def check_entry(folder: Path, advance: Advance) -> str:
    """What is wrong with an entry; empty when it is valid, or was removed meanwhile."""
    try:
        manifest = parse_manifest(_manifest(folder), folder.name)
        check_material(manifest)
        if folder.parent.name != folder.name[:2]:
            raise Damaged(f"lies in the wrong folder: {folder.parent.name}")
        _check_files(folder, manifest, advance)
    except Damaged as damage:
        return str(damage)
    except OSError as error:
        return f"cannot be read: {error.strerror}" if folder.is_dir() else ""
    return ""


def check_remote(remote: Remote, store: Store, names: Iterable[str], advance: Advance) -> list[Bad]:
    """Like `check`, for entries of a shared store, downloaded one by one; `advance` is called with 1 for each.

    Raises StoreError when the shared store cannot be used.
    """
    bad = []
    for fingerprint in names:
        with store.scratch() as folder:
            found = _examined(remote, fingerprint, folder)
            bad += [found] if found is not None else []
        advance(1)
    return bad


def _examined(remote: Remote, fingerprint: str, folder: Path) -> Bad | None:
    """What is wrong with one entry; the others still count."""
    try:
        problem = remote.examine(fingerprint, folder)
    except UnreadableEntry as error:
        return Bad(fingerprint, f"cannot be read: {error.message}", "left where it is")
    if not problem:
        return None
    try:
        return Bad(fingerprint, problem, f"now {remote.set_aside(fingerprint)}")
    except StoreError as error:
        return Bad(fingerprint, problem, f"still in the store: {error.message}")


def set_aside(store: Store, folder: Path) -> Path | None:
    """Move an entry to quarantine; returns its new place, None when it is gone. Raises StoreError."""
    quarantine = store.root / "quarantine"
    try:
        quarantine.mkdir(exist_ok=True)
        taken = {path.name for path in quarantine.iterdir()}
        number = next(n for n in count(1) if f"{folder.name}-{n}" not in taken)
        aside = quarantine / f"{folder.name}-{number}"
        shutil.move(folder, aside)  # which copies where the store is on another disk
        os.utime(aside)  # its age in quarantine counts from now, see gc.py
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_write(quarantine, error) from None
    return aside


def _named(store: Store, folder: Path, problem: str) -> Bad | None:
    try:
        aside = set_aside(store, folder)
    except StoreError as error:  # the other entries still count
        return Bad(folder.name, problem, f"still in the store: {error.message}")
    return Bad(folder.name, problem, f"now build/quarantine/{aside.name}") if aside is not None else None


def _manifest(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        if not folder.is_dir():
            raise
        raise Damaged(f"{MANIFEST} is missing") from None


def _check_files(folder: Path, manifest: StoreManifest, advance: Advance) -> None:
    names = {path.name for path in folder.iterdir()} - {MANIFEST}
    if names != manifest.files.keys():
        differing = sorted(names ^ manifest.files.keys())[0]
        raise Damaged(f"{differing}: {'not part of the result' if differing in names else 'missing'}")
    for name, digest in manifest.files.items():
        stat = (folder / name).lstat()
        if not S_ISREG(stat.st_mode) or stat.st_size != manifest.sizes[name]:
            raise Damaged(f"{name}: {stat.st_size} bytes, not {manifest.sizes[name]}")
        found = sha256(folder / name)
        advance(stat.st_size)
        if found != digest:
            raise Damaged(f"{name}: sha256 is {found[:16]}..., not {digest[:16]}...")
