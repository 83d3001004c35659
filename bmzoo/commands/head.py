"""`head`: writes the mixed-precision table that leaves a network's head in float."""

import json
from pathlib import Path

import onnx

from bmzoo.errors import ConfigError
from bmzoo.quantization.head import head
from bmzoo.quantization.mapping import network_of
from bmzoo.quantization.select import LayerCut, excluded, table_text


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `mixed.qtable` and `choice.json`. Raises ConfigError for a head without quantized layers."""
    request = json.loads((folder / args[0]).read_text(encoding="utf-8"))
    top, lowered = ((folder / name).read_text(encoding="utf-8") for name in ("model.mlir", "lowered.mlir"))
    network = network_of(onnx.load(str(folder / "model.onnx")), top, lowered)
    found = head(network)
    without = excluded([layer.name for layer in network.quantized], request["exclude"])
    layers = tuple(layer for layer in found if layer not in without)
    if not layers:
        raise ConfigError("method: head: the head has no quantized layer", "try another method")
    cut = LayerCut(layers, None, None, "the head")
    (folder / "mixed.qtable").write_text(table_text(cut, 0, request["mode"], ["method head"]), encoding="utf-8")
    rows = [{"layer": layer, "loss": None, "why": "in: part of the head"} for layer in layers]
    choice = {"layers": list(layers), "loss": None, "cosine": None, "why": cut.why, "mode": request["mode"]}
    choice |= {"pictures": 0, "plain": None, "rows": rows}
    (folder / "choice.json").write_text(json.dumps(choice, indent=1), encoding="utf-8")
