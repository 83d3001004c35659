"""What an artifact asks of the board that runs it. A bmodel names its chip and cores, and no version of anything.

So versions are the least that Sophgo's own samples ask for: sophon-demo's README (0.1.6, for bmodels of TPU-MLIR on
BM1684 and BM1684X), and those of its samples for BM1688 (libsophon 0.4.9, sophon-sail 3.7.0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sdk:
    """Least versions: of libsophon with its driver, and of sophon.sail."""

    driver: str
    sail: str


_CARDS, _BOARDS = Sdk("0.4.6", "3.4.0"), Sdk("0.4.9", "3.7.0")
LEAST: Mapping[str, Sdk] = {"bm1684": _CARDS, "bm1684x": _CARDS, "bm1688": _BOARDS, "cv186x": _BOARDS}
# As `sail.Handle.get_target` names chips, where that is not bmzoo's name in capitals.
SAIL_TARGETS = {"cv186x": "CV186AH"}


def asked(told: Mapping[str, Any]) -> dict[str, Any]:
    """What check.py compares a board with, from an artifact's provenance; null for versions that are not known."""
    chip, facts = told["target"]["chip"], told["facts"]
    least = LEAST.get(chip)
    return {
        "chip": SAIL_TARGETS.get(chip, chip.upper()),
        "cores": facts["cores"],
        "memory_bytes": facts["memory_bytes"]["total"],
        "driver": least.driver if least else None,
        "sail": least.sail if least else None,
    }
