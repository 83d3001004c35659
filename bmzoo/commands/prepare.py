"""`prepare`: preprocesses pictures to network inputs, with the same code as the runtime on the board.

For calibration it writes one npz per picture and a list of them; for a batch, one npz with every slot filled.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bmzoo.errors import SourceError
from bmzoo.runtime.preprocess import InputSpec, prepare, prepare_into, read_image
from bmzoo.system.hashing import sha256


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Prepare every readable picture below `pictures/`. Raises SourceError when too few are left."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    names = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    spec = input_spec(request["input"])
    name = _only_input(folder)
    paths = sorted((folder / "pictures").iterdir())
    slots = request.get("slots", 0)  # 0: one file per picture
    batch = np.zeros((slots, spec.channels, spec.height, spec.width), np.float32)
    (folder / "samples").mkdir()
    good: list[Path] = []
    warnings: list[str] = []
    for path in paths:
        try:
            image = read_image(path)
        except SourceError as error:
            warnings.append(f"{names[path.name]}: skipped: {error.message.partition(': ')[2]}")
            continue
        if slots:
            prepare_into(image, spec, batch[len(good)])
        else:
            np.savez(folder / "samples" / f"{path.stem}.npz", **{name: prepare(image, spec)[0][None]})
        good.append(path)
    (folder / "warnings.json").write_text(json.dumps(warnings), encoding="utf-8")
    if len(good) < max(slots, request["minimum"]):
        raise SourceError(
            f"{names['folder']}: too few readable pictures: {len(good)} of {len(paths)}, "
            f"at least {max(slots, request['minimum'])} are needed",
            "; ".join(warnings[:3]),
        )
    if slots:
        np.savez(folder / "inputs.npz", **{name: batch})
    else:
        lines = (f"samples/{path.stem}.npz\n" for path in good)
        (folder / "samples.txt").write_text("".join(lines), encoding="utf-8")
        (folder / "samples.json").write_text(json.dumps([sha256(path) for path in good]), encoding="utf-8")


def input_spec(values: Mapping[str, Any]) -> InputSpec:
    """The runtime's preprocessing settings for a config's `input` section."""
    channels = 1 if values["pixel_format"] == "gray" else 3
    settings = {field.name: values[field.name] for field in fields(InputSpec)}
    settings |= {key: tuple(values[key][:channels]) for key in ("mean", "scale")}  # defaults are for three
    return InputSpec(**settings)


def _only_input(folder: Path) -> str:
    """The input's name as the import step found it."""
    return str(json.loads((folder / "model.json").read_text(encoding="utf-8"))["input"])
