"""What a text recognizer reads in one picture of a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from bmzoo.runtime.predictions.drawing import BOX, banner
from bmzoo.runtime.predictions.numbers import numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry

# In place of characters that the settings do not name.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Text:
    """labels int64 [n], the characters by number; scores float32 [n] in 0..1 of each, and `lead` float32 [n], by
    how much of the score each is before the next best. `characters` by label.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    lead: NDArray[np.float32]
    characters: Tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __str__(self) -> str:
        known = len(self.characters)
        return "".join(self.characters[i] if i < known else UNKNOWN for i in self.labels.tolist())

    @property
    def score(self) -> float:
        """The mean over characters, 0 where there is none."""
        return float(self.scores.mean()) if len(self.scores) else 0.0

    def to_original(self, geometry: Geometry) -> Text:
        """The same: what is written has no place."""
        return self

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`, uint8 [H,W,3] BGR, below what is read; letters that OpenCV lacks show as `?`."""
        return banner(image, [f"{self} {self.score:.2f}"], BOX, above=True)

    def lines(self) -> List[str]:
        """`score text`."""
        return ["1", f"{self.score:.4f} {self}"] if len(self) else ["0"]

    def as_json(self) -> Dict[str, Any]:
        """The text, and a score for each character."""
        return {"text": str(self), "labels": self.labels.tolist(), "scores": numbers(self.scores)}
