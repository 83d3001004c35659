"""Markdown that says what it is given: tables that can be read as text too, and text from outside as it is."""

from collections.abc import Collection, Mapping, Sequence

from bmzoo.system.text import padded

NOTHING = "–"


def table(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> str:
    """A table from its columns, all of one length; `left` names those that are words and not numbers.

    A column without content is left out, an empty cell shown as a dash.
    """
    kept = {title: [cell or NOTHING for cell in cells] for title, cells in columns.items() if any(cells)}
    titles, *body = padded(kept, left) or [[]]
    words = (title in left for title in kept)
    rule = ["-" * (len(cell) - 1) + ("-" if word else ":") for cell, word in zip(titles, words, strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (titles, rule, *body))


def code(text: str | None) -> str:
    """Text in code style; nothing for nothing."""
    return f"`{text.replace('`', chr(39)).replace('|', ' ')}`" if text else ""


def plain(text: str) -> str:
    """Text in which nothing is markup, links and HTML included."""
    return "".join(f"\\{c}" if c in "\\`*<>[]|#~" else c for c in text)
