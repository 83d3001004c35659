"""The files of a shared store, behind its fsspec driver. All methods raise what the driver raises."""

import secrets
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from stat import S_ISREG
from typing import Any

from bmzoo.store import urls
from bmzoo.store.entry import Damaged
from bmzoo.store.shared_folder import be_like, make_folder
from bmzoo.system.files import NO_ROOM, cannot_write


class RemoteFiles:
    """Paths begin with `root`. Safe for threads."""

    def __init__(self, url: str) -> None:
        """`url`: as `config.project.place` accepts it. Raises ConfigError when its driver is not installed."""
        self.url = url
        self.scheme = urls.scheme(url)
        self.read_only = self.scheme in urls.READ_ONLY
        urls.require(url)

    @cached_property
    def opened(self) -> tuple[Any, str]:
        """The file system and the root in it, opened lazily."""
        return urls.open_url(self.url)

    @property
    def fs(self) -> Any:
        return self.opened[0]

    @property
    def root(self) -> str:
        return self.opened[1]

    def folder(self, fingerprint: str) -> str:
        """Where an entry lies."""
        return f"{self.root}/{fingerprint[:2]}/{fingerprint}"

    def has(self, path: str) -> bool:
        """Whether a file is there; not where that is denied, as what is missing may be."""
        try:
            return bool(self.fs.exists(path))
        except Exception as error:  # fsspec drivers have no common base class of errors
            if urls.is_denied(error):
                return False
            raise

    def find(self, folder: str) -> list[str]:
        """All files below a folder."""
        return list(self.fs.find(folder))

    def get(self, path: str, to: Path, limit: int) -> None:
        """Download one file of at most `limit` bytes. Raises Damaged for another, StoreError for no room here."""
        from fsspec.callbacks import Callback

        if self.scheme == "file":  # a symlink could lead out of the store, and a device never end
            stat = Path(path).lstat()
            if not S_ISREG(stat.st_mode) or stat.st_size > limit:
                raise Damaged(f"{to.name} is not a plain file of at most {limit} bytes")
        try:
            self.fs.get_file(path, str(to), callback=Callback(hooks={"bound": partial(_bound, limit, to.name)}))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise cannot_write(to, error) from None
            raise

    def put(self, source: Path, path: str) -> None:
        """Upload one file atomically: S3 shows only complete objects, in a directory that takes a rename."""
        if self.scheme != "file":
            self.fs.put_file(str(source), path)
            return
        part = Path(f"{path}.{secrets.token_hex(4)}.part")
        self.make_folder(str(part.parent))
        try:
            self.fs.put_file(str(source), str(part))
            be_like(part, Path(self.root), 0o444)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink()

    def move(self, path: str, to: str) -> None:
        """Move one file to a folder that is there."""
        self.fs.mv(path, to)

    def remove(self, path: str) -> None:
        """Remove one file."""
        self.fs.rm_file(path)

    def make_folder(self, path: str) -> None:
        """Make a folder below the root; in a directory with the root's mode and group."""
        if self.scheme == "file":
            make_folder(Path(path), Path(self.root))
        else:
            self.fs.makedirs(path, exist_ok=True)


def _bound(limit: int, name: str, size: int | None, value: int) -> None:
    """Progress callback that aborts a download larger than `limit`."""
    if max(value, size or 0) > limit:
        raise Damaged(f"{name} is larger than {limit} bytes")
