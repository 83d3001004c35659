"""A remote cache that several checkouts share, at an fsspec URL: a directory, S3, or a web server (read only).

<url>/ab/abcdef.../<file>         as in the local store
<url>/ab/abcdef.../manifest.json  uploaded last: without it there is no entry

An entry is used only if every name, size and sha256 matches its manifest, and the manifest matches the fingerprint.
That detects corruption, not attacks: whoever can write to a store can put a consistent wrong result there, so
configure only stores whose writers you trust.

An error of the store never stops a build: there is one warning, and the run goes on without the store.
"""

import errno
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from bmzoo.errors import StoreError
from bmzoo.store import urls
from bmzoo.store.entry import (
    MANIFEST,
    MAX_ENTRY_MANIFEST_BYTES,
    Damaged,
    StoreManifest,
    check_material,
    is_fingerprint,
    parse_manifest,
)
from bmzoo.store.local import Entry
from bmzoo.system.files import cannot_write
from bmzoo.system.hashing import sha256

TRANSFER_THREADS = 4  # transfers at a time for one entry


class Remote:
    """One shared store. Safe for threads. `warn` is called once, when the store is given up, with the reason."""

    def __init__(self, url: str, warn: Callable[[str], None]) -> None:
        """`url`: as `config.project.place` accepts it. Raises ConfigError when its driver is not installed."""
        self.url = url
        self._scheme = urls.scheme(url)
        self._warn = warn
        self._reads = True
        self._writes = self._scheme not in urls.READ_ONLY
        self._damaged: set[str] = set()
        self._lock = threading.Lock()
        urls.require(url)

    def fetch(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Download an entry into a folder; None when it is missing or corrupt, or the store is unavailable.

        Raises StoreError when the folder cannot be written.
        """
        if not self._reads:
            return None
        try:
            return self.download(fingerprint, into)
        except Damaged as damage:
            self._damaged.add(fingerprint)
            self._warn(f"store {self.url}: {fingerprint[:16]} is not used, it is damaged: {damage}")
        except StoreError:
            raise
        except Exception as error:  # fsspec drivers have no common base class of errors
            self._give_up(error, "going on without it", reads=True)
        return None

    def download(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Like `fetch`, but raises Damaged, and any error of the driver."""
        folder = self._folder(fingerprint)
        try:
            self._get(f"{folder}/{MANIFEST}", into / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
        except FileNotFoundError:
            return None
        manifest = parse_manifest((into / MANIFEST).read_bytes(), fingerprint)
        check_material(manifest)
        with ThreadPoolExecutor(TRANSFER_THREADS) as pool:
            for _ in pool.map(lambda name: self._file(folder, name, into, manifest), manifest.files):
                pass
        return manifest

    def push(self, entry: Entry) -> None:
        """Upload an entry unless the store has it. Never fails."""
        if not self._writes:
            return
        try:
            folder = self._folder(entry.fingerprint)
            if entry.fingerprint not in self._damaged and self._fs.exists(f"{folder}/{MANIFEST}"):
                return
            for name in (*entry.files, MANIFEST):
                self._put(entry.path(name), f"{folder}/{name}")
            self._damaged.discard(entry.fingerprint)
        except Exception as error:  # as above
            # A store that cannot be written may still be readable.
            self._give_up(error, "results of this run are not shared", reads=urls.is_unreachable(error))

    # --- maintenance -------------------------------------------------------------------------------------

    def trial(self, folder: Path) -> tuple[str, str]:
        """Health check: why the store cannot be read, and why it cannot be written; empty if it can. Never fails.

        `folder` is an empty scratch folder.
        """
        try:
            missing = self._folder("0" * 64)
        except Exception as error:  # as above
            why = urls.cause(error, self.url)
            return why, why
        try:
            with suppress(FileNotFoundError):
                self._get(f"{missing}/{MANIFEST}", folder / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
        except Exception as error:  # as above
            why = urls.cause(error, self.url)
            return why, why
        if self._scheme in urls.READ_ONLY:
            return "", "a web server is only read from"
        try:
            probe = f"{self._root}/.probe-{secrets.token_hex(8)}"
            (folder / "probe").write_text("bmzoo", encoding="utf-8")
            self._put(folder / "probe", probe)
            self._fs.rm_file(probe)
        except Exception as error:  # as above
            return "", urls.cause(error, self.url)
        return "", ""

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
        """Download an entry and verify it: what is wrong with it, empty when it is valid. Raises StoreError."""
        try:
            self.download(fingerprint, into)
        except Damaged as damage:
            return str(damage)
        except StoreError:
            raise
        except Exception as error:  # as above
            raise StoreError(f"store {self.url}: {urls.cause(error, self.url)}") from None
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
                self._fs.makedirs(f"{self._root}/{aside}", exist_ok=True)
                self._fs.mv(f"{folder}/{name}", f"{self._root}/{aside}/{name}")
        except Exception as error:  # as above
            raise StoreError(
                f"store {self.url}: {fingerprint} cannot be set aside: {urls.cause(error, self.url)}"
            ) from None
        return f"{self.url.rstrip('/')}/{aside}"

    # --- details -----------------------------------------------------------------------------------------

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
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fs.put_file(str(source), str(part))
            part.chmod(0o444)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()


def _bound(limit: int, name: str, size: int | None, value: int) -> None:
    """Progress callback that aborts a download larger than `limit`."""
    if max(value, size or 0) > limit:
        raise Damaged(f"{name} is larger than {limit} bytes")
