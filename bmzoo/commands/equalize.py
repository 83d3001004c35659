"""`equalize`: applies channel scales to a model, with a check that its float outputs stay the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.errors import SourceError, ToolFailed
from bmzoo.quantization.equalize import apply, equalizable, parse_factors
from bmzoo.quantization.folding import network_inputs
from bmzoo.quantization.session import session

# Float rounding changes every output a little; a wrongly placed factor would change it a lot.
EQUALIZE_TOLERANCE = 1e-3


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `model.onnx`. args: the model, its channel scales, and the shape of its one input as JSON.

    Without a shape, the model has those of all inputs.
    Raises SourceError for scales of another model, ToolFailed when the outputs differ by more than rounding.
    """
    model = onnx.load(str(folder / args[0]))
    try:
        result = apply(equalizable(model), parse_factors((folder / args[1]).read_text(encoding="utf-8")))
    except ValueError as error:
        raise SourceError(f"{args[1]}: {error}", "see the scales in calibration/") from None
    onnx.save(result, str(folder / "model.onnx"))
    noise = _noise(model, json.loads(args[2]) if args[2:] else None)
    for before, after in zip(_run(model, noise), _run(result, noise), strict=True):
        off = float(np.abs(before - after).max()) / max(float(np.abs(before).max()), 1e-12)
        if not off <= EQUALIZE_TOLERANCE:  # NaN fails too
            raise ToolFailed(f"equalize: changed the network's outputs by {off:.2g} of their range")


def _noise(model: onnx.ModelProto, shape: Sequence[int] | None) -> dict[str, NDArray[np.generic]]:
    """Random inputs: the networks must agree on any. The first in this shape, if there is one; free sides are 1."""
    random = np.random.default_rng(0)
    found: dict[str, NDArray[np.generic]] = {}
    inputs = network_inputs(model)
    for port in (port for port in model.graph.input if port.name in inputs):
        kind = port.type.tensor_type
        sides = [side.dim_value or 1 for side in kind.shape.dim] if found or shape is None else shape
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        low = -128 if np.issubdtype(dtype, np.floating) else 0
        found[port.name] = np.asarray(random.uniform(low, 128 if low else 2, sides), dtype)
    return found


def _run(model: onnx.ModelProto, feeds: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float64]]:
    """The outputs that are floats: a last digit may change which index is the largest."""
    found = session(model, threads=2).run(None, dict(feeds))
    return [value.astype(np.float64) for value in found if np.issubdtype(value.dtype, np.floating)]
