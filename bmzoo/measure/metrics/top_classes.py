"""Classes of pictures: how often the right one is the best, and among the best five."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bmzoo.errors import SourceError
from bmzoo.measure.metrics.metric import Judged, MetricRow
from bmzoo.measure.truths.class_words import ClassWord, by_order, class_number

if TYPE_CHECKING:
    from bmzoo.measure.truths.sample import Sample
    from bmzoo.runtime.predictions.classes import Classes

# Of fewer classes, or as many, the best five say nothing.
_FEW = 5


class ClassesJudge:
    """Folders whose names the decoder does not know go by order, where there is one for each class."""

    def __init__(self, samples: Sequence[Sample], blank: Classes) -> None:
        self._names, self._count = blank.names, len(blank.labels)
        answers: list[ClassWord] = [sample.answer for sample in samples]
        words = {answer.word for answer in answers if answer.order is not None}
        self._by_order = by_order(words, self._names, self._count)
        self._right = {answer.word: self._number(answer, len(words)) for answer in answers}
        self._ranks: list[int] = []

    def add(self, sample: Sample, found: Classes) -> None:
        """Note which place the right class has."""
        self._ranks.append(found.labels.tolist().index(self._right[sample.answer.word]))

    def score(self) -> Judged:
        """Shares of all pictures."""
        told = {"top1": 1, "top5": _FEW} if self._count > _FEW else {"top1": 1}
        shares = {key: sum(rank < most for rank in self._ranks) / len(self._ranks) for key, most in told.items()}
        return Judged(shares, {"classes": len(set(self._right.values())), "by_order": self._by_order})

    def _number(self, answer: ClassWord, folders: int) -> int:
        if self._by_order and answer.order is not None:
            return answer.order
        if answer.order is not None and not self._names and not answer.word.isdecimal():
            raise SourceError(
                f"{answer.where}: {folders} folders of classes, and the network has {self._count}",
                "without decoder.classes there must be a folder for each, in their order, or folders with numbers",
            )
        return class_number(answer.word, self._names, self._count, answer.where)


METRIC = MetricRow(ClassesJudge, 0.0)
