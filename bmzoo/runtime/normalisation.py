"""Which means and scales leave something of a picture. Light enough to be known where no picture is read."""

from __future__ import annotations

import math
from typing import Sequence

# Integers that networks take pictures in: the lowest and the highest. All other networks take fractions.
WHOLE_NUMBERS = {"uint8": (0, 255), "int8": (-128, 127)}
# Fewer steps than this between black and white, and the network sees no picture.
FEWEST_STEPS = 16
# Pixels are 0 to 255: what goes further has lost its decimal point.
MAX_MEAN = 255.0
MIN_SCALE, MAX_SCALE = 1e-6, 1e3


def why_not_mean(value: float) -> str:
    """What is wrong with the mean of a channel, or an empty string."""
    if math.isfinite(value) and abs(value) <= MAX_MEAN:
        return ""
    return f"must be a pixel value, -{MAX_MEAN:g} to {MAX_MEAN:g}: {value:g}"


def why_not_scale(value: float) -> str:
    """What is wrong with the scale of a channel, or an empty string."""
    if math.isfinite(value) and MIN_SCALE <= abs(value) <= MAX_SCALE:
        return ""
    if abs(value) < MIN_SCALE:
        return f"all pictures would be the same to the network: {value:g}"
    return f"must be {MIN_SCALE:g} to {MAX_SCALE:g}, or the same below 0: {value:g}"


def why_not_integers(mean: Sequence[float], scale: Sequence[float], dtype: str) -> str:
    """What is wrong with means and scales for a network that takes integers, or an empty string."""
    if dtype not in WHOLE_NUMBERS:
        return ""
    low, high = WHOLE_NUMBERS[dtype]
    for i, (offset, factor) in enumerate(zip(mean, scale)):  # noqa: B905
        ends = sorted(((0 - offset) * factor, (255 - offset) * factor))
        if round(ends[0]) < low or round(ends[1]) > high:
            got = f"pixels become {ends[0]:g} to {ends[1]:g} in channel {i}"
            return f"the network takes {dtype}, {low} to {high}, and with mean and scale {got}"
        if ends[1] - ends[0] < FEWEST_STEPS:
            return f"the network takes {dtype}, and scale leaves {ends[1] - ends[0]:g} steps of it: {factor:g}"
    return ""
