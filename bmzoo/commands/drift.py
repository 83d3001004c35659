"""`drift`: compares a lowered network with the float one, tensor by tensor, and names the first layer at fault."""

import json
import math
from pathlib import Path

from bmzoo.measure.drift import compare_layers, layer_inputs
from bmzoo.measure.given_names import as_given, given_names
from bmzoo.measure.npz import arrays
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.registry import find_tpuc_root


def run(folder: Path, args: tuple[str, ...]) -> None:
    """args: top MLIR, lowered MLIR, inputs npz, smallest SQNR in dB, JSON to write. Raises SessionError."""
    top, lowered, inputs, limit, result = args
    feeds = arrays(folder / inputs)
    root = find_tpuc_root()
    first = MlirSession(folder / top, root, log=folder / "top.log")
    try:
        second = MlirSession(folder / lowered, root, log=folder / "lowered.log")
        try:
            found = compare_layers(first, second, feeds, layer_inputs(folder / top), limit_sqnr=float(limit))
        finally:
            second.close()
    finally:
        first.close()
    given = given_names(folder)
    worst = min(found.rows, key=lambda row: row.sqnr_db)
    told = {
        "layer": as_given(found.layer or worst.layer, given),
        "sqnr_db": _finite(found.sqnr_db),
        "below_limit": found.layer is not None,
        "gradual": found.gradual,
        "limit_db": float(limit),
        "rows": [
            [as_given(row.layer, given), *map(_finite, (row.cosine, row.sqnr_db, row.lost_db))]
            for row in found.rows
        ],
    }
    (folder / result).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _finite(value: float) -> float | None:
    """None for infinity (a tensor without noise) and NaN, which JSON does not have."""
    return round(value, 4) if math.isfinite(value) else None
