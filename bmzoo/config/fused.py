"""Preprocessing that is compiled into an artifact: what is fed to it then, by the format that the config names."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

FusedFormat = Literal["bgr_planar", "bgr_packed", "rgb_planar", "rgb_packed", "grayscale"]
FUSED_FORMATS: tuple[str, ...] = get_args(FusedFormat)
# What TPU-MLIR appends to the name of an input that takes pixels.
RAW_SUFFIX = "_raw"


def deploy_words(fused: str) -> tuple[str, ...]:
    """The flags of model_deploy for a format; none where nothing is fused."""
    return ("--fuse_preprocess", "--customization_format", fused.upper()) if fused else ()


def as_fed(section: Mapping[str, Any], fused: str) -> dict[str, Any]:
    """An `input` section that says what the artifact is fed: pixels, where its format has them; else the same."""
    if not fused:
        return dict(section)
    pixel_format, layout = order_of(fused)
    means = {"mean": [0.0] * len(section["mean"]), "scale": [1.0] * len(section["scale"])}
    return {**section, **means, "pixel_format": pixel_format, "layout": layout, "dtype": "uint8"}


def order_of(fused: str) -> tuple[str, str]:
    """Channels of a format, as `pixel_format` has them, and where they are, as `layout` has it."""
    channels, _, place = fused.partition("_")
    return ("gray" if fused == "grayscale" else channels), ("nhwc" if place == "packed" else "nchw")
