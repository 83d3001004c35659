"""`ranges`: the largest |value| of each channel over pictures, which cross-layer equalization goes by."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.measure.degenerate import ONNX, check_finite
from bmzoo.measure.npz import arrays
from bmzoo.quantization.equalize import equalizable, pairs
from bmzoo.quantization.session import Watched


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `ranges.json` from a model and `samples.txt`. args: the model."""
    samples = [folder / line for line in (folder / "samples.txt").read_text(encoding="utf-8").split()]
    model = equalizable(onnx.load(str(folder / args[0])))
    found = channel_ranges(model, map(arrays, samples))
    text = json.dumps({name: largest.tolist() for name, largest in found.items()})
    (folder / "ranges.json").write_text(text, encoding="utf-8")


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
    network = Watched(tapped, threads=2)
    found: dict[str, NDArray[np.float64]] = {}
    for feeds in samples:
        values = network.run(feeds)
        for name in names:
            highest = _largest(values[name])
            check_finite({name: highest}, ONNX)  # NaN and infinity are the largest of all
            largest = highest.astype(np.float64)
            found[name] = np.maximum(found[name], largest) if name in found else largest
    return found


def _largest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest |value| by channel, [C], of [N,C,..]."""
    others = (0, *range(2, values.ndim))
    return np.asarray(np.maximum(values.max(axis=others), -values.min(axis=others)), np.float32)
