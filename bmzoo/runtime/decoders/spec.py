"""Settings of decoders. Light enough to be known where nothing is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence, Tuple

from bmzoo.errors import ConfigError
from bmzoo.runtime.decoders.registry import DECODERS

POINT_UNITS = ("normalized", "pixels")


@dataclass(frozen=True)
class DecoderSpec:
    """Which decoder, and what it must know of the network's training; a row of DECODERS says what each reads.

    `variance` scales centre and size of offsets from anchors. Decoders without priors use the strides, and of
    `min_sizes` only how many anchors a cell has. `anchors`: width and height of each in pixels, by level.
    `classes`: names by number, `characters`: those by number, blank first; empty where they are not known.
    `plugin`: the file of a decoder that is not one of bmzoo's. `points`: the unit of landmarks.
    `binarize` and `unclip`: the lowest probability of a text's pixel, and how far its outline is moved out.
    """

    kind: str
    strides: Tuple[int, ...] = (8, 16, 32)
    min_sizes: Tuple[Tuple[int, ...], ...] = ((16, 32), (64, 128), (256, 512))
    variance: Tuple[float, float] = (0.1, 0.2)
    anchors: Tuple[Tuple[float, ...], ...] = (
        (10.0, 13.0, 16.0, 30.0, 33.0, 23.0),
        (30.0, 61.0, 62.0, 45.0, 59.0, 119.0),
        (116.0, 90.0, 156.0, 198.0, 373.0, 326.0),
    )
    classes: Tuple[str, ...] = ()
    characters: Tuple[str, ...] = ()
    plugin: str = ""
    points: str = "normalized"
    binarize: float = 0.3
    unclip: float = 1.6

    def __post_init__(self) -> None:
        for key, sizes in (("strides", self.strides), *(("min_sizes", sizes) for sizes in self.min_sizes)):
            if not sizes or min(sizes) < 1:
                raise ConfigError(f"decoder: {key}: must be pixels, each 1 or more: {list(sizes)}")
        if not all(0 < value < math.inf for value in self.variance):  # NaN fails too
            raise ConfigError(f"decoder: variance: must be above 0: {list(self.variance)}")
        if problem := unlike(self.kind, self.strides, self.min_sizes, self.anchors):
            raise ConfigError(f"decoder: {problem}")
        for row in self.anchors:
            if problem := not_pairs(row):
                raise ConfigError(f"decoder: anchors: {problem}")
        if self.points not in POINT_UNITS:
            raise ConfigError(f"decoder: points: unknown: {self.points}", f"allowed: {', '.join(POINT_UNITS)}")
        if not 0 < self.binarize < 1:
            raise ConfigError(f"decoder: binarize: must be between 0 and 1: {self.binarize}")
        if not 0 < self.unclip <= 10:
            raise ConfigError(f"decoder: unclip: must be above 0, at most 10: {self.unclip}")


def unlike(
    kind: str, strides: Sequence[int], min_sizes: Sequence[Sequence[int]], anchors: Sequence[Sequence[float]]
) -> str:
    """Why a decoder's strides do not go with its anchors, or an empty string when they do."""
    reads = DECODERS[kind].reads if kind in DECODERS else ()
    for key, levels in (("min_sizes", min_sizes), ("anchors", anchors)):
        if key in reads and len(strides) != len(levels):
            return f"strides and {key} differ in length: {len(strides)}, {len(levels)}"
    return ""


def not_pairs(anchors: Sequence[float]) -> str:
    """Why a level's anchors are not widths and heights in turn, or an empty string when they are."""
    if anchors and len(anchors) % 2 == 0 and all(0 < value < math.inf for value in anchors):
        return ""
    return f"must be a width and a height for each, in pixels: {list(anchors)}"
