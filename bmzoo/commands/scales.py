"""`scales`: the divisor of each channel for cross-layer equalization."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.measure.degenerate import ONNX, check_finite
from bmzoo.measure.npz import arrays
from bmzoo.quantization.equalize import RANGE_SHARES, derive, equalizable, factors_text, pairs
from bmzoo.quantization.session import session


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `channels.scales` from a model and `samples.txt`.

    args: the model, and the granularity of weight scales on the chip: `channel` or `tensor`.
    """
    samples = [folder / line for line in (folder / "samples.txt").read_text(encoding="utf-8").split()]
    model = equalizable(onnx.load(str(folder / args[0])))
    factors = derive(model, channel_ranges(model, map(arrays, samples)), RANGE_SHARES[args[1]])
    (folder / "channels.scales").write_text(factors_text(factors), encoding="utf-8")


def channel_ranges(
    model: onnx.ModelProto, samples: Iterable[Mapping[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float64]]:
    """Convolution output -> largest |value| by channel over the samples [C], for every scalable convolution.

    `samples`: the network's inputs by name, one sample at a time.
    """
    names = [pair.first.output[0] for pair in pairs(model)]
    if not names:
        return {}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    running = session(tapped, threads=2)
    found: dict[str, NDArray[np.float64]] = {}
    for feeds in samples:
        for name, value in zip(names, running.run(names, dict(feeds)), strict=True):
            check_finite({name: value}, ONNX)
            largest = np.abs(value).max(axis=(0, *range(2, value.ndim))).astype(np.float64)
            found[name] = np.maximum(found[name], largest) if name in found else largest
    return found
