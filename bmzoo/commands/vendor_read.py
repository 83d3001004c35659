"""`vendor-read`: converts the log and tables of TPU-MLIR's search to the format of bmzoo's own ranking."""

import json
from pathlib import Path
from typing import Any

from bmzoo.commands.table import rounded
from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER
from bmzoo.errors import ToolFailed
from bmzoo.quantization import vendor_output
from bmzoo.quantization.tables import calibrated, float_layers

# Names of the search's log file, which differ between versions. Its standard output is no substitute: there the C++
# part of the tool prints into the middle of lines.
LOGS = ("Search_Qtable", "SensitiveLayerSearcher", "SensitiveLayerSearch", "MixPrecSearcher")
LOSSES = ("tool.qtable_loss.txt", "full_loss_table.txt")
INTEGERS = ("INT8", "INT4")


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ranking.json`, and `tuned.table` where the search changes thresholds.

    In `ranking.json`: `layers`, the most sensitive first, with `loss` and `cosine_loss`, both 1 - cosine of the
    network's outputs (run_qtable.py: of the layer's own) with this layer alone in INT8; `picks`, the layers in the
    order in which the search promotes them to float; `enough`, the cosine of plain INT8 where the search ended
    because it meets `expected_cos`; `plain`, its cosine, if reported; `total`, the number of layers of the model.
    Raises ToolFailed when the tool's output is missing or not in the expected format.
    """
    tool = json.loads((folder / args[0]).read_text(encoding="utf-8"))["search"]
    table = (folder / "calibration.table").read_text(encoding="utf-8")
    name, log = _first(folder, LOGS)
    if not name:
        raise ToolFailed(f"{tool}: wrote no log: none of {', '.join(LOGS)}", "does this version name it otherwise?")
    try:
        enough = vendor_output.enough(log)
        plain = enough if enough is not None else vendor_output.plain_cosine(log)
        losses, picks = ({}, []) if enough is not None else _found(folder, tool, log)
    except ValueError as error:
        raise ToolFailed(f"{tool}: {name}: {error}", "this version of TPU-MLIR writes it otherwise") from None
    ranking: dict[str, Any] = {
        "pictures": len((folder / "samples.txt").read_text(encoding="utf-8").split()),
        "total": len(calibrated(table)),
        "enough": enough,
        "plain": plain,
        "picks": picks,
        "layers": [{"layer": layer, "loss": loss, "cosine_loss": loss} for layer, loss in losses.items()],
    }
    (folder / "ranking.json").write_text(json.dumps(ranking, indent=1), encoding="utf-8")
    if tool == RUN_SENSITIVE_LAYER:
        (folder / "tuned.table").write_text(_tuned(folder, table, changed=enough is None), encoding="utf-8")


def _found(folder: Path, tool: str, log: str) -> tuple[dict[str, float], list[str]]:
    """Losses by layer, the largest first, and layers in the order of the search. Raises ValueError, ToolFailed."""
    if tool != RUN_QTABLE:
        losses = dict(vendor_output.ranking(log))
        if not losses:
            raise ToolFailed(
                f"{tool}: ended without an error, but its log has neither a ranking nor a reason for having none"
            )
        # Not from its table: where fewer layers are asked for, that holds a fifth of all layers, or all (1.30.2).
        return losses, list(losses)
    name, text = _first(folder, LOSSES)
    if not name or not (folder / "tool.qtable").is_file():
        raise ToolFailed(f"{tool}: ended without an error, but wrote no table, and no reason for having none")
    rows = float_layers((folder / "tool.qtable").read_text(encoding="utf-8"))
    return vendor_output.losses(text), list(dict.fromkeys(name for name, mode in rows if mode not in INTEGERS))


def _tuned(folder: Path, table: str, changed: bool) -> str:
    """The calibration table with the thresholds that the search settled on. Raises ToolFailed."""
    if not changed:
        return table
    path = folder / "new_cali_table.txt"
    if not path.is_file():
        raise ToolFailed(f"{RUN_SENSITIVE_LAYER}: did not write {path.name}")
    text = path.read_text(encoding="utf-8")
    try:
        missing = set(calibrated(table)) - set(calibrated(text))
    except ValueError as error:
        raise ToolFailed(f"{RUN_SENSITIVE_LAYER}: {path.name}: {error}") from None
    if missing:
        raise ToolFailed(f"{RUN_SENSITIVE_LAYER}: {path.name} lacks {len(missing)} tensors: {min(missing)}")
    return f"# its thresholds changed by {RUN_SENSITIVE_LAYER}\n{rounded(text)}"


def _first(folder: Path, names: tuple[str, ...]) -> tuple[str, str]:
    """Name and text of the first file that exists; two empty texts when none does."""
    for name in names:
        if (folder / name).is_file():
            return name, (folder / name).read_text(encoding="utf-8", errors="replace")
    return "", ""
