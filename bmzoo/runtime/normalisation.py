"""Which means and scales leave something of a picture. Light enough to be known where no picture is read."""

from __future__ import annotations

import math

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
