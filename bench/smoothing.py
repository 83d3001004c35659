"""SmoothQuant: channels of activations made alike, at the cost of weights that are less so, exactly.

What reads an activation of uneven channels has one scale for all of them. Each channel is divided by
s = max|X|^a / max|W|^(1-a), and the weights that read it are multiplied. (Xiao et al., SmoothQuant: Accurate and
Efficient Post-Training Quantization for Large Language Models, ICML 2023, equation 4.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bmzoo.quantization.folding import constants_stored
from bmzoo.quantization.session import session
from bmzoo.quantization.table_tensors import REARRANGING

Feeds = Mapping[str, NDArray[np.float32]]
READERS = ("MatMul", "Conv")
TOLERANCE = 1e-4  # beside the largest output


@dataclass(frozen=True)
class Smoothable:
    """A node with weights, and the stored tensors whose last axis ends with the channels that it reads."""

    reader: onnx.NodeProto
    made: tuple[str, ...]

    @property
    def axes(self) -> tuple[int, int]:
        """Where the channels are in what is read, and in the weights."""
        return (1, 1) if self.reader.op_type == "Conv" else (-1, 0)


def smoothable(model: onnx.ModelProto) -> list[Smoothable]:
    """What reads a layer normalization, a linear layer, or the values that attention adds up.

    `model`: with its constants stored, see `constants_stored`.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    readers = [node for node in model.graph.node if node.op_type in READERS and node.input[1] in stored]
    found = [Smoothable(node, _channels(node.input[0], made, stored)) for node in readers]
    return [one for one in found if one.made]


def smoothed(model: onnx.ModelProto, share: float, pictures: Sequence[Feeds]) -> tuple[onnx.ModelProto, int]:
    """An equal model, and how many activations are smoothed. `share`: a. `pictures`: whose activations count.

    Raises ValueError where its outputs are others, as they are where an activation has a second reader.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    constants_stored(result)
    places = smoothable(result)
    stored = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in result.graph.initializer}
    for one, largest in zip(places, _largest(model, places, pictures), strict=True):
        _smooth(one, largest, share, stored)
    for tensor in result.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(stored[tensor.name], tensor.name))
    before, after = (session(each, threads=1) for each in (model, result))
    for feeds in pictures:
        for given, now in zip(before.run(None, dict(feeds)), after.run(None, dict(feeds)), strict=True):
            if not np.abs(now - given).max() <= TOLERANCE * np.abs(given).max():
                raise ValueError(f"smoothing changed the outputs by {np.abs(now - given).max():.2g}")
    return result, len(places)


def _channels(tensor: str, made: Mapping[str, onnx.NodeProto], stored: Set[str]) -> tuple[str, ...]:
    """The stored tensors that scale and move each channel; empty where something else is done to it last."""
    last = _origin(tensor, made, REARRANGING)
    if last is not None and last.op_type == "MatMul" and last.input[1] not in stored:  # one layer makes q, k and v
        last = _origin(last.input[1], made, (*REARRANGING, "Slice"))
    before = made.get(last.input[0]) if last is not None and last.op_type == "Add" else None
    if last is None or before is None or before.op_type not in ("Mul", "MatMul"):
        return ()
    names = (before.input[1], last.input[1])
    return names if all(name in stored for name in names) else ()


def _origin(tensor: str, made: Mapping[str, onnx.NodeProto], moving: Sequence[str]) -> onnx.NodeProto | None:
    """The node whose values a tensor has, in any order."""
    node = made.get(tensor)
    while node is not None and node.op_type in moving:
        node = made.get(node.input[0])
    return node


def _largest(
    model: onnx.ModelProto, places: Sequence[Smoothable], pictures: Sequence[Feeds]
) -> list[NDArray[np.float64]]:
    """The largest |value| of each channel [C] of what each reads."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    names = [one.reader.input[0] for one in places]
    del tapped.graph.output[:]
    tapped.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    running = session(tapped, threads=1)
    seen = [running.run(names, dict(feeds)) for feeds in pictures]
    moved = [[np.moveaxis(value, one.axes[0], -1) for value, one in zip(row, places, strict=True)] for row in seen]
    each = [[np.abs(value).reshape(-1, value.shape[-1]).max(axis=0) for value in row] for row in moved]
    return [np.max(column, axis=0).astype(np.float64) for column in zip(*each, strict=True)]


def _smooth(
    one: Smoothable, largest: NDArray[np.float64], share: float, stored: dict[str, NDArray[np.float32]]
) -> None:
    weights = np.moveaxis(stored[one.reader.input[1]], one.axes[1], -1)  # a view
    widest = np.abs(weights).reshape(-1, len(largest)).max(axis=0)
    logs = share * np.log(np.maximum(largest, 1e-5)) - (1 - share) * np.log(np.maximum(widest, 1e-5))
    factors = np.exp(logs - np.median(logs)).astype(np.float32)  # one number for all would change nothing
    weights *= factors
    for name in one.made:
        stored[name][..., -len(factors) :] /= factors
