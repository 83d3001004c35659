"""Arrays and classes as JSON and people have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def numbers(array: NDArray[np.float32]) -> List[Any]:
    """Nested lists; each number with the few digits that make out a float32."""
    if array.ndim == 1:
        return [float(str(value)) for value in array]
    return [numbers(row) for row in array]


def named(label: int, names: Sequence[str]) -> str:
    """A class for people: its name, or its number where the names do not say it."""
    return names[label] if 0 <= label < len(names) else str(label)
