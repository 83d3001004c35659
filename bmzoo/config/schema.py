"""A model's config: every key that its YAML file in `configs/` may hold, its type, range and default.

What the network is fed is here, the other sections are in modules of their own beside it.
`configs/schema.json` is this as JSON Schema, for editors.
"""

import json
import sys
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bmzoo.config.accuracy import Evaluate, Verify
from bmzoo.config.decoding import Decoder
from bmzoo.config.descriptions import described_schema
from bmzoo.config.fields import Means, Pixels, Scales, Section, as_tuple
from bmzoo.config.quantization import Calibration, Quantization
from bmzoo.config.targets import Exclusion, Selection
from bmzoo.config.weights import Weights


class Input(Section):
    """What the network is fed: `(pixel - mean) * scale` per channel, channels in `pixel_format` order.

    `flavour` is whose resize the pictures get, OpenCV's or that of the chips' BMCV. There is no `resize: original`:
    it is for networks that take any size, and an artifact is compiled for one.
    """

    name: str | None = None
    """Name of the model's input; another one is an error."""
    height: Pixels
    """Height of the network's input, in pixels."""
    width: Pixels
    """Width of the network's input, in pixels."""
    pixel_format: Literal["bgr", "rgb", "gray"] = "bgr"
    """Order of the channels that the network was trained with."""
    mean: Means = (0.0, 0.0, 0.0)
    """Taken off each channel, in pixel values 0 to 255; as many values as `pixel_format` has channels."""
    scale: Scales = (1.0, 1.0, 1.0)
    """Multiplied with after that; as many values as `pixel_format` has channels."""
    resize: Literal["letterbox", "letterbox_center", "stretch"] = "letterbox"
    """How a picture comes to the input's size: `letterbox` keeps its shape and puts it top left, `letterbox_center`
    in the middle, `stretch` fills the input.
    """
    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    """Pixel value of what `letterbox` leaves free."""
    flavour: Literal["opencv", "bmcv"] = "opencv"
    """Whose resize the pictures get: OpenCV's or that of the chips' BMCV."""

    @property
    def channels(self) -> int:
        return 1 if self.pixel_format == "gray" else 3

    @model_validator(mode="after")
    def _channels(self) -> "Input":
        for key in ("mean", "scale"):
            value = getattr(self, key)
            if key not in self.model_fields_set:
                continue
            if len(value) != self.channels:
                have = f"{self.pixel_format} has {self.channels} channels"
                raise ValueError(f"{key} has {len(value)} values, {have}: {list(value)}")
        return self


TensorName = Annotated[str, Field(min_length=1, max_length=500)]


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves. Raises ValueError for one that is there twice."""
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"names a tensor twice: {twice[0]}")
    return names


class ModelConfig(Section):
    """One model and the targets wanted of it; the model's name is the file's."""

    weights: Annotated[tuple[Weights, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """Where the model can come from; the first that is available is used."""
    input: Input
    """What the network is fed."""
    outputs: Annotated[tuple[TensorName, ...], BeforeValidator(as_tuple), AfterValidator(each_once)] = ()
    """Tensors at which the network is cut, by their names in the given file: they are its outputs then. The file's
    own when left out.
    """
    contract: Literal["onnx_1_6", "toolchain"] = "onnx_1_6"
    """What an ONNX file is held to: `onnx_1_6` (IR version 6, opset 11, converted down where needed), or what the
    installed TPU-MLIR reads, `toolchain`, for operators that came later.
    """
    decoder: Decoder
    """What its outputs mean."""
    calibration: Calibration | None = None
    """Needed where a target is `int8` or `int4`."""
    quantization: Quantization = Field(default_factory=Quantization)
    """Which layers of INT8 networks stay in float."""
    verify: Verify
    """When an artifact is near enough to the ONNX model."""
    evaluate: Evaluate | None = None
    """Ground truth, for average precision."""
    targets: Annotated[tuple[Selection, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """What is wanted; a target asked for twice is made once."""
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(as_tuple)] = ()
    """Targets to leave out of the above."""


def json_schema() -> str:
    """`ModelConfig` as JSON Schema, for editors that check YAML while it is written."""
    return json.dumps(described_schema(ModelConfig), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m bmzoo.config.schema > configs/schema.json
    sys.stdout.write(json_schema())
