"""Settings of decoders. Light enough to be known where nothing is decoded."""

from __future__ import annotations

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
        if problem := unlike(self.strides, self.min_sizes):
            raise ConfigError(f"decoder: {problem}")


def unlike(strides: Sequence[int], min_sizes: Sequence[Sequence[int]]) -> str:
    """Why strides do not go with anchors, or an empty string when they do."""
    if len(strides) == len(min_sizes):
        return ""
    return f"strides and min_sizes differ in length: {len(strides)}, {len(min_sizes)}"
