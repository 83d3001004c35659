"""What each chip can do, in one table, with the reason for what it cannot.

Sources: Sophgo's chip overviews, and `tests/data/chip_facts.json`: what `tools/chip_facts.py` found with TPU-MLIR
1.30.2 by compiling a small network for every pair and running it on the simulator. A pair is listed only where the
result ran and agrees with the float network; of chips without a simulator that runs, where it compiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Precision as written in a config -> `model_deploy --quantize`. Order is the order of listings.
QUANTIZE: Mapping[str, str] = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "int8": "INT8", "int4": "INT4"}
CALIBRATED = ("int8", "int4")
_HALVES = ("fp32", "fp16", "bf16", "int8")  # as most chips have them


@dataclass(frozen=True)
class Chip:
    """A chip: its `--chip` name, precisions, core counts and integer quantizer; its files, and what runs them."""

    name: str
    precisions: tuple[str, ...]
    cores: tuple[int, ...]
    # Chips with one quantizer give identical INT8 results: rankings and searches are shared between them.
    quantizer: str
    # Whether each output channel of a layer's weights has a scale of its own, or all of them one.
    scales: Literal["channel", "tensor"]
    # Why a precision or core count that another chip has is missing here.
    missing: Mapping[str, str]
    # Of the file that is compiled for it: what else it is called follows from that.
    suffix: Literal[".bmodel", ".cvimodel"] = ".bmodel"
    # The `pyruntime_*` of TPU-MLIR that drives its simulator; empty where none runs.
    runner: Literal["bm", "tpuv7", "cvi", ""] = "bm"
    # Why nothing runs it, where nothing does.
    unsimulated: str = ""
    # Whether there are constants that turn its profiles into milliseconds: rows of measure/fitted.py.
    timed: bool = False

    @property
    def folder(self) -> str:
        """Name of the chip's folder below `build/`, in capitals as published."""
        return self.name.upper()

    @property
    def float_mode(self) -> str:
        """The precision of single layers of an integer network that stay in float: half where the chip has it."""
        return next(p for p in ("fp16", "fp32", "bf16") if p in self.precisions)

    def why_not(self, precision: str, cores: int) -> str:
        """The reason why the chip cannot do this, or an empty string when it can."""
        if precision not in self.precisions:
            reason = self.missing.get(precision, f"{self.name} does not support {precision}")
            return f"{reason}; it has {', '.join(self.precisions)}"
        if cores not in self.cores:
            counts = _either(self.cores)
            return f"{self.name} has {counts} TPU core{'s' if self.cores != (1,) else ''}"
        return ""


# Of the quantizers that scale weights in one way, the one for which networks are equalized.
EQUALIZED_AS: Mapping[str, str] = {"tensor": "bm1684", "channel": "bm1684x"}


def _either(numbers: tuple[int, ...]) -> str:
    """`1`, `1 or 2`, `1, 4 or 8`."""
    *head, last = map(str, numbers)
    return f"{', '.join(head)} or {last}" if head else last


_NO_HALF = "bm1684 has no half-precision units: its float mode is fp32"
_NO_FLOAT32 = "{} computes floats as bf16 only: its compiler refuses fp32, or its simulator stops at it"
_MADE_BF16 = "{} has no fp16 units: the compiler makes bf16 of it without a word"
_NO_INT4 = "{} has no 4-bit integer units"


def _bf16_only(name: str) -> Mapping[str, str]:
    reasons = {"fp32": _NO_FLOAT32, "fp16": _MADE_BF16, "int4": _NO_INT4}
    return {precision: text.format(name) for precision, text in reasons.items()}


def _cv18xx(name: str) -> Chip:
    """One of the family that takes cvimodels; all of them have one quantizer, under the name of the commonest."""
    return Chip(
        *(name, ("bf16", "int8"), (1,), "cv181x", "channel", _bf16_only(name)),
        suffix=".cvimodel",
        runner="cvi",
    )


CHIPS: Mapping[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip(
            "bm1684",
            ("fp32", "int8"),
            (1,),
            "bm1684",
            "tensor",
            {"fp16": _NO_HALF, "bf16": _NO_HALF, "int4": _NO_INT4.format("bm1684")},
        ),
        Chip(*("bm1684x", _HALVES, (1,), "bm1684x", "channel", {"int4": _NO_INT4.format("bm1684x")}), timed=True),
        Chip("bm1688", (*_HALVES, "int4"), (1, 2), "bm1684x", "channel", {}, timed=True),
        Chip("cv186x", (*_HALVES, "int4"), (1,), "bm1684x", "channel", {}, timed=True),
        *map(_cv18xx, ("cv180x", "cv181x", "cv182x", "cv183x")),
        # Their INT8 is that of bm1684x, their float layers are not: what was chosen for one serves not the other.
        *(
            Chip(name, ("bf16", "int8"), (1,), "cv184x", "channel", _bf16_only(name))
            for name in ("cv184x", "sgtpuv8")
        ),
        Chip("bm1684x2", _HALVES, (1, 2, 4), "bm1684x", "channel", {"int4": _NO_INT4.format("bm1684x2")}),
        Chip(
            *("bm1690", _HALVES, (1, 4, 8), "bm1684x", "channel", {"int4": _NO_INT4.format("bm1690")}),
            runner="tpuv7",
        ),
        Chip(
            *("bm1690e", _HALVES, (1,), "bm1684x", "channel", {"int4": _NO_INT4.format("bm1690e")}),
            runner="tpuv7",
        ),
        Chip(
            *("sg2380", (*_HALVES, "int4"), (1, 2, 4), "sg2380", "channel", {}),
            runner="",
            unsimulated="its simulator in TPU-MLIR 1.30.2 lacks a symbol (tpu_vector_computility)",
        ),
        Chip(
            *("sg2262", _HALVES, (1, 4, 8), "sg2262", "channel", {"int4": _NO_INT4.format("sg2262")}),
            runner="",
            unsimulated="TPU-MLIR 1.30.2 crashes as it loads a network into its simulator",
        ),
    )
}
