"""Settings of decoders. Light enough to be known where nothing is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence, Tuple

from bmzoo.errors import ConfigError


@dataclass(frozen=True)
class DecoderSpec:
    """Which decoder, and the anchors that the network was trained with; `variance` scales centre and size.

    Decoders without priors use the strides, and of `min_sizes` only how many anchors a cell has.
    """

    kind: str
    strides: Tuple[int, ...] = (8, 16, 32)
    min_sizes: Tuple[Tuple[int, ...], ...] = ((16, 32), (64, 128), (256, 512))
    variance: Tuple[float, float] = (0.1, 0.2)

    def __post_init__(self) -> None:
        for key, sizes in (("strides", self.strides), *(("min_sizes", sizes) for sizes in self.min_sizes)):
            if not sizes or min(sizes) < 1:
                raise ConfigError(f"decoder: {key}: must be pixels, each 1 or more: {list(sizes)}")
        if not all(0 < value < math.inf for value in self.variance):  # NaN fails too
            raise ConfigError(f"decoder: variance: must be above 0: {list(self.variance)}")
        if problem := unlike(self.strides, self.min_sizes):
            raise ConfigError(f"decoder: {problem}")


def unlike(strides: Sequence[int], min_sizes: Sequence[Sequence[int]]) -> str:
    """Why strides do not go with anchors, or an empty string when they do."""
    if len(strides) == len(min_sizes):
        return ""
    return f"strides and min_sizes differ in length: {len(strides)}, {len(min_sizes)}"
