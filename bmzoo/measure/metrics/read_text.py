"""Lines of text: how many are read without a mistake, and how near the others come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmzoo.errors import ConfigError
from bmzoo.measure.comparisons.characters import aligned_text
from bmzoo.measure.metrics.metric import Judged, MetricRow

if TYPE_CHECKING:
    from bmzoo.measure.truths.sample import Sample
    from bmzoo.runtime.predictions.prediction import Prediction
    from bmzoo.runtime.predictions.text import Text


class TextJudge:
    """Normalized edit distance as ICDAR 2019 takes it: edits by the length of the longer, mean over lines."""

    def __init__(self, samples: Sequence[Sample], blank: Text) -> None:
        known = set(blank.characters)
        self._foreign = sum(not set(sample.answer) <= known for sample in samples)
        self._distances: list[float] = []

    def add(self, sample: Sample, found: Text) -> None:
        """Note how far a line is from its text."""
        wanted, read = sample.answer, str(found)
        edits = aligned_text([ord(c) for c in wanted], [ord(c) for c in read])[0]
        self._distances.append(edits / max(len(wanted), len(read)))

    def score(self) -> Judged:
        """Shares of all lines; `unknown` are those with characters that the network does not know."""
        count = len(self._distances)
        right = sum(distance == 0 for distance in self._distances) / count
        return Judged(
            {"accuracy": right, "similarity": 1 - sum(self._distances) / count}, {"unknown": self._foreign}
        )


def _accepts(blank: Prediction) -> None:
    if not blank.characters:  # type: ignore[attr-defined]  # only texts come here
        raise ConfigError(
            "evaluate: decoder.characters: missing key: what is read cannot be told without them",
            "name a text file with one character a line, in the order of the network's outputs",
        )


METRIC = MetricRow(TextJudge, 0.0, accepts=_accepts)
