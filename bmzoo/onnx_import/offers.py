"""What makes INT8 find nothing in a network, and where to cut it so that it does not.

An INT8 tensor has one scale. Where boxes of hundreds of pixels and scores of 0 to 1 lie in one tensor, a step is
several pixels wide, and every score is 0. Where a Sigmoid or Softmax gives the scores, all that is unlikely is 0
as well, so is a head in which nothing was found. Before that, heads are numbers of one range each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.onnx_import.heads import SQUASHING, Network, parts

# More tensors than any known head has: what was found is no head.
_MOST_HEADS = 32
# A Softmax over two is a score and the rest of it: RetinaFace and its like keep their faces in INT8.
_FEW_CLASSES = 2
_DISTANCES = 16  # bins of each side of a box in YOLO v8 and later (Li et al., GFL)
_MANY_CHARACTERS = 30
# Slices of one output whose largest values lie further apart than the steps of INT8: the small ones are all 0.
MIXED_RANGES = 127.0
_MOST_SLICES = 512
_FEWEST_ROWS = 16


@dataclass(frozen=True)
class Offer:
    """A cut: why, the tensors to cut at, and the decoder that reads them; empty where none is known."""

    why: str
    outputs: tuple[str, ...]
    decoder: str = ""

    @property
    def told(self) -> str:
        """The warning in one line."""
        decoder = f" and `kind: {self.decoder}` below `decoder`" if self.decoder else ""
        names = ", ".join(map(_quoted, self.outputs))
        return f"INT8 may find nothing: {self.why}; to cut the network before that: `outputs: [{names}]`{decoder}"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"why": self.why, "outputs": list(self.outputs), "decoder": self.decoder or None}


def mixed_ranges(outputs: Mapping[str, NDArray[Any]]) -> list[str]:
    """Outputs [1, ...] with slices along their last axis, or along their channels, of quite different ranges."""
    return [name for name, value in outputs.items() if _mixed(value)]


def _mixed(value: NDArray[Any]) -> bool:
    axes = {value.ndim - 1, 1 if value.ndim == 4 else value.ndim - 1}
    for axis in (axis for axis in axes if axis > 0 and 1 < value.shape[axis] <= _MOST_SLICES):
        largest = np.abs(np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1))
        moving = largest.max(1)[largest.max(1) > 0] if largest.shape[1] >= _FEWEST_ROWS else np.ones(1)
        if len(moving) and moving.max() > MIXED_RANGES * moving.min():
            return True
    return False


def offer(model: ModelProto, seen: Mapping[str, NDArray[Any]] | None = None) -> Offer | None:
    """The cut that INT8 of this model needs; None where its outputs are fit for INT8 as they are. Pure.

    seen: its outputs for a picture, where it was run: their ranges and shapes say more than the graph does.
    """
    network, mixed = Network(model), mixed_ranges(seen or {})
    shapes = {name: value.shape for name, value in (seen or {}).items()}
    why: list[str] = []
    outputs: list[str] = []
    for port in model.graph.output:
        trouble, instead = _trouble(network, port.name, port.name in mixed)
        why += [trouble] if trouble else []
        outputs += instead
    if not why or len(set(outputs)) > _MOST_HEADS or outputs == [port.name for port in model.graph.output]:
        return None
    return Offer("; ".join(why), tuple(dict.fromkeys(outputs)), _decoder(network, outputs, shapes))


def _trouble(network: Network, name: str, mixed: bool) -> tuple[str, list[str]]:
    """What is wrong with an output, and the tensors that stand for it; itself where nothing is."""
    for node, joined in parts(network, name):
        scores = [part for part in joined if network.squashed(part)]
        if scores and len(scores) < len(joined):
            others = network.heads(name)
            return f"`{name}` holds scores and boxes on one scale ({node.op_type} `{node.output[0]}`)", others
    kind, last = network.kind(name), network.producers.get(network.unmoved(name))
    if kind in SQUASHING and last is not None and not _two_classes(network, name, kind):
        return f"`{name}` ends with a {kind}", [last.input[0]]
    heads = network.heads(name) if mixed else []
    if len(heads) > 1:
        return f"`{name}` has slices of quite different ranges on one scale", heads
    return "", [name]


def _two_classes(network: Network, name: str, kind: str) -> bool:
    """Whether a Softmax is over background and one class."""
    node = network.producers[network.unmoved(name)]
    axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
    shape = network.shapes.get(node.output[0], ())
    return kind == "Softmax" and bool(shape) and axis < len(shape) and shape[axis] == _FEW_CLASSES


def _decoder(network: Network, outputs: list[str], seen: Mapping[str, tuple[int, ...]]) -> str:
    """The kind of decoder that reads these, by their shapes; empty where no kind does, or several might."""
    shapes = [network.shapes.get(name, ()) for name in outputs]
    if len(outputs) == len(seen) == 1 and not (shapes[0] and all(shapes[0])):
        shapes = list(seen.values())  # one for one, and cut at most before a Sigmoid or Softmax
    if len(shapes) == 1 and len(shapes[0]) == 4 and [network.kind(name) for name in _given(network)] == ["Softmax"]:
        return "segmentation"
    channels = [shape[1] if len(shape) == 4 else 0 for shape in shapes]
    if all(channels):
        return _of_maps(shapes, channels)
    if any(name.startswith("kps_") for name in _given(network)) and len(outputs) == len(_given(network)):
        return "yunet"
    if len(shapes) == 1 and len(shapes[0]) == 2:
        return "classification"
    if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][2] >= _MANY_CHARACTERS:
        return "ctc_text"
    return ""


def _of_maps(shapes: list[tuple[int, ...]], channels: list[int]) -> str:
    """The decoder of maps [batch, channels, height, width], by how many there are of a size."""
    levels = len({shape[2:] for shape in shapes})
    each = sorted(channels[: len(channels) // levels]) if len(channels) % levels == 0 else []
    if levels == 1 and channels == [1]:
        return "db_text"
    if levels < 2 or sorted(channels) != sorted(each * levels):
        return ""
    if len(each) == 1 and each[0] % 3 == 0 and each[0] // 3 > 5:
        return "yolov5"
    if len(each) == 3 and 1 in each and 4 in each:
        return "yolox"
    if len(each) == 3 and 1 in each and 4 * _DISTANCES in each:
        return "yolov8_pose"
    return "yolov8" if len(each) == 2 and 4 * _DISTANCES in each else ""


def _given(network: Network) -> list[str]:
    return [port.name for port in network.model.graph.output]


def _quoted(name: str) -> str:
    """A name as YAML reads it as a text: numbers are names to exporters."""
    plain = name.replace("_", "").replace("/", "").isalnum() and not name[0].isdigit() and not name.startswith("/")
    return name if plain else f'"{name}"'
