"""Cached sha256 of files, keyed by path, size, times and inode, with git's "racily clean" rule for young files."""

import hashlib
import json
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

_CHUNK = 1 << 20
# A file changed this shortly before it was hashed may change again within the resolution of its time stamps, so its
# digest is not cached (see git's Documentation/technical/racy-git.txt).
_YOUNG_NS = 2_000_000_000


def sha256(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Digests:
    """A cache of file digests, kept in one JSON file between runs. Losing that file costs only time."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._known: dict[str, list[object]] = _read(memory)
        self._changed = False

    def holds(self, path: Path, digest: str) -> bool:
        """Whether a file is there with this content."""
        try:
            return self.of(path) == digest
        except OSError:
            return False

    def of(self, path: Path) -> str:
        """sha256 of the file; read only when it may have changed. Raises OSError."""
        stat = path.stat()
        key = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        name = os.path.abspath(path)  # noqa: PTH100  # resolving links would hide that one was re-pointed
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[:4] == key:
            return str(known[4])
        digest = sha256(path)
        after = path.stat()
        unchanged = key == [after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino]
        if unchanged and time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _YOUNG_NS:
            with self._lock:
                self._known[name] = [*key, digest]
                self._changed = True
        return digest

    def save(self) -> None:
        """Write the cache if it changed. Never fails: a lost cache costs only time."""
        with self._lock:
            if not self._changed:
                return
            self._changed = False
            # Random and not the process id, which is not unique among machines that share the disk.
            part = self._memory.with_suffix(f".{secrets.token_hex(8)}")
            try:
                self._memory.parent.mkdir(parents=True, exist_ok=True)
                part.write_text(json.dumps(self._known), encoding="utf-8")
                part.replace(self._memory)
            except OSError:
                with suppress(OSError):
                    part.unlink()


def _read(memory: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {name: row for name, row in known.items() if isinstance(row, list) and len(row) == 5}
