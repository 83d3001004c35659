"""Markdown: aligned tables, and escaping of text from outside."""

from collections.abc import Collection, Mapping, Sequence

from bmzoo.errors import legible
from bmzoo.system.text import padded

NOTHING = "–"


def table(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> str:
    """A table from its columns, all of one length; `left` names the columns to align left.

    An empty column is left out, an empty cell shown as a dash.
    """
    kept = {title: [cell or NOTHING for cell in cells] for title, cells in columns.items() if any(cells)}
    titles, *body = padded(kept, left) or [[]]
    words = (title in left for title in kept)
    rule = ["-" * (len(cell) - 1) + ("-" if word else ":") for cell, word in zip(titles, words, strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (titles, rule, *body))


def code(text: str | None) -> str:
    """Text as inline code; empty for no text."""
    return f"`{_one_line(text).replace('`', chr(39)).replace('|', ' ')}`" if text else ""


def plain(text: str) -> str:
    """Text with all markup escaped, links and HTML included."""
    return "".join(f"\\{c}" if c in "\\`*<>[]|#~" else c for c in _one_line(text))


def _one_line(text: str) -> str:
    """A line break would end a cell or an item."""
    return " ".join(legible(text).splitlines())
