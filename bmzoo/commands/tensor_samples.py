"""Samples of inputs that are no pictures, from files or drawn: one for each picture, or as many as asked for."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bmzoo.errors import SourceError

Told = Mapping[str, Any]


@dataclass(frozen=True)
class TensorSource:
    """Where the values of an input come from. `given`: its name in the config; `name`: that in the model.

    shape: of one sample, the batch at 1.
    """

    given: str
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    how: Told
    folder: Path

    def sample(self, index: int) -> NDArray[Any]:
        """The sample of that number; files are taken in turn. Raises SourceError."""
        if "folder" in self.how:
            return self._from_file(index)
        return self._drawn(index)

    def _from_file(self, index: int) -> NDArray[Any]:
        files = sorted(path for path in (self.folder / self.how["folder"]).rglob("*") if path.suffix in _READERS)
        shown = f"inputs.{self.given}: {self.how['samples']}"
        if not files:
            raise SourceError(f"{shown}: no samples in it", f"looked for {', '.join(_READERS)}")
        path = files[index % len(files)]
        where = shown if len(files) == 1 else f"{shown}/{path.name}"
        return self._checked(self._array(path, where), where)

    def _array(self, path: Path, where: str) -> NDArray[Any]:
        try:
            with path.open("rb") as file:  # which numpy leaves open where it fails
                found = np.load(file, allow_pickle=False)
                return found if isinstance(found, np.ndarray) else self._named(found, where)
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise SourceError(
                f"{where}: cannot be read: {error}", "np.save and np.savez write such files"
            ) from None

    def _named(self, archive: Any, where: str) -> NDArray[Any]:  # noqa: ANN401  # an NpzFile, which has no type
        names = [key for key in (self.given, self.name) if key in archive.files]
        if not names:
            has = ", ".join(archive.files) or "nothing"
            raise SourceError(f"{where}: no array `{self.given}` in it: {has}", "arrays bear the names of inputs")
        return np.asarray(archive[names[0]])

    def _checked(self, array: NDArray[Any], where: str) -> NDArray[Any]:
        wanted = f"the model takes {self.dtype.name} {list(self.shape)}"
        if array.shape != self.shape:
            raise SourceError(f"{where}: {array.dtype.name} {list(array.shape)}, and {wanted}", _ONE_SAMPLE)
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise SourceError(f"{where}: {array.dtype.name} {list(array.shape)}, and {wanted}", "convert it first")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SourceError(f"{where}: NaN or infinity in it", "a network makes nothing of those")
        fitting = array.astype(self.dtype)
        if array.dtype.kind in "iu" and not np.array_equal(fitting, array):
            raise SourceError(
                f"{where}: values beyond {self.dtype.name}, and {wanted}", "are these the right samples?"
            )
        return fitting

    def _drawn(self, index: int) -> NDArray[Any]:
        how = {key: value for key, value in self.how["random"].items() if value is not None}
        kind = how["distribution"]
        if self.dtype.kind != "f" and kind not in ("integers", "zeros"):
            hint = "distribution: integers, with high"
            raise SourceError(f"inputs.{self.given}: takes {self.dtype.name}, and {kind} gives fractions", hint)
        random = np.random.default_rng([how["seed"], zlib.crc32(self.given.encode()), index])
        if kind == "normal":
            values: NDArray[Any] = random.normal(how.get("mean", 0.0), how.get("std", 1.0), self.shape)
        elif kind == "uniform":
            values = random.uniform(how.get("low", 0.0), how.get("high", 1.0), self.shape)
        elif kind == "integers":
            values = random.integers(round(how.get("low", 0)), round(how["high"]), self.shape)
        else:
            values = np.zeros(self.shape)
        return values.astype(self.dtype)


_READERS = (".npy", ".npz")
_ONE_SAMPLE = "a file holds one sample, in the shape that the model takes for a batch of 1"


def tensor_sources(folder: Path, request: Told, facts: Told) -> list[TensorSource]:
    """One for each input of the model that is no picture. facts: `model.json`."""
    return list(_sources(folder, request.get("inputs", {}), facts))


def _sources(folder: Path, given: Told, facts: Told) -> Iterator[TensorSource]:
    before = facts.get("renamed", {})
    for port in facts.get("inputs", ()):
        name = before.get(port["name"], port["name"])
        if port["name"] != facts["input"]:
            shape = tuple(size or 1 for size in port["shape"])
            yield TensorSource(name, port["name"], np.dtype(port["dtype"]), shape, given[name], folder)
