"""`import`: converts a pinned checkpoint or ONNX file to `model.onnx`, within the onnx 1.6.0 contract."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from bmzoo.onnx_import import contract, retinaface
from bmzoo.onnx_import.batches import check_batches
from bmzoo.onnx_import.checkpoint import load_state_dict
from bmzoo.onnx_import.names import rename
from bmzoo.onnx_import.ports import check_outputs, picture_input, picture_shape

# Below the step's folder: the external data of the source.
EXTERNAL = "external"


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `model.onnx` and `model.json` (inputs, outputs, and what was renamed). Raises SourceError."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    shown, spec = request["shown"], request["input"]
    model = _model(folder, request)
    name = picture_input(model, spec, shown).name
    renamed = rename(model)
    data = model.SerializeToString(deterministic=True)
    check_batches(data, spec, request["batches"], shown, renamed)
    (folder / "model.onnx").write_bytes(data)
    now = {before: after for after, before in renamed.items()}
    signature = {
        "input": now.get(name, name),
        "outputs": [o.name for o in model.graph.output],
        **({"renamed": renamed} if renamed else {}),
    }
    (folder / "model.json").write_text(json.dumps(signature, indent=1), encoding="utf-8")


def _model(folder: Path, request: Mapping[str, Any]) -> onnx.ModelProto:
    """What the source holds, within the contract."""
    shown, spec = request["shown"], request["input"]
    source = folder / request["source"]
    if request["architecture"]:
        return retinaface.build(load_state_dict(source, shown), spec["height"], spec["width"])
    model = contract.load_onnx(source, shown, folder / EXTERNAL)
    picture_input(model, spec, shown)  # first, as much of what is wrong with a model comes from this
    check_outputs(model, shown)
    return contract.conform(model, shown, picture_shape(spec))
