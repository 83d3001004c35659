"""Functions that are imported when they are called, so that planning does not wait for what only runs need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

# Remembered, as Python takes locks to find a module again, and every task asks.
_module = lru_cache(maxsize=None)(import_module)


@dataclass(frozen=True)
class Later:
    """The function at `module:name` below bmzoo, called as if it were here."""

    place: str

    @property
    def function(self) -> Callable[..., Any]:
        module, _, name = self.place.partition(":")
        found: Callable[..., Any] = getattr(_module(f"bmzoo.{module}"), name)
        return found

    def __call__(self, *args: Any, **values: Any) -> Any:  # noqa: ANN401
        return self.function(*args, **values)


def later(place: str, *first: object) -> Callable[..., Any]:
    """The function at a place, with its first arguments."""
    return partial(Later(place), *first)
