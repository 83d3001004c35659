"""What every comparison of predictions offers, and its figures as JSON has them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bmzoo.measure.nouns import FACES
from bmzoo.measure.sureness import Evidence, figure_of
from bmzoo.runtime.predictions.prediction import Prediction


@dataclass(frozen=True)
class MatchRule:
    """What counts as found: the lowest score, how near to it (or to the next best) is doubtful, the lowest IoU."""

    confidence: float
    margin: float
    iou: float


@dataclass(frozen=True)
class Tally:
    """One picture: how many things of the reference are certain, how many of these are missed in the test, how many
    certain ones the test has on top, and the mean closeness 0..1 of what both have.
    """

    expected: int
    missed: int
    extra: int
    closeness: float


@dataclass(frozen=True)
class PredictionComparison:
    """How one kind of prediction is compared, as its module offers it under the name COMPARISON.

    `compare` takes the reference's and the test's predictions, picture by picture, and a rule.
    `evidence` takes the same, decoded down to a low confidence, and the lowest score of a sure one: what their
    agreement, 0..1, is made of; `kept` what is kept of the reference's own AP, where there is such a thing. `what`
    says what is counted, in the plural, for a prediction.
    """

    what: Callable[[Any], str]
    compare: Callable[[Sequence[Any], Sequence[Any], MatchRule], list[Tally]]
    evidence: Callable[[Sequence[Any], Sequence[Any], float], Evidence]
    closeness: str = "closeness"
    kept: Callable[[Sequence[Any], Sequence[Any]], Evidence] | None = None

    def agreement(self, wanted: Sequence[Prediction], found: Sequence[Prediction], sure: float) -> float | None:
        """0..1; None where the reference has nothing sure."""
        share = figure_of(self.evidence(wanted, found, sure), len(wanted))
        return share if math.isfinite(share) else None

    def figures(self, wanted: Sequence[Prediction], found: Sequence[Prediction], rule: MatchRule) -> dict[str, Any]:
        """The whole set in numbers, as `measure` and `compare` write them; faces are not named, as ever."""
        tallies = self.compare(wanted, found, rule)
        what = self.what(wanted[0])
        return {
            "expected": sum(tally.expected for tally in tallies),
            "expected_per_image": [tally.expected for tally in tallies],
            "missed": sum(tally.missed for tally in tallies),
            "missed_per_image": [tally.missed for tally in tallies],
            "extra": sum(tally.extra for tally in tallies),
            "extra_per_image": [tally.extra for tally in tallies],
            self.closeness: round(float(np.mean([tally.closeness for tally in tallies])), 6),
            **({} if what == FACES else {"what": what}),
        }
