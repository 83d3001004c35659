"""Inputs and outputs of a model: which takes pictures, and what comes out is tensors of numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx.onnx_ml_pb2 import ModelProto, ValueInfoProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.walk import element_name
from bmzoo.runtime.picture_words import CHANNELS_OF

_FLOATS = ("BFLOAT16", "DOUBLE")
_PICTURES = ("FLOAT", "FLOAT16", "UINT8", "INT8", "UNDEFINED")
_TYPES = "float32, float16, uint8 or int8"
_NO_PICTURE = "if it takes no pictures, say what it is fed: `inputs` in place of `input`"
_NO_NUMBERS = ("UNDEFINED", "STRING", "COMPLEX64", "COMPLEX128")


def picture_shape(spec: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width of a prepared picture, by a config's `input` section; a size left out is 0."""
    return (CHANNELS_OF[spec["pixel_format"]], spec["height"] or 0, spec["width"] or 0)


def graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """What a model is fed: without weights that are also listed as inputs (IR version 3)."""
    weights = {i.name for i in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in weights]


def check_picture(port: ValueInfoProto, spec: Mapping[str, Any], shown: str) -> None:
    """An input that pictures go into must take them as the config says. Raises SourceError."""
    _check_type(port, shown)
    _check_shape(port, spec, shown)


def layout_of(port: ValueInfoProto, spec: Mapping[str, Any]) -> str:
    """`nchw` or `nhwc`, as the config says or as the shape does; empty where pictures do not fit."""
    sides, (channels, *size) = dimensions(port), picture_shape(spec)
    last = _fits(sides, (0, *size, channels))
    if spec.get("layout"):
        return (
            str(spec["layout"])
            if (last if spec["layout"] == "nhwc" else _fits(sides, (0, channels, *size)))
            else ""
        )
    return "nchw" if _fits(sides, (0, channels, *size)) else "nhwc" if last else ""


def check_outputs(model: ModelProto, shown: str) -> None:
    """Raises SourceError for an output that is no tensor of numbers."""
    for output in model.graph.output:
        kind = output.type.WhichOneof("value")
        element = element_name(output.type.tensor_type.elem_type)
        if kind not in (None, "tensor_type") or (kind and element in _NO_NUMBERS[1:]):
            what = f"a tensor of {element.lower()}" if kind == "tensor_type" else f"a {str(kind).partition('_')[0]}"
            raise SourceError(
                f"{shown}: output `{output.name}` is {what}, and only tensors of numbers can be compared",
                "leave that output out of the export, and what makes it",
            )


def _check_type(port: ValueInfoProto, shown: str) -> None:
    if port.type.WhichOneof("value") not in (None, "tensor_type"):
        kind = str(port.type.WhichOneof("value")).partition("_")[0]
        raise SourceError(f"{shown}: input `{port.name}` is a {kind}, and no picture", _NO_PICTURE)
    element = element_name(port.type.tensor_type.elem_type)
    if element not in _PICTURES:
        raise SourceError(
            f"{shown}: input `{port.name}` takes {element.lower()}, and pictures come as {_TYPES}",
            "export the model in float32; the precision is the targets'"
            if element in _FLOATS
            else "if it takes no pictures, say what it is fed: `inputs` in place of `input`",
        )


def _check_shape(port: ValueInfoProto, spec: Mapping[str, Any], shown: str) -> None:
    channels, *size = picture_shape(spec)
    picture = (channels, *size)
    wanted = f"[batch, {', '.join(str(side or 'any') for side in picture)}]"
    where = f"{shown}: input `{port.name}`"
    if not port.type.tensor_type.HasField("shape"):
        raise SourceError(f"{where} has no shape, {wanted} is expected", "export the model again with shapes")
    sides = dimensions(port)
    found = [d or "any" for d in sides]
    if len(sides) != 4:
        raise SourceError(
            f"{where} has {len(sides)} dimensions, pictures have four, {wanted}: {found}", _NO_PICTURE
        )
    if not layout_of(port, spec):
        raise SourceError(f"{where} is not {wanted}: {found}", _correction(sides, spec))


def _correction(sides: Sequence[int], spec: Mapping[str, Any]) -> str:
    """What of the `input` section the shape of a port speaks against."""
    height, width = (spec[key] or 0 for key in ("height", "width"))
    for layout, (channels, *size) in (("nchw", sides[1:]), ("nhwc", (sides[3], *sides[1:3]))):
        formats = [name for name, count in CHANNELS_OF.items() if channels == count]
        if formats and spec.get("layout") in (None, layout):
            if not _fits(size, (height, width)):
                fixed = ", ".join(
                    f"{key}: {side}" for key, side in zip(("height", "width"), size, strict=True) if side
                )
                return f"the file fixes them: {fixed}; leave out height and width below `input`, or say the same"
            return f"{channels} channels are pixel_format: {' or '.join(formats)}"
    return "correct height, width, layout or pixel_format below `input` in the config"


def dimensions(port: ValueInfoProto) -> list[int]:
    """The sizes of a port's dimensions, 0 for one that is free."""
    return [max(d.dim_value, 0) for d in port.type.tensor_type.shape.dim]


def _fits(sides: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(sides) == len(wanted) and all(not d or not w or d == w for d, w in zip(sides, wanted, strict=True))
