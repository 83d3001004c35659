"""Outputs whose meaning is not known: nothing to draw, nothing to list but that they are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bmzoo.runtime.resizing import Geometry


@dataclass(frozen=True)
class Tensors:
    """The outputs for one picture by name, without the batch."""

    values: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.values)

    def to_original(self, geometry: Geometry) -> Tensors:
        """The same: nobody knows what would have a place."""
        return self

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A copy of `image`."""
        return image.copy()

    def lines(self) -> List[str]:
        """Name, shape and range of each."""
        return [str(len(self)), *(f"{name} {shape} {low:g} {high:g}" for name, shape, low, high in self._facts())]

    def as_json(self) -> Dict[str, Any]:
        """Name, shape and range of each."""
        return {
            "outputs": [
                {"name": name, "shape": shape, "lowest": low, "highest": high}
                for name, shape, low, high in self._facts()
            ]
        }

    def _facts(self) -> Any:  # noqa: ANN401
        return (
            (name, list(value.shape), float(value.min(initial=0)), float(value.max(initial=0)))
            for name, value in self.values.items()
        )
