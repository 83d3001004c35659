"""`prepare`: what a network is fed: pictures, preprocessed by the code that runs on the board, and samples.

For calibration it writes one npz per sample and a list of them; for a batch, one npz with every slot filled. Where
a request says that fewer will do, only as many are written as there are pictures. Where the network takes pictures,
there are as many samples as pictures that can be read.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmzoo.commands.requests import model_facts, read_request
from bmzoo.commands.tensor_samples import TensorSource, tensor_sources
from bmzoo.errors import SourceError
from bmzoo.runtime.engines.simulate import write_arrays
from bmzoo.runtime.preprocess import InputSpec, prepare, read_image
from bmzoo.system.hashing import sha256

Arrays = dict[str, NDArray[Any]]


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Prepare every readable picture below `pictures/`. Raises SourceError when too few are left."""
    request, facts = read_request(folder, args[0]), model_facts(folder)
    others = tensor_sources(folder, request, facts)
    (folder / "samples").mkdir()
    if request["input"] is None:
        _write(folder, request, _drawn(request), others)
        return
    names = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    warnings: list[str] = []
    good = _write(folder, request, _pictures(folder, request, facts["input"], names, warnings), others)
    (folder / "warnings.json").write_text(json.dumps(warnings), encoding="utf-8")
    least = request["minimum"] if request.get("fewer") else max(request.get("slots", 0), request["minimum"])
    if len(good) < least:
        count = len(list((folder / "pictures").iterdir()))
        raise SourceError(
            f"{names['folder']}: too few readable pictures: {len(good)} of {count}, at least {least} are needed",
            "; ".join(warnings[:3]),
        )
    if not request.get("slots", 0):
        digests = [sha256(folder / "pictures" / name) for name in good]
        (folder / "samples.json").write_text(json.dumps(digests), encoding="utf-8")


def _pictures(
    folder: Path, request: Mapping[str, Any], name: str, names: Mapping[str, str], warnings: list[str]
) -> Iterator[tuple[str, Arrays]]:
    """Every picture that can be read: its name in the folder, and what the network sees of it."""
    spec = input_spec(request["input"])
    for path in sorted((folder / "pictures").iterdir()):
        try:
            image = read_image(path)
        except SourceError as error:
            warnings.append(f"{names[path.name]}: skipped: {error.message.partition(': ')[2]}")
            continue
        yield path.name, {name: prepare(image, spec)[0][None]}


def _drawn(request: Mapping[str, Any]) -> Iterator[tuple[str, Arrays]]:
    """As many samples as are asked for, of a network without pictures."""
    for index in range(request.get("slots", 0) or request["samples"] or request["minimum"]):
        yield f"{index:05d}", {}


def _write(
    folder: Path, request: Mapping[str, Any], rows: Iterator[tuple[str, Arrays]], others: list[TensorSource]
) -> list[str]:
    """Write what is fed, and return the names of what it was made of."""
    first, slots = request.get("first", 0), request.get("slots", 0)
    good: list[str] = []
    batch: Arrays = {}
    for name, row in rows:
        for other in others:
            row[other.name] = other.sample(first + len(good))
        if slots:
            _put(batch, row, len(good), slots)
        else:
            write_arrays(folder / "samples" / f"{Path(name).stem}.npz", row)
        good.append(name)
    if slots:
        filled = len(good) if request.get("fewer") else slots
        kept = {key: rows[: len(rows) // slots * filled] for key, rows in batch.items()}
        write_arrays(folder / "inputs.npz", kept)
    else:
        lines = (f"samples/{Path(name).stem}.npz\n" for name in good)
        (folder / "samples.txt").write_text("".join(lines), encoding="utf-8")
    return good


def _put(batch: Arrays, row: Arrays, index: int, slots: int) -> None:
    """A sample in its place of a batch that has room for all."""
    for name, value in row.items():
        if name not in batch:
            batch[name] = np.zeros((slots * len(value), *value.shape[1:]), value.dtype)
        batch[name][index * len(value) : (index + 1) * len(value)] = value


def input_spec(section: Mapping[str, Any]) -> InputSpec:
    """The runtime's preprocessing settings for a config's `input` section, with nothing left open."""
    settings: dict[str, Any] = {field.name: section[field.name] for field in fields(InputSpec)}
    return InputSpec(**{**settings, "mean": tuple(section["mean"]), "scale": tuple(section["scale"])})
