"""The backbones of RetinaFace: their convolutions as a state dict names them, and the maps that they give.

Sources: Pytorch_Retinaface (MobileNet v1 x0.25, LeakyReLU of slope 0.1) and torchvision (ResNet50 up to layer4, the
stride in its 3x3 convolutions). He et al., "Deep Residual Learning for Image Recognition".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bmzoo.onnx_import.graph import Conv, GraphBuilder

MOBILENET, RESNET = "retinaface_mobilenet0.25", "retinaface_resnet50"


@dataclass(frozen=True)
class Backbone:
    """A backbone: its channels at strides 8, 16 and 32, and those that the network behind it works with."""

    shown: str
    levels: tuple[int, int, int]
    channels: int
    convolutions: Callable[[], Iterator[Conv]]
    maps: Callable[[GraphBuilder], list[str]]
    """Adds it behind the tensor `input`; the last map of each level."""


def _mobilenet_convolutions() -> Iterator[Conv]:
    return (conv for stage in _mobilenet() for _, conv in stage)


def _mobilenet_maps(graph: GraphBuilder) -> list[str]:
    source, maps = "input", []
    for stage in _mobilenet():
        for name, conv in stage:
            source = graph.conv(name, source, conv)
        maps.append(source)
    return maps


def _mobilenet() -> list[list[tuple[str, Conv]]]:
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


# Bottlenecks of each layer, and their channels inside; they give four times as many.
_RESNET = ((3, 64), (4, 128), (6, 256), (3, 512))
_STEM = Conv("body.conv1", "body.bn1", (64, 3, 7, 7), stride=2, slope=0.0)


def _resnet_convolutions() -> Iterator[Conv]:
    yield _STEM
    for layer in _resnet():
        for block in layer.values():
            yield from block.values()


def _resnet_maps(graph: GraphBuilder) -> list[str]:
    source = graph.conv("body.conv1", "input", _STEM)
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    source, maps = graph.add("MaxPool", "body.maxpool", [source], **window), []
    for layer in _resnet():
        for name, block in layer.items():
            source = _bottleneck(graph, name, source, block)
        maps.append(source)
    return maps[1:]


def _bottleneck(graph: GraphBuilder, name: str, source: str, block: Mapping[str, Conv]) -> str:
    inside, beside = source, source
    for part, conv in block.items():
        if part == "downsample":
            beside = graph.conv(f"{name}.{part}", source, conv)
        else:
            inside = graph.conv(f"{name}.{part}", inside, conv)
    return graph.add("Relu", f"{name}.relu", [graph.add("Add", f"{name}.add", [inside, beside])])


def _resnet() -> list[dict[str, dict[str, Conv]]]:
    """Layer -> bottleneck -> its convolutions, by name."""
    inputs, layers = 64, []
    for number, (blocks, width) in enumerate(_RESNET, 1):
        layer = {}
        for i in range(blocks):
            name = f"body.layer{number}.{i}"
            layer[name] = _block(name, inputs, width, stride=2 if number > 1 and i == 0 else 1)
            inputs = 4 * width
        layers.append(layer)
    return layers


def _block(name: str, inputs: int, width: int, stride: int) -> dict[str, Conv]:
    shapes = ((width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1))
    steps, slopes = (
        (1, stride, 1),
        (0.0, 0.0, None),
    )  # the last is added to what goes beside it, then comes the ReLU
    block = {
        f"conv{i}": Conv(f"{name}.conv{i}", f"{name}.bn{i}", *rest)
        for i, rest in enumerate(zip(shapes, steps, slopes, strict=True), 1)
    }
    if inputs != 4 * width:
        beside = Conv(f"{name}.downsample.0", f"{name}.downsample.1", (4 * width, inputs, 1, 1), stride, None)
        block["downsample"] = beside
    return block


BACKBONES: Mapping[str, Backbone] = {
    MOBILENET: Backbone("MobileNet v1 x0.25", (64, 128, 256), 64, _mobilenet_convolutions, _mobilenet_maps),
    RESNET: Backbone("ResNet50", (512, 1024, 2048), 256, _resnet_convolutions, _resnet_maps),
}
