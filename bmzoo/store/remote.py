"""A remote cache that several checkouts share, at an fsspec URL: a directory, S3, or a web server (read only).

<url>/ab/abcdef.../<file>         as in the local store
<url>/ab/abcdef.../manifest.json  uploaded last: without it there is no entry

An entry is used only if every name, size and sha256 matches its manifest, and the manifest matches the fingerprint.
That detects corruption, not attacks: whoever can write to a store can put a consistent wrong result there, so
configure only stores whose writers you trust.

An error of the store never stops a build. One about an entry costs that entry: it counts as missing, and the first
of its kind is said. Without a connection the run goes on without the store; so it does after PATIENCE entries in a
row that failed, as each may have taken a time-out.

In a directory, new files and folders take the mode and group of its root, so that those who may use it can use all.
"""

import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from stat import S_IMODE, S_ISREG
from typing import Any

from bmzoo.errors import StoreError
from bmzoo.store import urls
from bmzoo.store.entry import (
    MANIFEST,
    MAX_ENTRY_MANIFEST_BYTES,
    Damaged,
    NotAManifest,
    StoreManifest,
    WebPage,
    check_material,
    is_fingerprint,
    parse_manifest,
)
from bmzoo.store.local import Entry
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import sha256

TRANSFER_THREADS = 4  # transfers at a time for one entry


PATIENCE = 3  # entries in a row that may fail before the store is given up
# What a directory says that takes nothing more, from anybody.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UnreadableEntry(StoreError):
    """An entry of a shared store that cannot be read, while others may be."""


@dataclass(frozen=True)
class Health:
    """What a trial found: why a store cannot be read, why not written, and which of its folders are closed."""

    reading: str = ""
    writing: str = ""
    closed: tuple[str, ...] = ()


class Remote:
    """One shared store. Safe for threads. `warn` is called once for each kind of trouble, with the first of it."""

    def __init__(self, url: str, warn: Callable[[str], None]) -> None:
        """`url`: as `config.project.place` accepts it. Raises ConfigError when its driver is not installed."""
        self.url = url
        self._scheme = urls.scheme(url)
        self._warn = warn
        self._reads = True
        self._writes = self._scheme not in urls.READ_ONLY
        self._damaged: set[str] = set()
        self._said: set[str] = set()  # kinds of trouble
        self._failed = 0  # entries in a row
        self._lock = threading.Lock()
        urls.require(url)

    def fetch(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Download an entry into a folder; None when it is missing or corrupt, or the store is unavailable.

        Raises StoreError when the folder cannot be written.
        """
        if not self._reads or not self._opens():
            return None
        try:
            manifest = self.download(fingerprint, into)
        except Damaged as damage:
            self._unsound(damage, fingerprint)
        except StoreError:
            raise
        except Exception as error:  # fsspec drivers have no common base class of errors
            self._cost(error, fingerprint)
        else:
            self._failed = 0
            return manifest
        return None

    def download(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Like `fetch`, but raises Damaged, and any error of the driver."""
        folder = self._folder(fingerprint)
        try:
            self._get(f"{folder}/{MANIFEST}", into / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
        except FileNotFoundError:
            return None
        except Exception as error:  # as in fetch
            if urls.is_gone(error):
                return None
            raise
        manifest = parse_manifest((into / MANIFEST).read_bytes(), fingerprint)
        check_material(manifest)
        with ThreadPoolExecutor(TRANSFER_THREADS) as pool:
            for _ in pool.map(lambda name: self._file(folder, name, into, manifest), manifest.files):
                pass
        return manifest

    def push(self, entry: Entry) -> None:
        """Upload an entry unless the store has it. Never fails."""
        if not self._writes or not self._opens():
            return
        try:
            folder = self._folder(entry.fingerprint)
            if entry.fingerprint not in self._damaged and self._has(f"{folder}/{MANIFEST}"):
                return
            for name in (*entry.files, MANIFEST):
                self._put(entry.path(name), f"{folder}/{name}")
            self._damaged.discard(entry.fingerprint)
            self._failed = 0
        except Exception as error:  # as above
            self._unshared(error, entry.fingerprint)

    # --- maintenance -------------------------------------------------------------------------------------

    def trial(self, folder: Path) -> Health:
        """Health check: asks for an entry that is missing, then writes one and reads it back. Never fails.

        `folder` is an empty scratch folder.
        """
        denied = ""
        try:
            self._opened  # noqa: B018  # opens it
        except Exception as error:  # as above
            denied = urls.cause(error, self.url)
            return Health(denied, denied)
        try:
            self._get(f"{self._folder('0' * 64)}/{MANIFEST}", folder / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
            return Health("answers for what it does not hold, such as a login page would", "not tried")
        except FileNotFoundError:
            pass
        except Exception as error:  # as above
            denied = urls.cause(error, self.url)
            if not urls.is_gone(error) and (not urls.is_denied(error) or self._scheme == "file"):
                return Health(denied, denied)
        if self._scheme in urls.READ_ONLY:
            return Health(denied, "a web server is only read from")
        try:
            self._try_writing(folder)
        except Exception as error:  # as above
            # Without the right to list, a bucket denies what is missing: only what was written can be told from it.
            return Health(denied, urls.cause(error, self.url))
        return Health(closed=tuple(self._closed()) if self._scheme == "file" else ())

    def _try_writing(self, folder: Path) -> None:
        """Write a file as an entry's files are, read it, and leave nothing. Raises what the driver raises."""
        probe = f"{self._root}/.probe-{secrets.token_hex(8)}/content"
        (folder / "probe").write_text("bmzoo", encoding="utf-8")
        try:
            self._put(folder / "probe", probe)
            self._get(probe, folder / "back", MAX_ENTRY_MANIFEST_BYTES)
            self._fs.rm_file(probe)
        finally:
            if self._scheme == "file":
                with suppress(OSError):
                    Path(probe).parent.rmdir()

    def _closed(self) -> Iterator[str]:
        """Folders of a directory that other users made, and that this one cannot use."""
        for place in sorted(Path(self._root).glob("[0-9a-f][0-9a-f]")):
            if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
                yield place.name
                continue
            for entry in sorted(place.iterdir()):
                if not os.access(entry, os.R_OK | os.X_OK):
                    yield f"{place.name}/{entry.name[:16]}"

    def fingerprints(self) -> list[str]:
        """All entries with a manifest. Raises StoreError."""
        if self._scheme in urls.READ_ONLY:
            raise StoreError(
                f"store {self.url}: a web server does not list what it holds", "check it where it lies"
            )
        try:
            found = self._fs.find(self._root)
        except Exception as error:  # as above
            raise StoreError(f"store {self.url}: {urls.cause(error, self.url)}") from None
        places = (PurePosixPath(path).parts[-3:] for path in found)
        return sorted(p[1] for p in places if len(p) == 3 and p[2] == MANIFEST and is_fingerprint(p[1]))

    def examine(self, fingerprint: str, into: Path) -> str:
        """Download an entry and verify it: what is wrong with it, empty when it is valid.

        Raises UnreadableEntry where it alone cannot be read, StoreError where none can.
        """
        try:
            self.download(fingerprint, into)
        except Damaged as damage:
            return str(damage)
        except StoreError:
            raise
        except Exception as error:  # as above
            said = urls.cause(error, self.url)
            if urls.is_away(error) or (not urls.is_denied(error) and self._fails() >= PATIENCE):
                raise StoreError(f"store {self.url}: {said}") from None
            raise UnreadableEntry(said) from None
        self._failed = 0
        return ""

    def set_aside(self, fingerprint: str) -> str:
        """Move an entry to the store's `quarantine/`; returns its new URL. Raises StoreError."""
        aside = f"quarantine/{fingerprint}-{secrets.token_hex(4)}"
        try:
            folder = self._folder(fingerprint)
            names = [PurePosixPath(path).name for path in self._fs.find(folder)]
            for name in sorted(
                names, key=lambda name: name != MANIFEST
            ):  # the manifest first: without it the entry is not used
                self._make_folder(f"{self._root}/{aside}")
                self._fs.mv(f"{folder}/{name}", f"{self._root}/{aside}/{name}")
        except Exception as error:  # as above
            raise StoreError(
                f"store {self.url}: {fingerprint} cannot be set aside: {urls.cause(error, self.url)}"
            ) from None
        return f"{self.url.rstrip('/')}/{aside}"

    # --- details -----------------------------------------------------------------------------------------

    def _opens(self) -> bool:
        """Open the store; where that fails, all of it is given up."""
        try:
            return bool(self._opened)
        except Exception as error:  # as in fetch
            self._give_up(error, "going on without it", reads=True)
            return False

    def _unsound(self, damage: Damaged, fingerprint: str) -> None:
        """An entry that is not as it was made, or an answer of a server that is about something else."""
        self._damaged.add(fingerprint)
        answer = self._scheme in urls.READ_ONLY and isinstance(damage, NotAManifest)
        if answer or isinstance(damage, WebPage):
            self._once("answer", f"{damage}; what is answered so counts as missing", fingerprint)
        else:
            self._warn(f"store {self.url}: {fingerprint[:16]} is not used, it is damaged: {damage}")

    def _cost(self, error: Exception, fingerprint: str) -> None:
        """An entry that could not be read."""
        if urls.is_denied(error):
            so = "what is denied counts as missing"
            if self._scheme == "s3":
                so += ", as what is missing is denied without s3:ListBucket; results may not be shared"
            self._once("denied", f"{urls.cause(error, self.url)}; {so}", fingerprint)
        elif urls.is_away(error) or self._fails() >= PATIENCE:
            self._give_up(error, "going on without it", reads=True)
        else:
            self._once("failed", f"{urls.cause(error, self.url)}; it counts as missing", fingerprint)

    def _unshared(self, error: Exception, fingerprint: str) -> None:
        """An entry that could not be written; the store may still be readable."""
        denied, so = urls.is_denied(error), "results of this run are not shared"
        if denied and self._scheme == "file":  # another user's folder: the others may be open
            self._once("closed", f"not shared: {urls.cause(error, self.url)}", fingerprint, "")
        elif denied and "denied" in self._said:
            self._writes = False
        elif denied or urls.is_away(error) or isinstance(error, FileNotFoundError) or _is_full(error):
            self._give_up(error, so, reads=urls.is_away(error))
        elif self._fails() >= PATIENCE:
            self._give_up(error, so, reads=urls.is_unreachable(error))
        else:
            self._once("unshared", f"not shared: {urls.cause(error, self.url)}", fingerprint, "")

    def _fails(self) -> int:
        """Count a failure; how many there have been in a row."""
        with self._lock:
            self._failed += 1
            return self._failed

    def _once(self, kind: str, said: str, fingerprint: str, so: str = "is not used, ") -> None:
        """Warn of the first trouble of a kind."""
        with self._lock:
            news = kind not in self._said
            self._said.add(kind)
        if news:
            self._warn(f"store {self.url}: {fingerprint[:16]} {so}{said}")

    def _give_up(self, error: Exception, so: str, reads: bool) -> None:
        """Stop writing to the store, and reading from it too if `reads`. Only the first call warns."""
        with self._lock:
            news = self._reads if reads else self._writes
            self._writes = False
            self._reads = self._reads and not reads
        if news:
            self._warn(f"store {self.url}: {urls.cause(error, self.url)}; {so}")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system and the root in it, opened lazily."""
        return urls.open_url(self.url)

    @property
    def _fs(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    def _folder(self, fingerprint: str) -> str:
        return f"{self._root}/{fingerprint[:2]}/{fingerprint}"

    def _has(self, path: str) -> bool:
        """Whether a file is there; not where that is denied, as what is missing may be."""
        try:
            return bool(self._fs.exists(path))
        except Exception as error:  # as above
            if urls.is_denied(error):
                return False
            raise

    def _file(self, folder: str, name: str, into: Path, manifest: StoreManifest) -> None:
        size, digest = manifest.sizes[name], manifest.files[name]
        try:
            self._get(f"{folder}/{name}", into / name, size)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing") from None
        if (found := (into / name).stat().st_size) != size:
            raise Damaged(f"{name}: {found} bytes, not {size}")
        if (found_digest := sha256(into / name)) != digest:
            raise Damaged(f"{name}: sha256 is {found_digest[:16]}..., not {digest[:16]}...")

    def _get(self, path: str, to: Path, limit: int) -> None:
        """Download one file of at most `limit` bytes."""
        from fsspec.callbacks import Callback

        if self._scheme == "file":  # a symlink could lead out of the store, and a device never end
            stat = Path(path).lstat()
            if not S_ISREG(stat.st_mode) or stat.st_size > limit:
                raise Damaged(f"{to.name} is not a plain file of at most {limit} bytes")
        try:
            self._fs.get_file(path, str(to), callback=Callback(hooks={"bound": partial(_bound, limit, to.name)}))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise cannot_write(to, error) from None
            raise

    def _put(self, source: Path, path: str) -> None:
        """Upload one file atomically: S3 shows only complete objects, in a directory that takes a rename."""
        if self._scheme != "file":
            self._fs.put_file(str(source), path)
            return
        part = Path(f"{path}.{secrets.token_hex(4)}.part")
        self._make_folder(str(part.parent))
        try:
            self._fs.put_file(str(source), str(part))
            _be_like(part, Path(self._root), 0o444)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()

    def _make_folder(self, path: str) -> None:
        """Make a folder below the root, in a directory each on the way with the root's mode and group."""
        if self._scheme != "file":
            self._fs.makedirs(path, exist_ok=True)
            return
        place = root = Path(self._root)
        for name in Path(path).relative_to(root).parts:
            place /= name
            place.mkdir(exist_ok=True)
            _be_like(place, root, 0o7777)


def _be_like(path: Path, root: Path, mask: int) -> None:
    """Give a file or folder of this user the group of the root, and of its mode what is in `mask`."""
    wanted, found = root.stat(), path.stat()
    if found.st_uid != os.geteuid():
        return
    mode = S_IMODE(wanted.st_mode) & mask
    with suppress(OSError):  # of a group that this user is not in, or where the file system has no groups
        if found.st_gid != wanted.st_gid:
            os.chown(path, -1, wanted.st_gid)
    with suppress(OSError):  # where it has no modes
        if S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL


def _bound(limit: int, name: str, size: int | None, value: int) -> None:
    """Progress callback that aborts a download larger than `limit`."""
    if max(value, size or 0) > limit:
        raise Damaged(f"{name} is larger than {limit} bytes")
