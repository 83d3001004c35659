"""RetinaFace with one of its backbones, written as ONNX straight from its state dict.

Source of the architecture: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", in
the form of Pytorch_Retinaface: three stages to strides 8, 16 and 32, a feature pyramid, and on each level a
context module (SSH) and three heads of one 1x1 convolution. Nodes are named after its modules.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.backbones import BACKBONES, MOBILENET, Backbone
from bmzoo.onnx_import.graph import Conv, GraphBuilder

_STRIDES = (8, 16, 32)
_ANCHORS = 2  # a cell
# Output, head, and values an anchor; the order in which the PyTorch network returns them.
_HEADS = (("loc", "BboxHead", 4), ("conf", "ClassHead", 2), ("landms", "LandmarkHead", 10))


def expected_shapes(architecture: str = MOBILENET) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor in the state dict, by name; `num_batches_tracked` may stand beside them."""
    backbone = BACKBONES[architecture]
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in [*backbone.convolutions(), *_neck(backbone).values()]:
        shapes |= conv.shapes()
    for _, head, values in _HEADS:
        for level in range(len(_STRIDES)):
            shapes[f"{head}.{level}.conv1x1.weight"] = (_ANCHORS * values, backbone.channels, 1, 1)
            shapes[f"{head}.{level}.conv1x1.bias"] = (_ANCHORS * values,)
    return shapes


def build(state: Mapping[str, NDArray[Any]], height: int, width: int, architecture: str = MOBILENET) -> ModelProto:
    """The network as ONNX (opset 11, IR version 6), batch normalization folded into the convolutions.

    Input `input`: float32 [batch, 3, height, width], BGR minus (104, 117, 123). Outputs, float32: `loc`
    [batch, A, 4], `conf` [batch, A, 2] (background, face; softmax), `landms` [batch, A, 10]; A counts
    2 anchors a cell, row by row, at strides 8, 16, 32. The batch is free; equal arguments give equal bytes.
    Raises SourceError when a side is below 32 or the state dict is not that of this architecture.
    """
    if min(height, width) < 32:
        raise SourceError(f"retinaface: sides must be at least 32: {height}x{width}", "try 640x640")
    _check(state, architecture)
    backbone, graph = BACKBONES[architecture], GraphBuilder(state)
    convs = _neck(backbone)
    sizes = [(-(-height // stride), -(-width // stride)) for stride in _STRIDES]
    levels = _pyramid(graph, convs, backbone.maps(graph), sizes)
    features = [_context(graph, convs, f"ssh{i}", level) for i, level in enumerate(levels, 1)]
    for output, head, values in _HEADS:
        parts = [_head(graph, f"{head}.{i}", values, feature) for i, feature in enumerate(features)]
        if output == "conf":
            logits = graph.add("Concat", "conf.concat", parts, axis=1)
            graph.add("Softmax", output, [logits], axis=2)
        else:
            graph.add("Concat", output, parts, axis=1)
    anchors = sum(_ANCHORS * rows * columns for rows, columns in sizes)
    outputs = {output: (anchors, values) for output, _, values in _HEADS}
    return graph.model(architecture, {"input": (3, height, width)}, outputs)


def _check(state: Mapping[str, NDArray[Any]], architecture: str) -> None:
    wrong = _wrong(state, architecture)
    if not wrong:
        return
    shown, channels = BACKBONES[architecture].shown, BACKBONES[architecture].channels
    hint = f"expected: RetinaFace, {shown}, {channels} channels, 2 anchors a cell (Pytorch_Retinaface)"
    for other in BACKBONES:
        if other != architecture and not _wrong(state, other):
            hint += f"; this is RetinaFace with {BACKBONES[other].shown}: `architecture: {other}`"
    raise SourceError(f"retinaface: the state dict does not fit the network: {wrong}", hint)


def _wrong(state: Mapping[str, NDArray[Any]], architecture: str) -> str:
    """What of a state dict is not as the network's; empty for one that fits."""
    wanted = expected_shapes(architecture)
    suffix = ".running_var"
    counters = {key.removesuffix(suffix) + ".num_batches_tracked" for key in wanted if key.endswith(suffix)}
    shapes = {key: value.shape for key, value in state.items()}
    misshapen = [key for key, shape in wanted.items() if shapes.get(key, shape) != shape]
    found = {
        "missing": [key for key in wanted if key not in shapes],
        "not expected": [key for key in shapes if key not in wanted and key not in counters],
        "wrong shape": [f"{key} {shapes[key]}, not {wanted[key]}" for key in misshapen],
        "not finite": [key for key, value in state.items() if not np.isfinite(value).all()],
    }
    return "; ".join(f"{kind}: {_first(keys)}" for kind, keys in found.items() if keys)


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")


def _neck(backbone: Backbone) -> dict[str, Conv]:
    """The convolutions of the pyramid and of the context modules, by node name."""
    channels = backbone.channels
    half, quarter = channels // 2, channels // 4
    shapes = {f"fpn.output{i}": (channels, inputs, 1, 1) for i, inputs in enumerate(backbone.levels, 1)}
    for merge in ("fpn.merge1", "fpn.merge2"):
        shapes[merge] = (channels, channels, 3, 3)
    for ssh in ("ssh1", "ssh2", "ssh3"):
        shapes[f"{ssh}.conv3X3"] = (half, channels, 3, 3)
        shapes[f"{ssh}.conv5X5_1"] = (quarter, channels, 3, 3)
        for name in ("conv5X5_2", "conv7X7_2", "conv7x7_3"):
            shapes[f"{ssh}.{name}"] = (quarter, quarter, 3, 3)
    linear = ("conv3X3", "conv5X5_2", "conv7x7_3")  # a ReLU follows where the three are joined
    slope = 0.1 if channels <= 64 else 0.0
    return {
        name: Conv(f"{name}.0", f"{name}.1", shape, slope=None if name.endswith(linear) else slope)
        for name, shape in shapes.items()
    }


def _pyramid(
    graph: GraphBuilder, convs: Mapping[str, Conv], maps: list[str], sizes: list[tuple[int, int]]
) -> list[str]:
    """Each map brought to as many channels and, from coarse to fine, merged with the level above it."""
    outputs = ("fpn.output1", "fpn.output2", "fpn.output3")
    levels = [graph.conv(name, source, convs[name]) for name, source in zip(outputs, maps, strict=True)]
    for i in (1, 0):
        name = f"fpn.merge{i + 1}"
        above = _upsample(graph, name, levels[i + 1], sizes[i + 1], sizes[i])
        levels[i] = graph.conv(name, graph.add("Add", f"{name}.add", [levels[i], above]), convs[name])
    return levels


def _upsample(graph: GraphBuilder, name: str, source: str, size: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Nearest neighbour from `size` to `wanted`, each side of which is twice as long or one less than that.

    PyTorch takes cell floor(i * n / w) for pixel i. For w = 2n and w = 2n - 1 that is i // 2 throughout, so
    doubling and cropping is exact, while a scale of w / n would depend on how an engine rounds it.
    """
    roi = graph.weight("fpn.roi", np.zeros(0, np.float32))  # opset 11 requires it, this mode does not read it
    scales = graph.weight("fpn.scales", np.array([1, 1, 2, 2], np.float32))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    output = graph.add("Resize", f"{name}.resize", [source, roi, scales], **modes)
    if wanted == (2 * size[0], 2 * size[1]):
        return output
    bounds = {"starts": (0, 0), "ends": wanted, "axes": (2, 3)}
    inputs = [graph.weight(f"{name}.{key}", np.array(value, np.int64)) for key, value in bounds.items()]
    return graph.add("Slice", f"{name}.slice", [output, *inputs])


def _context(graph: GraphBuilder, convs: Mapping[str, Conv], name: str, source: str) -> str:
    """Fields of view of 3, 5 and 7 cells, side by side; the larger ones share their first convolution."""

    def conv(part: str, source: str) -> str:
        return graph.conv(f"{name}.{part}", source, convs[f"{name}.{part}"])

    shared = conv("conv5X5_1", source)
    views = [conv("conv3X3", source), conv("conv5X5_2", shared), conv("conv7x7_3", conv("conv7X7_2", shared))]
    return graph.add("Relu", f"{name}.relu", [graph.add("Concat", f"{name}.concat", views, axis=1)])


def _head(graph: GraphBuilder, name: str, values: int, source: str) -> str:
    """One row of values an anchor: [batch, cells * anchors, values]."""
    kernel, bias = (graph.state[f"{name}.conv1x1.{key}"] for key in ("weight", "bias"))
    maps = graph.plain_conv(name, source, kernel, bias)
    rows = graph.add("Transpose", f"{name}.transpose", [maps], perm=[0, 2, 3, 1])
    # 0 copies the batch from the input; a batch written down here would hold for no other.
    shape = graph.weight(f"{name}.shape", np.array([0, -1, values], np.int64))
    return graph.add("Reshape", f"{name}.reshape", [rows, shape])
