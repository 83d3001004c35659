"""`compare`: compares an artifact with ONNX on all pictures, with its MLIR, and with sibling targets."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmzoo.commands.measure import aligned, decoded, detection_figures, reference_heads, tensor_figures
from bmzoo.commands.requests import read_request
from bmzoo.errors import VerifyFailed
from bmzoo.measure.comparisons.comparison import MatchRule
from bmzoo.measure.degenerate import Heads
from bmzoo.measure.found import pictures_compared
from bmzoo.measure.lowered_floats import Floats, floats_of
from bmzoo.measure.npz import arrays
from bmzoo.measure.tensors import max_error, sqnr_db


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `figures.json`: tensors, detections, engines, consistency; and `found.json`. Raises VerifyFailed."""
    request = read_request(folder, args[0])
    feeds = arrays(folder / "inputs.npz")
    reference = reference_heads(folder, feeds)
    mlir, dead = _lowered(folder, reference)
    simulated = arrays(folder / "simulated.npz")
    batch = len(next(iter(simulated.values())))
    if request.get("alone") or dead:
        reference, mlir = _head(reference, batch), _head(mlir, batch)
    first = aligned(_head(reference, batch), simulated)
    # The artifact's own outputs for the batch that was simulated, those of its lowered MLIR for the other pictures.
    test = {name: np.concatenate([first[name], mlir[name][batch:]]) for name in reference}
    figures = {
        "images": len(next(iter(reference.values()))),
        "simulated": batch,
        "tensors": tensor_figures(reference, test),
        "detections": detection_figures(folder, reference, test, request),
        "engines": {
            **({"equal": False, "dead": dead} if dead else agreement(first, _head(mlir, batch))),
            **_floats(folder / "lowered.mlir"),
        },
        "consistency": {
            name: _with_sibling(name, first, arrays(folder / f"sibling.{name}.npz")) for name in request["siblings"]
        },
    }
    if not request.get("alone") and not dead:
        figures |= _apart(folder, _head(reference, batch), first, _head(mlir, batch), request)
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, sort_keys=True), encoding="utf-8")
    rule = MatchRule(request["confidence"], request["margin"], request["iou"])
    wanted, given = (decoded(folder, heads, request, rule.confidence - rule.margin) for heads in (reference, test))
    found = {"pictures": pictures_compared(wanted, given, rule)}
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


def _lowered(folder: Path, reference: Heads) -> tuple[Heads, str]:
    """What the MLIR gave, and "". What compares with nothing becomes the reference, with why."""
    try:
        return aligned(reference, arrays(folder / "mlir.npz"), "its MLIR"), ""
    except VerifyFailed as error:
        return reference, error.message


def _apart(
    folder: Path, reference: Heads, simulated: Heads, mlir: Heads, request: Mapping[str, Any]
) -> dict[str, Any]:
    """How far each of the two engines is from ONNX on what both have seen, where they are not equal."""
    if all(np.array_equal(simulated[name], mlir[name]) for name in mlir):
        return {}
    return {
        "apart": {
            engine: {
                "images": len(next(iter(heads.values()))),
                "tensors": tensor_figures(reference, heads),
                "detections": detection_figures(folder, reference, heads, request),
            }
            for engine, heads in (("simulator", simulated), ("mlir", mlir))
        }
    }


def agreement(one: Heads, other: Heads) -> dict[str, Any]:
    """Whether two runs of the same network are equal bit for bit, and their largest difference by head."""
    return {
        "equal": all(np.array_equal(one[name], other[name]) for name in one),
        "max_error": {name: float(f"{max_error(one[name], other[name]):.6g}") for name in one},
        # Relative to the head's range, so that one threshold applies to both scores and offsets.
        "relative": max(_relative(one[name], other[name]) for name in one),
        "sqnr_db": _lowest_sqnr(one, other),
    }


def _floats(lowered: Path) -> dict[str, Any]:
    """What an integer network computes in float, where it does."""
    found = floats_of(lowered.read_text(encoding="utf-8")) if lowered.exists() else Floats()
    requantized = {"requantized": found.requantized} if found.requantized else {}
    return {**({"floats": list(found.kinds)} if found.kinds else {}), **requantized}


def _lowest_sqnr(one: Heads, other: Heads) -> float | None:
    """SQNR in dB of the head that differs most, as in `tensor_figures`; None when all are equal."""
    lowest = min(sqnr_db(one[name], other[name]) for name in one)
    return None if lowest == math.inf else float(f"{lowest:.6g}")


def _with_sibling(name: str, own: Heads, raw: Mapping[str, Any]) -> dict[str, Any]:
    number = min(len(next(iter(own.values()))), len(next(iter(raw.values()))))
    first = _head(own, number)
    return {"images": number, **agreement(first, aligned(first, _head(raw, number), name))}


def _relative(one: Any, other: Any) -> float:
    span = float(np.abs(one).max())
    return float(f"{max_error(one, other) / span if span else max_error(one, other):.6g}")


def _head(heads: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {name: value[:number] for name, value in heads.items()}
