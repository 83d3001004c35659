"""`scales`: the divisor of each channel for cross-layer equalization."""

import json
from pathlib import Path

import numpy as np
import onnx

from bmzoo.quantization.equalize import RANGE_SHARES, derive, equalizable, factors_text


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `channels.scales` from a model and `ranges.json`.

    args: the model, and the granularity of weight scales on the chip: `channel` or `tensor`.
    """
    model = equalizable(onnx.load(str(folder / args[0])))
    ranges = json.loads((folder / "ranges.json").read_text(encoding="utf-8"))
    largest = {name: np.array(values, np.float64) for name, values in ranges.items()}
    factors = derive(model, largest, RANGE_SHARES[args[1]])
    (folder / "channels.scales").write_text(factors_text(factors), encoding="utf-8")
