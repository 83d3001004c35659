"""Sides that are free in a file, fixed by the config: an artifact is compiled for one size."""

from collections.abc import Mapping
from typing import Any

from onnx.onnx_ml_pb2 import ModelProto, ValueInfoProto

from bmzoo.onnx_import.ports import picture_shape


def fix_sides(model: ModelProto, spec: Mapping[str, Any]) -> None:
    """Give inputs of pictures the size in the config where the file leaves it free, in place."""
    weights = {tensor.name for tensor in model.graph.initializer}
    changed = [_fix(port, picture_shape(spec)) for port in model.graph.input if port.name not in weights]
    if any(changed):  # shapes in between were of the free size
        del model.graph.value_info[:]


def _fix(port: ValueInfoProto, picture: tuple[int, int, int]) -> bool:
    dims = port.type.tensor_type.shape.dim
    last = (*picture[1:], picture[0])
    for wanted in (picture, last):
        sizes = [max(size.dim_value, 0) for size in dims][1:]
        if len(dims) == 4 and all(size in (0, side) for size, side in zip(sizes, wanted, strict=True)):
            for size, side in zip(list(dims)[1:], wanted, strict=True):
                size.dim_value = side
            return 0 in sizes
    return False
