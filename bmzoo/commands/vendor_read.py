"""`vendor-read`: what TPU-MLIR's search found, from its log and tables, in the form of bmzoo's own ranking."""

import json
from pathlib import Path
from typing import Any

from bmzoo.commands.table import rounded
from bmzoo.config.search_methods import RUN_QTABLE, RUN_SENSITIVE_LAYER
from bmzoo.errors import ToolFailed
from bmzoo.quantization import vendor_output
from bmzoo.quantization.tables import calibrated, float_layers

# The search logs to a file here, whose name has changed between versions. What it prints is less sure: its C++
# part prints into the midst of lines.
LOGS = ("Search_Qtable", "SensitiveLayerSearcher", "SensitiveLayerSearch", "MixPrecSearcher")
LOSSES = ("tool.qtable_loss.txt", "full_loss_table.txt")
INTEGERS = ("INT8", "INT4")


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ranking.json`, and `tuned.table` where the search changes thresholds.

    In `ranking.json`: `layers`, the most sensitive first, with `loss` and `cosine_loss`, both 1 - cosine of the
    network's outputs (run_qtable.py: of the layer's own) with this layer alone in INT8; `picks`, the layers in the
    order in which the search would leave them in float; `enough`, the cosine of plain INT8 where the search ended
    because that is as good as asked for; `plain`, its cosine, if told; `total`, how many layers the model has.
    Raises ToolFailed when the tool left something else than it should.
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
    """Losses by layer, the worst first, and layers in the order of the search. Raises ValueError, ToolFailed."""
    if tool != RUN_QTABLE:
        losses = dict(vendor_output.ranking(log))
        if not losses:
            raise ToolFailed(
                f"{tool}: ended without an error, but its log has neither a ranking nor a reason for having none"
            )
        # Its table is not read: asked for fewer, it holds a fifth of the layers, or all of them.
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
    """Name and text of the first file that is there; two empty texts when none is."""
    for name in names:
        if (folder / name).is_file():
            return name, (folder / name).read_text(encoding="utf-8", errors="replace")
    return "", ""
