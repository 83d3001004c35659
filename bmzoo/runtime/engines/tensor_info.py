"""What is known of a network's input or output. Without numpy: who only reads about a model does without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class TensorInfo:
    """Name, shape (a free dimension is -1) and numpy dtype name of an input or output."""

    name: str
    shape: Tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"`{self.name}` {self.dtype} {list(self.shape)}"
