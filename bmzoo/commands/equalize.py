"""`equalize`: applies channel scales to a model, with a check that its float outputs stay the same."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.errors import SourceError, ToolFailed
from bmzoo.quantization.equalize import apply, parse_factors
from bmzoo.quantization.session import session

# Float rounding changes every output a little; a wrongly placed factor would change it a lot.
EQUALIZE_TOLERANCE = 1e-3


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `model.onnx`. args: the model, its channel scales, and the shape of its input as JSON.

    Raises SourceError for scales of another model, ToolFailed when the outputs differ by more than rounding.
    """
    model = onnx.load(str(folder / args[0]))
    try:
        result = apply(model, parse_factors((folder / args[1]).read_text(encoding="utf-8")))
    except ValueError as error:
        raise SourceError(f"{args[1]}: {error}", "see the scales in calibration/") from None
    onnx.save(result, str(folder / "model.onnx"))
    noise = _noise(json.loads(args[2]))
    for before, after in zip(_run(model, noise), _run(result, noise), strict=True):
        off = float(np.abs(before - after).max()) / max(float(np.abs(before).max()), 1e-12)
        if not off <= EQUALIZE_TOLERANCE:  # NaN fails too
            raise ToolFailed(f"equalize: changed the network's outputs by {off:.2g} of their range")


def _noise(shape: Sequence[int]) -> NDArray[np.float32]:
    """A random input: the networks must agree on any."""
    return np.asarray(np.random.default_rng(0).uniform(-128, 128, shape), np.float32)


def _run(model: onnx.ModelProto, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    running = session(model, threads=2)
    return list(running.run(None, {running.get_inputs()[0].name: values}))
