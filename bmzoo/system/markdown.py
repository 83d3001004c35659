"""Markdown that says what it is given: tables that can be read as text too, and text from outside as it is."""

from collections.abc import Collection, Mapping, Sequence

NOTHING = "–"


def table(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> str:
    """A table from its columns, all of one length; `left` names those that are words and not numbers.

    A column without content is left out, an empty cell shown as a dash.
    """
    kept = {title: [cell or NOTHING for cell in cells] for title, cells in columns.items() if any(cells)}
    widths = {title: max(len(title), *map(len, cells)) for title, cells in kept.items()}
    rule = {title: "-" * width if title in left else "-" * (width - 1) + ":" for title, width in widths.items()}

    def line(row: Mapping[str, str]) -> str:
        parts = (c.ljust(widths[t]) if t in left else c.rjust(widths[t]) for t, c in row.items())
        return f"| {' | '.join(parts)} |"

    count = max(map(len, kept.values()), default=0)
    body = (line({title: cells[index] for title, cells in kept.items()}) for index in range(count))
    return "\n".join([line({title: title for title in kept}), line(rule), *body, ""])


def code(text: str | None) -> str:
    """Text in code style; nothing for nothing."""
    return f"`{text.replace('`', chr(39)).replace('|', ' ')}`" if text else ""


def plain(text: str) -> str:
    """Text in which nothing is markup, links and HTML included."""
    return "".join(f"\\{c}" if c in "\\`*<>[]|#~" else c for c in text)
