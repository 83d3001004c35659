"""A directory that several users share: new files and folders take the mode and group of its root."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE


def make_folder(path: Path, root: Path) -> None:
    """Make a folder below the root, each on the way with the root's mode and group. Raises OSError."""
    place = root
    for name in path.relative_to(root).parts:
        place /= name
        place.mkdir(exist_ok=True)
        be_like(place, root, 0o7777)


def be_like(path: Path, root: Path, mask: int) -> None:
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


def closed_folders(root: Path) -> Iterator[str]:
    """Folders of entries that other users made, and that this one cannot use."""
    for place in sorted(root.glob("[0-9a-f][0-9a-f]")):
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            yield place.name
            continue
        for entry in sorted(place.iterdir()):
            if not os.access(entry, os.R_OK | os.X_OK):
                yield f"{place.name}/{entry.name[:16]}"
