"""RetinaFace with a MobileNet v1 x0.25 backbone, written as ONNX straight from its state dict.

Source of the architecture: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", in
the form of Pytorch_Retinaface: three stages to strides 8, 16 and 32, a feature pyramid of 64 channels, and on
each level a context module (SSH) and three heads of one 1x1 convolution. Nodes are named after its modules.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.onnx_ml_pb2 import ModelProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.graph import Conv, GraphBuilder

_STRIDES = (8, 16, 32)
_CHANNELS = 64
_ANCHORS = 2  # a cell
# Output, head, and values an anchor; the order in which the PyTorch network returns them.
_HEADS = (("loc", "BboxHead", 4), ("conf", "ClassHead", 2), ("landms", "LandmarkHead", 10))


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of each tensor in the state dict, by name; `num_batches_tracked` may stand beside them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in [*(conv for stage in _stages() for _, conv in stage), *_neck().values()]:
        shapes |= conv.shapes()
    for _, head, values in _HEADS:
        for level in range(len(_STRIDES)):
            shapes[f"{head}.{level}.conv1x1.weight"] = (_ANCHORS * values, _CHANNELS, 1, 1)
            shapes[f"{head}.{level}.conv1x1.bias"] = (_ANCHORS * values,)
    return shapes


def build(state: Mapping[str, NDArray[Any]], height: int, width: int) -> ModelProto:
    """The network as ONNX (opset 11, IR version 6), batch normalization folded into the convolutions.

    Input `input`: float32 [batch, 3, height, width], BGR minus (104, 117, 123). Outputs, float32: `loc`
    [batch, A, 4], `conf` [batch, A, 2] (background, face; softmax), `landms` [batch, A, 10]; A counts
    2 anchors a cell, row by row, at strides 8, 16, 32. The batch is free; equal arguments give equal bytes.
    Raises SourceError when a side is below 32 or the state dict is not that of this architecture.
    """
    if min(height, width) < 32:
        raise SourceError(f"retinaface: sides must be at least 32: {height}x{width}", "try 640x640")
    _check(state)
    graph = GraphBuilder(state)
    sizes = [(-(-height // stride), -(-width // stride)) for stride in _STRIDES]
    levels = _pyramid(graph, _backbone(graph), sizes)
    features = [_context(graph, f"ssh{i}", level) for i, level in enumerate(levels, 1)]
    for output, head, values in _HEADS:
        parts = [_head(graph, f"{head}.{i}", values, feature) for i, feature in enumerate(features)]
        if output == "conf":
            logits = graph.add("Concat", "conf.concat", parts, axis=1)
            graph.add("Softmax", output, [logits], axis=2)
        else:
            graph.add("Concat", output, parts, axis=1)
    anchors = sum(_ANCHORS * rows * columns for rows, columns in sizes)
    outputs = {output: (anchors, values) for output, _, values in _HEADS}
    return graph.model("retinaface_mobilenet0.25", {"input": (3, height, width)}, outputs)


def _check(state: Mapping[str, NDArray[Any]]) -> None:
    wanted = expected_shapes()
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
    wrong = "; ".join(f"{kind}: {_first(keys)}" for kind, keys in found.items() if keys)
    if wrong:
        hint = "expected: RetinaFace, MobileNet v1 x0.25, 64 channels, 2 anchors a cell (Pytorch_Retinaface)"
        raise SourceError(f"retinaface: the state dict does not fit the network: {wrong}", hint)


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")


def _stages() -> list[list[tuple[str, Conv]]]:
    """The backbone's convolutions by node name, up to strides 8, 16 and 32."""
    stem = ("body.stage1.0", Conv("body.stage1.0.0", "body.stage1.0.1", (8, 3, 3, 3), stride=2))
    stage1 = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    stage2 = [(64, 128, 2), *[(128, 128, 1)] * 5]
    stage3 = [(128, 256, 2), (256, 256, 1)]
    return [
        [stem, *_separable("body.stage1", stage1, first=1)],
        [*_separable("body.stage2", stage2)],
        [*_separable("body.stage3", stage3)],
    ]


def _separable(stage: str, blocks: Sequence[tuple[int, int, int]], first: int = 0) -> Iterator[tuple[str, Conv]]:
    """Depthwise and pointwise convolution for each (inputs, outputs, stride)."""
    for number, (inputs, outputs, stride) in enumerate(blocks, first):
        block = f"{stage}.{number}"
        yield f"{block}.dw", Conv(f"{block}.0", f"{block}.1", (inputs, 1, 3, 3), stride)
        yield f"{block}.pw", Conv(f"{block}.3", f"{block}.4", (outputs, inputs, 1, 1))


def _neck() -> dict[str, Conv]:
    """The convolutions of the pyramid and of the context modules, by node name."""
    half, quarter = _CHANNELS // 2, _CHANNELS // 4
    shapes = {f"fpn.output{i}": (_CHANNELS, inputs, 1, 1) for i, inputs in enumerate((64, 128, 256), 1)}
    for merge in ("fpn.merge1", "fpn.merge2"):
        shapes[merge] = (_CHANNELS, _CHANNELS, 3, 3)
    for ssh in ("ssh1", "ssh2", "ssh3"):
        shapes[f"{ssh}.conv3X3"] = (half, _CHANNELS, 3, 3)
        shapes[f"{ssh}.conv5X5_1"] = (quarter, _CHANNELS, 3, 3)
        for name in ("conv5X5_2", "conv7X7_2", "conv7x7_3"):
            shapes[f"{ssh}.{name}"] = (quarter, quarter, 3, 3)
    linear = ("conv3X3", "conv5X5_2", "conv7x7_3")  # a ReLU follows where the three are joined
    return {
        name: Conv(f"{name}.0", f"{name}.1", shape, leaky=not name.endswith(linear))
        for name, shape in shapes.items()
    }


def _backbone(graph: GraphBuilder) -> list[str]:
    """The last feature map of each stage."""
    source, maps = "input", []
    for stage in _stages():
        for name, conv in stage:
            source = graph.conv(name, source, conv)
        maps.append(source)
    return maps


def _pyramid(graph: GraphBuilder, maps: list[str], sizes: list[tuple[int, int]]) -> list[str]:
    """Each map brought to 64 channels and, from coarse to fine, merged with the level above it."""
    convs = _neck()
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


def _context(graph: GraphBuilder, name: str, source: str) -> str:
    """Fields of view of 3, 5 and 7 cells, side by side; the larger ones share their first convolution."""
    convs = _neck()

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
