"""What all kinds of predictions can do, and a set of them that is known to be of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Protocol, Sequence, Type, TypeVar

from bmzoo.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry


class Prediction(Protocol):
    """What a network says of one picture."""

    def __len__(self) -> int:
        """How many things were found, as PREDICTIONS says what is counted."""

    def to_original(self, geometry: Geometry) -> Prediction:
        """The same in pixels of the picture that `geometry` describes."""

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of the picture, uint8 [H,W,3] BGR, with what was found in it."""

    def lines(self) -> List[str]:
        """For the result file: how many, then a line for each."""

    def as_json(self) -> Dict[str, Any]:
        """Entries of the picture in the JSON file; coordinates are in its pixels."""


Kind = TypeVar("Kind")


def only(kind: Type[Kind], found: Sequence[Prediction], decoder: str) -> List[Kind]:
    """The predictions, which must be of one class. Raises ConfigError where the decoder gives others."""
    some: List[Kind] = [one for one in found if isinstance(one, kind)]
    if len(some) < len(found):
        other = next(type(one).__name__.lower() for one in found if not isinstance(one, kind))
        raise ConfigError(f"decoder: {decoder} gives {other}, not {kind.__name__.lower()}")
    return some
