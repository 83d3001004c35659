"""Published latencies of a chip's INT8 artifacts, paired with those of its fastest float precision. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config.model import Model
from bmzoo.target import Target
from bmzoo.tuning.choice import PublishedPair


def float_precision(chip: str) -> str:
    """The baseline for INT8: half precision where the chip has it."""
    return CHIPS[chip].float_mode


def pairs(model: Model, chip: str, milliseconds: Mapping[str, float]) -> tuple[PublishedPair, ...]:
    """A pair for each of the model's INT8 targets on the chip that has a published latency.

    `milliseconds`: latency per picture, by the artifact's path below `build/`.
    """
    found = []
    for target in model.targets:
        if target.chip == chip and target.precision == "int8" and target.artifact in milliseconds:
            cores = f"_{target.cores}core" if target.cores > 1 else ""
            floats, precision = _fastest(target, milliseconds)
            found.append(PublishedPair(f"{target.batch}b{cores}", milliseconds[target.artifact], precision, floats))
    return tuple(found)


def _fastest(target: Target, milliseconds: Mapping[str, float]) -> tuple[float | None, str | None]:
    others = [replace(target, precision=p) for p in CHIPS[target.chip].precisions if p not in CALIBRATED]
    known = [(milliseconds[other.artifact], other.precision) for other in others if other.artifact in milliseconds]
    return min(known) if known else (None, None)
