"""Output formats of a comparison: a table for the terminal, JSON, and test cases for JUnit. Pure."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from bmzoo.errors import legible
from bmzoo.release.diff import Change, Comparison
from bmzoo.system.text import aligned

_COLUMNS = ("target", "figure", "old", "new", "change", "allowed", "")
_NUMBERS = ("old", "new", "change", "allowed")
MAX_CELL = 60


def comparison_table(comparison: Comparison) -> str:
    """Counts, notes, then a line for each change; `no differences` where there are none."""
    lines = [_counts(comparison), *comparison.notes]
    if comparison.changes:
        lines += ["", *_rows(comparison.changes)]
    return legible("\n".join(lines)) + "\n"


def comparison_json(comparison: Comparison, old: str, new: str) -> str:
    """The comparison as JSON; `old` and `new` name the manifests."""
    told = {
        "schema_version": 1,
        "old": old,
        "new": new,
        "added": comparison.added,
        "removed": comparison.removed,
        "changed": comparison.changed,
        "changes": [asdict(change) for change in comparison.changes],
        "regressions": len(comparison.regressions),
        "notes": comparison.notes,
    }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def cases(comparison: Comparison) -> dict[str, str | None]:
    """Target -> its regressions as text, None for a target without any."""
    worse: dict[str, list[str]] = {}
    for change in comparison.regressions:
        worse.setdefault(change.target, []).append(sentence(change))
    return {name: "\n".join(worse[name]) if name in worse else None for name in comparison.targets}


def sentence(change: Change) -> str:
    """`AP easy 82.44 -> 81.10 (-1.34 points, allowed: -0.5 points)`"""
    more = ", ".join([*([change.change] if change.change else []), *_allowed(change)])
    values = f"{change.old} -> {change.new}" if change.old else change.new
    return f"{change.figure} {values}" + (f" ({more})" if more else "")


def _allowed(change: Change) -> Iterator[str]:
    if change.allowed:
        yield f"allowed: {change.allowed}"


def _counts(comparison: Comparison) -> str:
    number = len(comparison.targets)
    total = f"{number} target{'s' if number != 1 else ''}"
    if not comparison.changes and not comparison.notes:
        return f"{total}: no differences"
    counts = {
        "changed": len(comparison.changed),
        "added": len(comparison.added),
        "removed": len(comparison.removed),
    }
    said = [f"{count} {word}" for word, count in counts.items() if count] or ["no differences"]
    bad = len(comparison.regressions)
    said.append(f"{bad} regression{'s' if bad != 1 else ''}" if bad else "no regressions")
    return f"{total}: {', '.join(said)}"


def _rows(changes: tuple[Change, ...]) -> Iterator[str]:
    """Aligned rows under a heading; a target is named only in its first row."""
    rows = list(map(_cells, changes))
    columns = {title: [row[i] for row in rows] for i, title in enumerate(_COLUMNS)}
    heading, *lines = aligned(columns, set(_COLUMNS) - set(_NUMBERS))
    yield heading
    last = ""
    for row, line in zip(rows, lines, strict=True):
        yield " " * len(row[0]) + line[len(row[0]) :] if row[0] == last else line
        last = row[0]


def _cells(change: Change) -> tuple[str, ...]:
    said = "regression" if change.regression else ""
    cells = (change.target, change.figure, change.old, change.new, change.change, change.allowed, said)
    return tuple(cell if len(cell) <= MAX_CELL else f"{cell[: MAX_CELL - 3]}..." for cell in cells)
