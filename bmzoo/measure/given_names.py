"""Names that a model came with, where its import had to rename tensors: see onnx_import/names.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def given_names(folder: Path) -> Mapping[str, str]:
    """New name -> the one that the model came with, from `model.json` of the import; empty where none changed."""
    told: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return dict(told.get("renamed", {}))


def as_given(name: str, given: Mapping[str, str]) -> str:
    """What people know a tensor by; the compiler adds the operator to a name, `y_Conv`."""
    if name in given:
        return given[name]
    stem = max((now for now in given if name.startswith(f"{now}_")), key=len, default="")
    return given[stem] + name.removeprefix(stem) if stem else name
