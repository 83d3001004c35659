"""What each chip can do, in one table, with the reason for what it cannot.

Sources: Sophgo's chip overviews and the `--chip` and `--quantize` choices of TPU-MLIR 1.30 as tried
with a small model on every pair; a pair is listed only where the compiler's result ran on the simulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Precision as written in a config -> `model_deploy --quantize`. Order is the order of listings.
QUANTIZE: Mapping[str, str] = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "int8": "INT8", "int4": "INT4"}
CALIBRATED = ("int8", "int4")


@dataclass(frozen=True)
class Chip:
    """A chip: its `--chip` name, precisions, core counts and integer quantizer."""

    name: str
    precisions: tuple[str, ...]
    cores: tuple[int, ...]
    # Chips with one quantizer give identical INT8 results: rankings and searches are shared between them.
    quantizer: str
    # Whether each output channel of a layer's weights has a scale of its own, or all of them one.
    scales: Literal["channel", "tensor"]
    # Why a precision or core count that another chip has is missing here.
    missing: Mapping[str, str]

    @property
    def folder(self) -> str:
        """Name of the chip's folder below `build/`, in capitals as published."""
        return self.name.upper()

    def why_not(self, precision: str, cores: int) -> str:
        """The reason why the chip cannot do this, or an empty string when it can."""
        if precision not in self.precisions:
            return self.missing.get(precision, f"{self.name} does not support {precision}")
        if cores not in self.cores:
            counts = " or ".join(str(n) for n in self.cores)
            return f"{self.name} has {counts} TPU core{'s' if self.cores != (1,) else ''}"
        return ""


_NO_HALF = "bm1684 has no half-precision units: its float mode is fp32"

CHIPS: Mapping[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip(
            "bm1684",
            ("fp32", "int8"),
            (1,),
            "bm1684",
            "tensor",
            {"fp16": _NO_HALF, "bf16": _NO_HALF, "int4": "bm1684 has no 4-bit integer units"},
        ),
        Chip(
            "bm1684x",
            ("fp32", "fp16", "bf16", "int8"),
            (1,),
            "bm1684x",
            "channel",
            {"int4": "bm1684x has no 4-bit integer units"},
        ),
        Chip("bm1688", ("fp32", "fp16", "bf16", "int8", "int4"), (1, 2), "bm1684x", "channel", {}),
        Chip("cv186x", ("fp32", "fp16", "bf16", "int8", "int4"), (1,), "bm1684x", "channel", {}),
    )
}
