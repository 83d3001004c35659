"""Lookup of names in configs along a search path, and listing of picture folders."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bmzoo.config import scene_sets
from bmzoo.errors import SourceError, nearest
from bmzoo.plan.step import File, Pictures, Tree
from bmzoo.runtime.listing import READABLE_SUFFIXES, is_picture, is_stray
from bmzoo.sources import scene_files


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder in name order, and the names of skipped files that are not pictures."""

    folder: Path
    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def _rank(name: str, first: Sequence[str]) -> int:
    return first.index(name) if name in first else len(first)


def _below(folder: Path, inside: str = "") -> Iterator[str]:
    """Relative path of every file below a folder, but strays; symlinks to folders are not followed."""
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            if is_stray(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(folder, f"{inside}{entry.name}/")
            elif entry.is_file():
                yield f"{inside}{entry.name}"


def _parted(files: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Pictures, and the other files."""
    pictures: list[str] = []
    others: list[str] = []
    for name in files:
        (pictures if is_picture(name) else others).append(name)
    return pictures, tuple(others)


class Sources:
    """Resolves names along a search path: the config's folder, `$BMZOO_DATA`, `shared/data`.

    `scenes`: cache folder of rendered scenes, which are rendered on lookup. `downloads`: cache folder of downloads.
    """

    def __init__(self, folders: Sequence[Path], scenes: Path | None = None, downloads: Path | None = None) -> None:
        self._folders = tuple(folders)
        self._scenes = scenes
        self._downloads = downloads

    def find(self, name: str) -> Path | None:
        """The first file or folder of that name, or None."""
        inside = scene_sets.split(name)
        if inside is not None and self._scenes is not None:
            path = scene_files.folder(self._scenes, inside[0]) / inside[1]
            return path if path.exists() else None
        return next((path for folder in self._folders if (path := folder / name).exists()), None)

    def has(self, name: str) -> bool:
        """Whether `find` would find it; renders no scenes."""
        return (self._scenes is not None and scene_sets.split(name) is not None) or self.find(name) is not None

    def files(self, ref: File) -> tuple[Path, ...]:
        """Every candidate for a file of a config, in search order. Raises SourceError, listing the search path."""
        places = [folder / ref.path for folder in self._folders]
        if ref.sha256 and self._downloads is not None:
            places.append(self._downloads / ref.sha256)
        found = tuple(path for path in places if path.is_file())
        if not found:
            raise SourceError(f"{ref.path}: no such file", self.looked(ref.path))
        return found

    def pinned(self, ref: File, digest: Callable[[Path], str]) -> tuple[Path, str]:
        """The first candidate with the pinned digest, and that digest. Raises SourceError."""
        wrong = ""
        for path in self.files(ref):
            try:
                found = digest(path)
            except OSError as error:
                wrong = wrong or f"{path}: cannot be read: {error.strerror}"
                continue
            if ref.sha256 in ("", found):
                return path, found
            wrong = wrong or f"{path}: not the file that the config pins: sha256 {found}"
        hint = f"the config says {ref.sha256}; a name is not an identity: get the right file, or pin this one"
        raise SourceError(wrong, hint if "pins" in wrong else "")

    def candidates(self, ref: File, digest: Callable[[Path], str]) -> Iterator[Path]:
        """Every candidate with the pinned digest, in search order. Raises SourceError where there is no file."""
        for path in self.files(ref):
            with suppress(OSError):
                if ref.sha256 in ("", digest(path)):
                    yield path

    def holds(self, ref: File) -> bool:
        """Whether there is any candidate for a file of a config."""
        try:
            return bool(self.files(ref))
        except SourceError:
            return False

    def pictures(self, ref: Pictures) -> PictureSet:
        """The first `count` pictures of a folder (all for 0). Raises SourceError when there are none."""
        folder = self.find(ref.folder)
        if folder is None or not folder.is_dir():
            raise SourceError(f"{ref.folder}: no such folder of pictures", self.looked(ref.folder))
        # Names only, no stat calls: folders hold thousands of pictures, and every target lists some of them.
        try:
            with os.scandir(folder) as entries:
                files = sorted(entry.name for entry in entries if not is_stray(entry.name) and entry.is_file())
        except OSError as error:
            raise SourceError(f"{folder}: cannot be read: {error.strerror}") from None
        names, others = _parted(files)
        if not names:
            raise SourceError(f"{folder}: no pictures in this folder", f"looked for {', '.join(READABLE_SUFFIXES)}")
        for name in ref.first:
            if name not in names:
                guess = nearest(name, names)
                raise SourceError(f"{folder}: no such picture: {name}", f"did you mean {guess}?" if guess else "")
        names.sort(key=lambda name: _rank(name, ref.first))
        return PictureSet(folder, tuple(folder / name for name in names[: ref.count or None]), others)

    def tree(self, ref: Tree) -> dict[str, Path]:
        """Relative path -> file, for every file below a folder. Raises SourceError when there is no such folder."""
        folder = self.find(ref.folder)
        if folder is None or not folder.is_dir():
            raise SourceError(f"{ref.folder}: no such folder", self.looked(ref.folder))
        try:
            names = sorted(_below(folder), key=lambda name: name.split("/"))
        except OSError as error:
            raise SourceError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return {name: folder / name for name in names}

    def looked(self, name: str) -> str:
        places = ", ".join(str(folder / name) for folder in self._folders)
        return f"looked at {places}; $BMZOO_DATA names another data folder"
