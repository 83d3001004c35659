"""Text from tools and people, made fit to be shown."""

from functools import lru_cache


@lru_cache(maxsize=1024)  # a thousand artifacts tell of the same few tools
def printable(text: str) -> str:
    """A text from a tool or a person, fit for a manifest: one line, without control characters, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 1000 else f"{line[:997]}..."
