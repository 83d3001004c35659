"""What words about pictures stand for. Light enough to be known where no picture is read."""

from __future__ import annotations

from typing import Sequence, Tuple

# By pixel format: how many channels a network takes.
CHANNELS_OF = {"bgr": 3, "rgb": 3, "gray": 1, "bgra": 4, "rgba": 4}
# Of the shorter side of a resized picture that much is kept by `center_crop`: 224 of 256, as ImageNet is evaluated.
CROPPED_TO = 0.875


def by_channel(values: Sequence[float], pixel_format: str) -> Tuple[float, ...]:
    """Means or scales for each channel; defaults are written for three, and are one value."""
    channels = CHANNELS_OF[pixel_format]
    return (*values, *[values[-1]] * channels)[:channels]
