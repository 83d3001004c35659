"""Where a config will lie and where its names are looked up: paths as it has to write them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`folder`: of the config. `data`: the folders of data, in the order of lookup. `root`: the checkout.

    `searches`: those of TPU-MLIR that are installed there.
    """

    folder: Path
    data: tuple[Path, ...]
    root: Path
    searches: frozenset[str]

    def named(self, path: Path) -> str:
        """The text by which a config finds a file or folder, in the shortest form that is sure to work."""
        real = path.resolve()
        for folder in self.data:
            if real.is_relative_to(folder.resolve()):
                name = str(real.relative_to(folder.resolve()))
                if self.first(name) == real:
                    return name
        inside = real.is_relative_to(self.root.resolve()) and self.folder.resolve().is_relative_to(
            self.root.resolve()
        )
        return os.path.relpath(real, self.folder.resolve()) if inside else str(real)

    def first(self, name: str) -> Path | None:
        """What the lookup finds under a name."""
        found = (folder / name for folder in (self.folder, *self.data))
        return next((path.resolve() for path in found if path.exists()), None)


def data_folders(environ: Mapping[str, str], shared: Path) -> tuple[Path, ...]:
    """The folders of data that there are."""
    named: Sequence[Path] = [Path(environ["BMZOO_DATA"])] if environ.get("BMZOO_DATA") else []
    return tuple(folder for folder in (*named, shared) if folder.is_dir())
