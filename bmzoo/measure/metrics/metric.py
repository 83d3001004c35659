"""What every metric offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bmzoo.runtime.predictions.prediction import Prediction


@dataclass(frozen=True)
class Judged:
    """Figures 0..1 by name, without those that the ground truth says nothing of, and counts for the document."""

    figures: Mapping[str, float]
    counts: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Takes predictions picture by picture, so that none must be kept that is only counted."""

    def add(self, sample: Any, found: Any) -> None:  # noqa: ANN401
        """One picture of the ground truth, and what the network says of it, in its pixels."""

    def score(self) -> Judged:
        """The figures of all that was added."""


@dataclass(frozen=True)
class MetricRow:
    """A metric, as its module offers it under the name METRIC.

    `judge` takes all pictures of a ground truth, and what the network says of a blank picture, which tells how many
    classes it has and their names; it raises SourceError or ConfigError where the two do not go together.
    `confidence` and `nms` are those of the published figures: averages over ranks need the uncertain ones, too.
    `accepts` raises ConfigError for predictions that the metric says nothing of, before anything is read.
    """

    judge: Callable[[Sequence[Any], Any], Judge]
    confidence: float
    nms: float = 0.5
    accepts: Callable[[Prediction], None] = lambda _: None
