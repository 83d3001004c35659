"""`drift`: compares a lowered network with the float one, tensor by tensor, and names the first layer at fault."""

import json
import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from bmzoo.measure.drift import Drift, Row, compare_layers, layer_inputs
from bmzoo.measure.given_names import as_given, given_names
from bmzoo.measure.npz import arrays
from bmzoo.runtime.engines.mlir import MlirSession
from bmzoo.runtime.engines.registry import find_tpuc_root
from bmzoo.runtime.engines.session import as_taken

NO_NAMES: Mapping[str, str] = {}


def run(folder: Path, args: tuple[str, ...]) -> None:
    """args: top MLIR, lowered MLIR, inputs npz, smallest SQNR in dB, JSON to write. Raises SessionError."""
    top, lowered, inputs, limit, result = args
    root = find_tpuc_root()
    first = MlirSession(folder / top, root, log=folder / "top.log")
    try:
        feeds = as_taken(arrays(folder / inputs), first.inputs)
        second = MlirSession(folder / lowered, root, log=folder / "lowered.log")
        try:
            found = compare_layers(first, second, feeds, layer_inputs(folder / top), limit_sqnr=float(limit))
        finally:
            second.close()
    finally:
        first.close()
    document = told(found, feeds, float(limit), given_names(folder))
    (folder / result).write_text(json.dumps(document, indent=1), encoding="utf-8")


def told(found: Drift, inputs: Container[str], limit: float, given: Mapping[str, str] = NO_NAMES) -> dict[str, Any]:
    """The comparison as JSON. `layer`: the one at fault, else the noisiest, None where every layer is exact.

    `given`: the model's own names of layers that were renamed.
    """
    named = next((row for row in found.rows if row.layer == found.layer), None) or worst(found.rows, inputs)
    return {
        "layer": as_given(named.layer, given) if named is not None else None,
        "sqnr_db": _finite(named.sqnr_db) if named is not None else None,
        "below_limit": found.layer is not None,
        "gradual": found.gradual,
        "limit_db": limit,
        "rows": [
            [as_given(row.layer, given), *map(_finite, (row.cosine, row.sqnr_db, row.lost_db))]
            for row in found.rows
        ],
    }


def worst(rows: Sequence[Row], inputs: Container[str]) -> Row | None:
    """The layer with most noise; None where all are exact. The network's inputs are given, not computed."""
    noisy = [row for row in rows if row.layer not in inputs and row.sqnr_db < math.inf]
    return min(noisy, key=lambda row: row.sqnr_db, default=None)


def _finite(value: float) -> float | None:
    """None for infinity (a tensor without noise) and NaN, which JSON does not have."""
    return round(value, 4) if math.isfinite(value) else None
