"""Arguments of model_transform for a model. Pure data.

Preprocessing is not fused into the network: what is said of means and resizing only annotates the MLIR. So what its
words have no equal for is left out.
"""

import json
from collections.abc import Sequence

from bmzoo.config.inputs import Input
from bmzoo.config.model import Model
from bmzoo.plan.fed import is_shaped_by_file
from bmzoo.runtime.picture_words import CROPPED_TO

# Pixel formats that model_transform has no word for.
UNNAMED = ("bgra",)


def transform_arguments(model: Model, batch: int) -> tuple[str, ...]:
    """All of them, at a batch size. Shapes that only the model's file says are in `shaped.onnx` already."""
    shaped = is_shaped_by_file(model)
    return (
        *("--model_name", model.name, "--model_def", "shaped.onnx" if shaped else "model.onnx"),
        *(() if shaped else ("--input_shapes", _compact([[batch, *picture_sizes(model)]]))),
        *_annotations(model),
        *("--mlir", "model.mlir"),
    )


def noise_shape(model: Model) -> tuple[str, ...]:
    """The argument of `equalize` where the config says the shape of the model's one input."""
    return () if is_shaped_by_file(model) else (_compact([1, *picture_sizes(model)]),)


def picture_sizes(model: Model) -> tuple[int, int, int]:
    """Channels, height and width of a picture, for models whose config says them."""
    i = model.config.input
    assert i is not None and i.height is not None and i.width is not None, "is_shaped_by_file otherwise"
    return i.channels, i.height, i.width


def _annotations(model: Model) -> tuple[str, ...]:
    i = model.config.input
    if i is None or i.pixel_format in UNNAMED or model.config.inputs:
        return ("--channel_format", "none")
    return (
        *("--mean", _numbers(i.means), "--scale", _numbers(i.scales)),
        *("--pixel_format", i.pixel_format, "--pad_value", str(i.pad_value)),
        *("--pad_type", "center" if i.resize == "letterbox_center" else "normal"),
        *_resizing(i),
    )


def _resizing(i: Input) -> tuple[str, ...]:
    if i.resize in ("letterbox", "letterbox_center"):
        return ("--keep_aspect_ratio",)
    if i.resize == "center_crop" and i.height and i.width:
        before = f"{round(i.height / CROPPED_TO)},{round(i.width / CROPPED_TO)}"
        return ("--keep_aspect_ratio", "--keep_ratio_mode", "short_side_scale", "--resize_dims", before)
    return ()


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{v:g}" for v in values)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
