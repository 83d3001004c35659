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

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

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
from bmzoo.store.remote_files import RemoteFiles
from bmzoo.store.trial import Health, trial
from bmzoo.store.trouble import Trouble
from bmzoo.system.hashing import sha256

TRANSFER_THREADS = 4  # transfers at a time for one entry


class UnreadableEntry(StoreError):
    """An entry of a shared store that cannot be read, while others may be."""


class Remote:
    """One shared store. Safe for threads. `warn` is called once for each kind of trouble, with the first of it."""

    def __init__(self, url: str, warn: Callable[[str], None]) -> None:
        """`url`: as `config.project.place` accepts it. Raises ConfigError when its driver is not installed."""
        self.url = url
        self.files = RemoteFiles(url)
        self._trouble = Trouble(url, warn)
        self._damaged: set[str] = set()

    def fetch(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Download an entry into a folder; None when it is missing or corrupt, or the store is unavailable.

        Raises StoreError when the folder cannot be written.
        """
        if not self._trouble.reads or not self._opens():
            return None
        try:
            manifest = self.download(fingerprint, into)
        except Damaged as damage:
            self._damaged.add(fingerprint)
            self._trouble.unsound(damage, fingerprint)
        except StoreError:
            raise
        except Exception as error:  # fsspec drivers have no common base class of errors
            self._trouble.unread(error, fingerprint)
        else:
            self._trouble.over()
            return manifest
        return None

    def download(self, fingerprint: str, into: Path) -> StoreManifest | None:
        """Like `fetch`, but raises Damaged, and any error of the driver."""
        folder = self.files.folder(fingerprint)
        try:
            self.files.get(f"{folder}/{MANIFEST}", into / MANIFEST, MAX_ENTRY_MANIFEST_BYTES)
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
        if not self._trouble.writes or not self._opens():
            return
        try:
            folder = self.files.folder(entry.fingerprint)
            if entry.fingerprint not in self._damaged and self.files.has(f"{folder}/{MANIFEST}"):
                return
            for name in (*entry.files, MANIFEST):
                self.files.put(entry.path(name), f"{folder}/{name}")
            self._damaged.discard(entry.fingerprint)
            self._trouble.over()
        except Exception as error:  # as above
            self._trouble.unshared(error, entry.fingerprint)

    # --- maintenance -------------------------------------------------------------------------------------

    def trial(self, folder: Path) -> Health:
        """Health check. Never fails. `folder` is an empty scratch folder."""
        return trial(self.files, folder)

    def fingerprints(self) -> list[str]:
        """All entries with a manifest. Raises StoreError."""
        if self.files.read_only:
            raise StoreError(
                f"store {self.url}: a web server does not list what it holds", "check it where it lies"
            )
        try:
            found = self.files.find(self.files.root)
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
            if urls.is_away(error) or (not urls.is_denied(error) and self._trouble.runs_out()):
                raise StoreError(f"store {self.url}: {said}") from None
            raise UnreadableEntry(said) from None
        self._trouble.over()
        return ""

    def set_aside(self, fingerprint: str) -> str:
        """Move an entry to the store's `quarantine/`; returns its new URL. Raises StoreError."""
        aside = f"quarantine/{fingerprint}-{secrets.token_hex(4)}"
        try:
            folder, to = self.files.folder(fingerprint), f"{self.files.root}/{aside}"
            names = [PurePosixPath(path).name for path in self.files.find(folder)]
            # The manifest first: without it the entry is not used.
            for name in sorted(names, key=lambda name: name != MANIFEST):
                self.files.make_folder(to)
                self.files.move(f"{folder}/{name}", f"{to}/{name}")
        except Exception as error:  # as above
            raise StoreError(
                f"store {self.url}: {fingerprint} cannot be set aside: {urls.cause(error, self.url)}"
            ) from None
        return f"{self.url.rstrip('/')}/{aside}"

    # --- details -----------------------------------------------------------------------------------------

    def _opens(self) -> bool:
        """Open the store; where that fails, all of it is given up."""
        try:
            return bool(self.files.opened)
        except Exception as error:  # as in fetch
            self._trouble.unopened(error)
            return False

    def _file(self, folder: str, name: str, into: Path, manifest: StoreManifest) -> None:
        size, digest = manifest.sizes[name], manifest.files[name]
        try:
            self.files.get(f"{folder}/{name}", into / name, size)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing") from None
        if (found := (into / name).stat().st_size) != size:
            raise Damaged(f"{name}: {found} bytes, not {size}")
        if (found_digest := sha256(into / name)) != digest:
            raise Damaged(f"{name}: sha256 is {found_digest[:16]}..., not {digest[:16]}...")
