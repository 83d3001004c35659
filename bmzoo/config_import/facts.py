"""What an ONNX file says of itself, as far as a config needs it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bmzoo.errors import SourceError
from bmzoo.onnx_import import onnx_file
from bmzoo.onnx_import.offers import Offer, offer
from bmzoo.onnx_import.onnx_file import ValueInfo

_OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_PICTURE_DTYPES = ("float32", "float16", "uint8", "int8")
CHANNELS = {1: "gray", 3: "bgr", 4: "bgra"}


@dataclass(frozen=True)
class OnnxFacts:
    """Inputs and outputs with their shapes; opset; nodes by operator; `last`: the operator behind each output.

    `cut`: what INT8 needs, as the import offers it.
    """

    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    opset: int
    operators: Mapping[str, int]
    foreign: tuple[str, ...]
    last: Mapping[str, str]
    metadata: Mapping[str, str]
    cut: Offer | None = None

    @property
    def picture(self) -> "PicturePort | None":
        """The input that takes a picture; None where none does."""
        found = (picture_port(port) for port in self.inputs)
        return next((port for port in found if port is not None), None)


@dataclass(frozen=True)
class PicturePort:
    """An input for pictures. `height`, `width`, `batch`: None where the file leaves them free."""

    name: str
    dtype: str
    layout: Literal["nchw", "nhwc"]
    batch: int | None
    channels: int
    height: int | None
    width: int | None


def picture_port(port: ValueInfo) -> PicturePort | None:
    """The port as one for pictures: four dimensions, of which one is 1, 3 or 4 channels, and a type for them."""
    shape = port.shape or ()
    if len(shape) != 4 or port.dtype not in _PICTURE_DTYPES:
        return None
    layouts: tuple[Literal["nchw", "nhwc"], ...] = ("nchw", "nhwc")
    for layout, channel in zip(layouts, (1, 3), strict=True):
        channels, sides = shape[channel], [side for at, side in enumerate(shape) if at not in (0, channel)]
        if isinstance(channels, int) and channels in CHANNELS and not any(side in CHANNELS for side in sides):
            batch, height, width = (known(side) for side in (shape[0], *sides))
            return PicturePort(port.name, port.dtype, layout, batch, channels, height, width)
    return None


def known(side: int | str) -> int | None:
    """A dimension's size; None for one that is free."""
    return side if isinstance(side, int) and side > 0 else None


def read_facts(path: Path, where: str) -> OnnxFacts:
    """Read a file's facts; its external data stays where it is. Raises SourceError."""
    model = onnx_file.read(path, where)
    signature = onnx_file.io_signature(model)
    if not signature.inputs:
        raise SourceError(f"{where}: has no inputs: it gives the same whatever it is fed", "export the model again")
    versions = {opset.domain: opset.version for opset in model.opset_import}
    behind = {output: node.op_type for node in model.graph.node for output in node.output}
    return OnnxFacts(
        inputs=signature.inputs,
        outputs=signature.outputs,
        opset=versions.get("", versions.get("ai.onnx", 0)),
        operators=Counter(node.op_type for node in model.graph.node),
        foreign=tuple(sorted({node.domain for node in model.graph.node if node.domain not in _OWN_DOMAINS})),
        last={port.name: behind.get(port.name, "") for port in signature.outputs},
        metadata={entry.key: entry.value for entry in model.metadata_props},
        cut=offer(model),
    )
