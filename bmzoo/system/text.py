"""Text from tools and people, made fit to be shown, and tables of it."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache


@lru_cache(maxsize=1024)  # a thousand artifacts name the same few tools
def printable(text: str) -> str:
    """A text from a tool or a person, fit for a manifest: one line, without control characters, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 1000 else f"{line[:997]}..."


def padded(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> list[list[str]]:
    """The rows of a table, its titles first, every cell as wide as its column.

    All columns are of one length; `left` names those that are words and not numbers.
    """
    filled = []
    for title, cells in columns.items():
        width = max(map(len, (title, *cells)))
        filled.append([c.ljust(width) if title in left else c.rjust(width) for c in (title, *cells)])
    return [list(row) for row in zip(*filled, strict=True)]


def aligned(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> list[str]:
    """The same as lines of text."""
    return ["  ".join(row).rstrip() for row in padded(columns, left)]
