"""Files from outside: where a name in a config is found, and what a folder of pictures holds."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmzoo.errors import SourceError, nearest
from bmzoo.schema import Weights
from bmzoo.step import File, Pictures, Tree

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder in name order, and the names of files that are not pictures."""

    folder: Path
    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def _rank(name: str, first: Sequence[str]) -> int:
    return first.index(name) if name in first else len(first)


def _below(folder: Path, inside: str = "") -> Iterator[str]:
    """Every file below a folder, as its path there; links to folders are not followed."""
    with os.scandir(folder / inside) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(folder, f"{inside}{entry.name}/")
            elif entry.is_file():
                yield f"{inside}{entry.name}"


class Sources:
    """Looks names up in folders, first hit wins: beside the config, `$BMZOO_DATA`, `shared/data`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def find(self, name: str) -> Path | None:
        """The first file or folder of that name, or None."""
        return next((path for folder in self._folders if (path := folder / name).exists()), None)

    def file(self, ref: File) -> Path:
        """The file that a config names. Raises SourceError with every place looked at."""
        path = self.find(ref.path)
        if path is None or not path.is_file():
            raise SourceError(f"{ref.path}: no such file", self._looked(ref.path))
        return path

    def pictures(self, ref: Pictures) -> PictureSet:
        """The first `count` pictures of a folder (all for 0). Raises SourceError when there are none."""
        folder = self.find(ref.folder)
        if folder is None or not folder.is_dir():
            raise SourceError(f"{ref.folder}: no such folder of pictures", self._looked(ref.folder))
        # Names only, and no file's status: folders hold thousands, and every target asks for some of them.
        try:
            with os.scandir(folder) as entries:
                files = sorted(entry.name for entry in entries if entry.is_file())
        except OSError as error:
            raise SourceError(f"{folder}: cannot be read: {error.strerror}") from None
        names = [name for name in files if name.lower().endswith(PICTURES)]
        if not names:
            raise SourceError(f"{folder}: no pictures in this folder", f"looked for {', '.join(PICTURES)}")
        for name in ref.first:
            if name not in names:
                guess = nearest(name, names)
                raise SourceError(f"{folder}: no such picture: {name}", f"did you mean {guess}?" if guess else "")
        others = tuple(name for name in files if not name.lower().endswith(PICTURES))
        names.sort(key=lambda name: _rank(name, ref.first))
        return PictureSet(folder, tuple(folder / name for name in names[: ref.count or None]), others)

    def tree(self, ref: Tree) -> dict[str, Path]:
        """Every file below a folder by its path there. Raises SourceError when there is no such folder."""
        folder = self.find(ref.folder)
        if folder is None or not folder.is_dir():
            raise SourceError(f"{ref.folder}: no such folder", self._looked(ref.folder))
        try:
            names = sorted(_below(folder), key=lambda name: name.split("/"))
        except OSError as error:
            raise SourceError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return {name: folder / name for name in names}

    def choose(self, weights: Sequence[Weights], wanted: str | None = None) -> Weights:
        """The first weights whose file is here, or the `wanted` ones. Raises SourceError."""
        names = [w.name for w in weights]
        if wanted is not None and wanted not in names:
            raise SourceError(f"weights: not in the config: {wanted}", f"allowed: {', '.join(names)}")
        candidates = [w for w in weights if wanted in (None, w.name)]
        for candidate in candidates:
            if self.find(candidate.file) is not None:
                return candidate
        missing = ", ".join(f"{w.name} ({w.file})" for w in candidates)
        raise SourceError(f"weights: none of them is here: {missing}", self._looked(candidates[0].file))

    def _looked(self, name: str) -> str:
        places = ", ".join(str(folder / name) for folder in self._folders)
        return f"looked at {places}; $BMZOO_DATA names another data folder"
