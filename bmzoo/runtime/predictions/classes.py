"""What a classifier says of one picture: a score for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from bmzoo.runtime.predictions.drawing import BOX, banner
from bmzoo.runtime.predictions.numbers import named, numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry

# How many classes are listed and drawn.
BEST = 5


@dataclass(frozen=True)
class Classes:
    """Scores of all classes, best first: labels int64 [C], scores float32 [C] in 0..1; `names` by label."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    names: Tuple[str, ...] = ()

    def __len__(self) -> int:
        return 1

    def to_original(self, geometry: Geometry) -> Classes:
        """The same: a class has no place."""
        return self

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, with the best three classes at the top."""
        return banner(image, [f"{name} {score:.2f}" for name, score in self._best(3)], BOX)

    def lines(self) -> List[str]:
        """`score class`, the best five."""
        best = self._best(BEST)
        return [str(len(best)), *(f"{score!s} {name}" for name, score in best)]

    def as_json(self) -> Dict[str, Any]:
        """The best five classes."""
        told: Dict[str, Any] = {"labels": self.labels[:BEST].tolist(), "scores": numbers(self.scores[:BEST])}
        if self.names:
            told["names"] = [name for name, _ in self._best(BEST)]
        return told

    def _best(self, count: int) -> List[Tuple[str, np.float32]]:
        labels = self.labels[:count].tolist()
        return [(named(label, self.names), self.scores[i]) for i, label in enumerate(labels)]
