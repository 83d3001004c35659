"""What a model's inputs are fed: a picture, samples, or always the same; what its file says, the config need not.

All is checked and settled here, so that what follows knows every size but the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto, TensorProto, ValueInfoProto

from bmzoo.errors import SourceError, nearest
from bmzoo.onnx_import.names import plain
from bmzoo.onnx_import.planes import floats_in, planes_in, widen
from bmzoo.onnx_import.ports import check_picture, dimensions, graph_inputs, layout_of
from bmzoo.onnx_import.walk import element_name
from bmzoo.runtime.normalisation import WHOLE_NUMBERS, why_not_integers
from bmzoo.runtime.picture_words import by_channel

Spec = Mapping[str, Any]
# What no chip takes, and what no array can hold.
_UNFED = ("STRING", "COMPLEX64", "COMPLEX128", "UNDEFINED", "BFLOAT16")


@dataclass(frozen=True)
class Fed:
    """How a model is fed. `picture`: the config's `input` with its size, None where there is no picture.

    `whole`: the integers that pictures are rounded to; empty where the network takes fractions. `others`: the names
    of inputs that are no pictures.
    """

    picture: Spec | None
    name: str = ""
    whole: str = ""
    others: tuple[str, ...] = field(default=())


def settle_inputs(model: ModelProto, request: Spec, shown: str) -> Fed:
    """Bring a model's inputs to the form that all later steps know, in place. Raises SourceError, naming the input.

    request: `input` and `inputs` as the config has them.
    """
    given: Spec = request.get("inputs") or {}
    ports = {port.name: port for port in graph_inputs(model)}
    if not ports:
        raise SourceError(
            f"{shown}: the model has no inputs", "is it a network, or a part that only holds weights?"
        )
    _check_known(given, ports, shown)
    picture = _picture_port(ports, request, shown)
    for name, port in ports.items():
        if name not in given and port is not picture:
            raise SourceError(f"{shown}: input {_told(port)} is fed nothing", _lines(port))
    widen(model)
    before = [dimensions(port) for port in ports.values()]
    for name, how in given.items():
        _settle_tensor(model, ports[name], how, shown)
    others = tuple(name for name, how in given.items() if how.get("value") is None)
    fed = Fed(None, others=others)
    if picture is not None:
        spec, whole = _settle_picture(model, picture, request["input"], shown)
        fed = Fed(spec, picture.name, whole, others)
    if before != [dimensions(port) for port in ports.values()]:  # shapes in between were of the free size
        del model.graph.value_info[:]
    return fed


def described(model: ModelProto, fed: Fed, now: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each input for `model.json`: name, numpy's type, shape with null for the batch, and what a picture needs.

    now: names that the import gave, by those in the file.
    """
    whole = {now.get(fed.name, fed.name): fed.whole}
    return [_described(port, whole, fed, now) for port in graph_inputs(model)]


def is_plain(fed: Fed, section: Spec | None) -> bool:
    """Whether the config's `input` alone says all that there is to know."""
    sized = section is not None and bool(section["height"] and section["width"])
    return sized and not fed.whole and not fed.others


def _described(port: ValueInfoProto, whole: Spec, fed: Fed, now: Mapping[str, str]) -> dict[str, Any]:
    kind = helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type).name
    told = {"name": port.name, "dtype": kind, "shape": [size or None for size in dimensions(port)]}
    if port.name != now.get(fed.name, fed.name):
        return told
    return {**told, "layout": "nchw", **({"whole": fed.whole} if whole[port.name] else {})}


def _check_known(given: Spec, ports: Mapping[str, ValueInfoProto], shown: str) -> None:
    for name in given:
        if name not in ports:
            near = nearest(name, ports)
            hint = f"did you mean `{near}`?" if near else f"the model takes: {', '.join(ports)}"
            raise SourceError(f"{shown}: no such input: {name}", hint)


def _picture_port(ports: Mapping[str, ValueInfoProto], request: Spec, shown: str) -> ValueInfoProto | None:
    """The input that takes pictures: the one that is named, else the only one that `inputs` does not name."""
    section = request["input"]
    if section is None:
        return None
    free = [port for name, port in ports.items() if name not in (request.get("inputs") or {})]
    if section["name"] is not None:
        free = [port for port in ports.values() if section["name"] in (port.name, plain(port.name))]
        if not free:
            raise SourceError(f"{shown}: no such input: {section['name']}", f"the model takes: {', '.join(ports)}")
    if not free:
        raise SourceError(f"{shown}: no input is left that takes pictures", "leave out `input`, or one of `inputs`")
    if len(free) > 1:
        four = [port for port in free if len(dimensions(port)) == 4] or free
        others = [port for port in free if port is not four[0]]
        names = ", ".join(f"`{port.name}`" for port in free)
        raise SourceError(f"{shown}: one input takes pictures, and there are {len(free)}: {names}", _lines(*others))
    return free[0]


def _settle_picture(model: ModelProto, port: ValueInfoProto, section: Spec, shown: str) -> tuple[Spec, str]:
    """The section with the size that the model is for, and the integers that it takes if it does."""
    check_picture(port, section, shown)
    layout = layout_of(port, section)
    element = element_name(port.type.tensor_type.elem_type).lower()
    whole = element if element in WHOLE_NUMBERS else ""
    if said := why_not_integers(section["mean"], section["scale"], element):
        raise SourceError(
            f"{shown}: input `{port.name}`: {said}", "correct mean and scale below `input` in the config"
        )
    sizes = dimensions(port)
    first = 1 if layout == "nhwc" else 2
    sides = [sizes[first + i] or section[key] for i, key in enumerate(("height", "width"))]
    for key, side in zip(("height", "width"), sides, strict=True):
        if side is None:
            raise SourceError(
                f"{shown}: input {_told(port)} takes any {key}, and an artifact is compiled for one",
                f"say it below `input` in the config, for example {key}: 640",
            )
    for axis, side in zip((first, first + 1), sides, strict=True):
        port.type.tensor_type.shape.dim[axis].dim_value = side
    if whole:
        floats_in(model, port)
    if layout == "nhwc":
        planes_in(model, port)
    each = {key: by_channel(section[key], section["pixel_format"]) for key in ("mean", "scale")}
    return {**section, **each, "height": sides[0], "width": sides[1]}, whole


def _settle_tensor(model: ModelProto, port: ValueInfoProto, how: Spec, shown: str) -> None:
    """Fix the shape of an input that is no picture, or make it a part of the network."""
    where = f"{shown}: input {_told(port)}"
    if element_name(port.type.tensor_type.elem_type) in _UNFED:
        raise SourceError(f"{where} takes what no chip does", "leave it out of the export, with what reads it")
    shape = how.get("shape")
    if how.get("value") is not None:
        model.graph.initializer.append(numpy_helper.from_array(_constant(port, how, where), port.name))
        model.graph.input.remove(port)
        return
    _check_shape(port, shape, where)
    dims = port.type.tensor_type.shape.dim
    for axis, size in enumerate(shape or ()):
        if axis or size != 1 or dims[0].dim_value > 0:  # a leading 1 that is free is the batch
            dims[axis].dim_value = size


def _check_shape(port: ValueInfoProto, shape: Sequence[int] | None, where: str) -> None:
    sizes = dimensions(port)
    if not port.type.tensor_type.HasField("shape"):
        raise SourceError(f"{where} has no shape", "export the model again with shapes")
    if not sizes:
        hint = f"fix it in the config: inputs: {{{port.name}: {{value: ...}}}}"
        raise SourceError(f"{where} is a scalar, which no chip takes", hint)
    if shape is not None and not _fits(sizes, shape):
        raise SourceError(f"{where} is not {list(shape)}", f"correct inputs.{port.name}.shape in the config")
    if shape is None and 0 in sizes[1:]:
        example = [size or 1 for size in sizes]
        raise SourceError(
            f"{where} has free dimensions, and an artifact is compiled for one shape",
            f"say it in the config: inputs: {{{port.name}: {{shape: {example}}}}}",
        )


def _constant(port: ValueInfoProto, how: Spec, where: str) -> NDArray[Any]:
    """The value as the network's type, in its shape."""
    kind = helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
    problem = f"correct inputs.{port.name}.value in the config"
    try:
        exact = np.asarray(how["value"], np.float64)
    except ValueError:
        raise SourceError(f"{where}: value has rows of different lengths: {how['value']}", problem) from None
    value = exact.astype(kind)
    if kind.kind != "f" and not np.array_equal(value.astype(np.float64), exact):
        raise SourceError(f"{where}: value is none of its type: {how['value']}", problem)
    sizes = [size or 1 for size in dimensions(port)] if how.get("shape") is None else list(how["shape"])
    if value.ndim == 0:
        return np.full(sizes, value, kind)
    if not _fits(dimensions(port), value.shape):
        raise SourceError(f"{where}: value is {list(value.shape)}", problem)
    return value


def _fits(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    return len(sizes) == len(shape) and all(a in (0, b) for a, b in zip(sizes, shape, strict=True))


def _told(port: ValueInfoProto) -> str:
    kind = element_name(port.type.tensor_type.elem_type).lower()
    return f"`{port.name}` {kind} [{', '.join(str(size or 'any') for size in dimensions(port))}]"


def _lines(*ports: ValueInfoProto) -> str:
    """What to paste for inputs that are no pictures."""
    said = ", ".join(f"{port.name}: {{{_example(port)}}}" for port in ports)
    return f"say what it is fed in the config, such as inputs: {{{said}}}; or samples: file.npz"


def _example(port: ValueInfoProto) -> str:
    if not dimensions(port):
        return "value: 1"
    whole = port.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)
    return "random: {distribution: integers, high: 100}" if whole else "random: {distribution: normal}"
