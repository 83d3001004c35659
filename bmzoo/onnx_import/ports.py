"""Inputs and outputs of a model: one picture goes in, and what comes out is tensors of numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx.onnx_ml_pb2 import ModelProto, ValueInfoProto

from bmzoo.errors import SourceError
from bmzoo.onnx_import.names import plain
from bmzoo.onnx_import.walk import element_name

_FLOATS = ("FLOAT16", "BFLOAT16", "DOUBLE")
_NO_NUMBERS = ("UNDEFINED", "STRING", "COMPLEX64", "COMPLEX128")


def picture_shape(spec: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width of a prepared picture, by a config's `input` section."""
    return (1 if spec["pixel_format"] == "gray" else 3, spec["height"], spec["width"])


def picture_input(model: ModelProto, spec: Mapping[str, Any], shown: str) -> ValueInfoProto:
    """The model's only input, which must take pictures as the config says. Raises SourceError."""
    weights = {i.name for i in model.graph.initializer}
    inputs: list[ValueInfoProto] = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(f"`{i.name}`" for i in inputs) or "none"
        hint = "models with several inputs cannot be fed pictures yet" if inputs else "is it a model of pictures?"
        raise SourceError(f"{shown}: exactly one input is expected: {names}", hint)
    if spec["name"] not in (None, inputs[0].name, plain(inputs[0].name)):
        raise SourceError(f"{shown}: no such input: {spec['name']}", f"the model's input is {inputs[0].name}")
    _check_type(inputs[0], shown)
    _check_shape(inputs[0], picture_shape(spec), shown)
    return inputs[0]


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
        raise SourceError(f"{shown}: input `{port.name}` is a {kind}, and no picture", "is it a model of pictures?")
    element = element_name(port.type.tensor_type.elem_type)
    if element not in ("FLOAT", "UNDEFINED"):
        raise SourceError(
            f"{shown}: input `{port.name}` takes {element.lower()}, and pictures come as float (float32)",
            "export the model in float32; the precision is the targets'"
            if element in _FLOATS
            else "leave the conversion of pixels out of the export: mean and scale stand below `input`",
        )


def _check_shape(port: ValueInfoProto, picture: Sequence[int], shown: str) -> None:
    wanted = f"[batch, {', '.join(map(str, picture))}]"
    where = f"{shown}: input `{port.name}`"
    if not port.type.tensor_type.HasField("shape"):
        raise SourceError(f"{where} has no shape, {wanted} is expected", "export the model again with shapes")
    sides = dimensions(port)
    found = [d or "any" for d in sides]
    if len(sides) != 4:
        raise SourceError(
            f"{where} has {len(sides)} dimensions, pictures have four, {wanted}: {found}",
            "is it a model of pictures?",
        )
    if _fits(sides, (0, *picture)):
        return
    if _fits(sides, (0, *picture[1:], picture[0])):
        raise SourceError(
            f"{where} has its channels last, {wanted} is expected: {found}",
            f"export the model with channels first (tf2onnx: --inputs-as-nchw {port.name})",
        )
    raise SourceError(
        f"{where} is not {wanted}: {found}", "correct height, width or pixel_format below `input` in the config"
    )


def dimensions(port: ValueInfoProto) -> list[int]:
    """The sizes of a port's dimensions, 0 for one that is free."""
    return [max(d.dim_value, 0) for d in port.type.tensor_type.shape.dim]


def _fits(sides: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(not d or not w or d == w for d, w in zip(sides, wanted, strict=True))
