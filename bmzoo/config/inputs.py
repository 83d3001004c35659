"""What a network is fed: a picture, and tensors by name."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bmzoo.config.fields import Means, PathText, Pixels, Scales, Section, as_tuple
from bmzoo.runtime.picture_words import CHANNELS_OF, by_channel


class Input(Section):
    """What the network is fed: `(pixel - mean) * scale` per channel, channels in `pixel_format` order.

    What the model's file says need not be said here: a fixed height and width, where the channels are, and whether
    it takes floats or integers (to those, values are rounded). `flavour` is whose resize the pictures get, OpenCV's
    or that of the chips' BMCV. There is no `resize: original`: it is for networks that take any size, and an
    artifact is compiled for one.
    """

    name: str | None = None
    """Name of the model's input; another one is an error."""
    height: Pixels | None = None
    """Height of the network's input, in pixels; may be left out where the model's file fixes it."""
    width: Pixels | None = None
    """Width of the network's input, in pixels; may be left out where the model's file fixes it."""
    layout: Literal["nchw", "nhwc"] | None = None
    """Where the model's file has its channels, first or last; needed where its shape does not say. Artifacts take
    channels first.
    """
    pixel_format: Literal["bgr", "rgb", "gray", "bgra", "rgba"] = "bgr"
    """Order of the channels that the network was trained with. A fourth is 255 everywhere, before mean and scale:
    pictures are read without theirs.
    """
    mean: Means = (0.0, 0.0, 0.0)
    """Taken off each channel, in pixel values 0 to 255; as many values as `pixel_format` has channels."""
    scale: Scales = (1.0, 1.0, 1.0)
    """Multiplied with after that; as many values as `pixel_format` has channels."""
    resize: Literal["letterbox", "letterbox_center", "stretch", "center_crop", "fixed_height"] = "letterbox"
    """How a picture comes to the input's size: `letterbox` keeps its shape and puts it top left, `letterbox_center`
    in the middle, `stretch` fills the input. `center_crop` covers the input enlarged by 1 / 0.875 and cuts out the
    middle: 224 of 256. `fixed_height`, for lines of text, makes it as high as the input and pads it right.
    """
    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    """Pixel value of what the picture leaves free."""
    flavour: Literal["opencv", "bmcv"] = "opencv"
    """Whose resize the pictures get: OpenCV's or that of the chips' BMCV."""

    @property
    def channels(self) -> int:
        return CHANNELS_OF[self.pixel_format]

    @property
    def means(self) -> tuple[float, ...]:
        """`mean` by channel, also where it was left out."""
        return by_channel(self.mean, self.pixel_format)

    @property
    def scales(self) -> tuple[float, ...]:
        """`scale` by channel, also where it was left out."""
        return by_channel(self.scale, self.pixel_format)

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


# By distribution: the keys that shape it.
SHAPED_BY = {"normal": ("mean", "std"), "uniform": ("low", "high"), "integers": ("low", "high"), "zeros": ()}
Number = Annotated[float, Field(ge=-1e9, le=1e9)]


class Distribution(Section):
    """Values drawn where there are none to be had. All that is measured on them is said to be."""

    distribution: Literal["normal", "uniform", "integers", "zeros"]
    """`normal` around `mean`, `uniform` and `integers` from `low` to below `high`, or all 0."""
    low: Number | None = None
    """The lowest value of `uniform` and `integers`; 0 when left out."""
    high: Number | None = None
    """What values of `uniform` and `integers` stay below; 1 for `uniform` when left out."""
    mean: Number | None = None
    """Of `normal`; 0 when left out."""
    std: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Standard deviation of `normal`; 1 when left out."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Other seeds draw other values."""

    @model_validator(mode="after")
    def _shaped(self) -> "Distribution":
        for key in ("low", "high", "mean", "std"):
            if getattr(self, key) is not None and key not in SHAPED_BY[self.distribution]:
                raise ValueError(f"{key} means nothing to {self.distribution}: {getattr(self, key):g}")
        if self.distribution == "integers" and self.high is None:
            raise ValueError("integers needs high: what values stay below, such as the size of a vocabulary")
        low, high = self.low or 0.0, 1.0 if self.high is None else self.high
        if self.distribution in ("uniform", "integers") and not low < high:
            raise ValueError(f"low must be below high: {low:g} and {high:g}")
        return self

    def __str__(self) -> str:
        given = [
            f"{key} {value:g}" for key in SHAPED_BY[self.distribution] if (value := getattr(self, key)) is not None
        ]
        return " ".join([self.distribution, *given])


_LIST = {"type": "array", "items": {"type": "number"}}
Value = Annotated[
    Any,
    Field(
        json_schema_extra={
            "anyOf": [{"type": "number"}, _LIST, {"type": "array", "items": _LIST}, {"type": "null"}]
        }
    ),
]


class TensorInput(Section):
    """An input that is no picture: audio, token ids, a state. Its values come from one of three places."""

    samples: PathText | None = None
    """A file with one sample, or a folder of them, taken in name order: `.npy`, or `.npz` with an array of the
    input's name. Looked up as every file of a config.
    """
    random: Distribution | None = None
    """Values drawn, where there are no samples."""
    value: Value = None
    """The same value always, a number or lists of them: it becomes part of the network, which folds what follows
    from it, and the artifact has no such input.
    """
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=2**24)], ...], BeforeValidator(as_tuple)] | None = None
    """The input's shape for a batch of 1, needed where the model's file leaves a dimension free."""

    @model_validator(mode="after")
    def _one_place(self) -> "TensorInput":
        given = [key for key in ("samples", "random", "value") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"one of samples, random and value is needed: {', '.join(given) or 'none'} given")
        if self.value is not None and not all(_is_number(one) for one in _flat(self.value)):
            raise ValueError(f"value must be a number, or lists of numbers: {self.value!r}")
        return self


def _flat(value: Any) -> list[Any]:
    return [one for each in value for one in _flat(each)] if isinstance(value, list) else [value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
