"""Atomic writes: a reader sees the old file or the whole new one."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bmzoo.errors import StoreError


def copy(source: Path, destination: Path) -> None:
    """Copy a file atomically. Raises StoreError."""
    place(destination, lambda part: shutil.copyfile(source, part))


def write(text: str, destination: Path) -> None:
    """Write a text atomically, as UTF-8. Raises StoreError."""
    place(destination, lambda part: part.write_text(text, encoding="utf-8"))


def place(destination: Path, fill: Callable[[Path], object]) -> None:
    """Write atomically: `fill` writes to a temporary path beside `destination`, which is then renamed to it.

    Raises StoreError.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=destination.suffix, dir=destination.parent)
        os.close(handle)
        part = Path(name)
        try:
            fill(part)
            part.chmod(0o644)  # mkstemp makes files that only their owner can read
            part.replace(destination)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(destination, error) from None


def json_text(value: Mapping[str, Any]) -> str:
    """JSON as published: indented, sorted, ending in a line break."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


# What a disk, a quota or a limit says that is used up.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(folder: Path) -> bool:
    """Whether nothing more can be written there. Where a file system does not tell, it is taken for not full."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return False
    return told.f_blocks > 0 and (told.f_bavail if os.geteuid() else told.f_bfree) == 0


def cannot_write(where: Path, error: OSError) -> StoreError:
    """The error to raise for a failed write: path, cause and, for the common causes, what to do."""
    hints = {
        errno.ENOSPC: "free some space; ./doit gc removes results that are not needed",
        errno.EROFS: "the file system is mounted read-only",
        errno.EACCES: "check who owns build/",
        errno.ENOENT: "a folder on the way is not there, or a link leads nowhere",
        errno.EEXIST: "something is in the way: a file, or a link that leads nowhere",
        errno.ENOTDIR: "a file is in the way",
        errno.EFBIG: "files may not be as large: see `ulimit -f`",
        errno.EDQUOT: "the disk quota is used up",
    }
    return StoreError(f"{where}: cannot be written: {error.strerror}", hints.get(error.errno or 0, ""))
