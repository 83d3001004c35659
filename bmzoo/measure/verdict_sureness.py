"""How sure a verdict is. Apart from verdicts themselves, which are asked for where loading numpy would be felt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bmzoo.config.accuracy import Thresholds
from bmzoo.measure.sureness import NINETEEN_OF_TWENTY, ShareLimit, same_verdict
from bmzoo.measure.verdict import tensor_misses


@dataclass(frozen=True)
class VerdictSureness:
    """In which share of draws of the pictures a verdict is the same, and how many pictures would tell."""

    same: float
    pictures: int
    needed: int | None

    @property
    def sure(self) -> bool:
        return self.same >= NINETEEN_OF_TWENTY

    @property
    def advice(self) -> str:
        """Empty for a sure one."""
        if self.sure:
            return ""
        number = "no number of" if self.needed is None else f"about {self.needed}"
        return f"{number} pictures would tell"

    def __str__(self) -> str:
        parts = [f"the same in {self.same:.0%} of draws of these {self.pictures} pictures", self.advice]
        return f"{'sure' if self.sure else 'not sure'}: {', '.join(filter(None, parts))}"


def how_sure(figures: Mapping[str, Any], limits: Thresholds) -> VerdictSureness | None:
    """Of a verdict by what is found. None for one by tensors, whose worst picture decides: no draw says more."""
    found = figures["detections"]
    if found is None or "missed_per_image" not in found or list(tensor_misses(figures["tensors"], limits)):
        return None
    wanted, allowed = found["expected_per_image"], {"missed": limits.missed, "extra": limits.extra}
    shares = [
        ShareLimit(found[f"{key}_per_image"], wanted, most) for key, most in allowed.items() if most is not None
    ]
    if not shares or not found["expected"]:
        return None
    same, needed = same_verdict(shares)
    return VerdictSureness(same, len(wanted), needed)
