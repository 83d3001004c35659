"""The table of data sets: pictures with known faces. To add one: a module with a `load`, and a row here.

Plain data, so that what to read can be planned where nothing is read; `load` imports the module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bmzoo.measure.picture import Picture

SUBSETS = ("easy", "medium", "hard")


@dataclass(frozen=True)
class DataSet:
    """A layout of ground truth: the module whose `load` reads it, and how it is known.

    `suffix`: of the file that a config names, with the pictures beside it or below. Without one a config names the
    folder of everything, in which there is a `mark`.
    """

    module: str
    suffix: str = ""
    mark: str = ""


# A folder without any mark is taken for the first that is one: its module says what is missing.
DATA_SETS: dict[str, DataSet] = {
    "listed": DataSet("bmzoo.measure.listed", suffix=".json"),
    "wider": DataSet("bmzoo.measure.wider", mark="WIDER_val"),
}


def load(path: Path) -> tuple[Picture, ...]:
    """The pictures of a ground truth, in its order.

    Raises SourceError for damaged files, missing pictures, and ground truth that does not fit the pictures, has no
    face, or one picture twice.
    """
    found: tuple[Picture, ...] = import_module(_of(path).module).load(path)
    import_module("bmzoo.measure.picture").comparable(found, str(path))
    return found


def tree(truth: str) -> tuple[str, str]:
    """A config's path of ground truth as the folder of all its files, and the path in it: "" for the folder."""
    path = PurePosixPath(truth)
    if any(row.suffix and row.suffix == path.suffix for row in DATA_SETS.values()):
        return str(path.parent), path.name
    return str(path), ""


def by_subset(names: Iterable[str]) -> list[str]:
    """Names of subsets in the order to show them: from easy to hard, then others by name."""
    return sorted(names, key=lambda name: (SUBSETS.index(name) if name in SUBSETS else len(SUBSETS), name))


def _of(path: Path) -> DataSet:
    rows = DATA_SETS.values()
    files = [row for row in rows if row.suffix and row.suffix == path.suffix]
    folders = [row for row in rows if not row.suffix]
    marked = [row for row in folders if (path / row.mark).exists()]
    return (files or marked or folders)[0]
