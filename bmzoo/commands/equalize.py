"""`equalize`: the model with its channels scaled alike, and the same outputs."""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmzoo.errors import ToolFailed
from bmzoo.measure.npz import arrays
from bmzoo.quantization.equalize import SHARES, equalize, pairs
from bmzoo.quantization.session import session

# Float rounding moves every output a little; a factor put in the wrong place moves it a lot.
TOLERANCE = 1e-3


def run(folder: Path, args: tuple[str, ...]) -> None:
    """`source.onnx` to `model.onnx`. Raises ToolFailed when the outputs differ by more than rounding.

    args: the file, and what has a scale of its own: each `channel` of a layer's weights, or the `tensor`.
    """
    samples = [folder / line for line in (folder / "samples.txt").read_text(encoding="utf-8").split()]
    pictures = [next(iter(arrays(path).values())) for path in samples]
    model = onnx.load(str(folder / args[0]))
    result = equalize(model, channel_ranges(model, pictures), SHARES[args[1]])
    onnx.save(result, str(folder / "model.onnx"))
    names = [output.name for output in model.graph.output]
    for before, after in zip(_run(model, names, pictures[0]), _run(result, names, pictures[0]), strict=True):
        off = float(np.abs(before - after).max()) / max(float(np.abs(before).max()), 1e-12)
        if not off <= TOLERANCE:  # NaN fails too
            raise ToolFailed(f"equalize: changed the network's outputs by {off:.2g} of their range")
    (folder / "equalize.json").write_text(json.dumps({"pairs": len(pairs(model))}), encoding="utf-8")


def channel_ranges(model: onnx.ModelProto, pictures: list[NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Largest |value| of each channel of every convolution that can be scaled, over the pictures: [C]."""
    names = [pair.first.output[0] for pair in pairs(model)]
    if not names:
        return {}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    running = session(tapped, threads=2)
    found: dict[str, NDArray[np.float64]] = {}
    for picture in pictures:
        for name, value in zip(names, running.run(names, {running.get_inputs()[0].name: picture}), strict=True):
            largest = np.abs(value).max(axis=(0, *range(2, value.ndim))).astype(np.float64)
            found[name] = np.maximum(found[name], largest) if name in found else largest
    return found


def _run(model: onnx.ModelProto, names: list[str], picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    running = session(model, threads=2)
    return list(running.run(names, {running.get_inputs()[0].name: picture}))
