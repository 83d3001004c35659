"""Calibration tables and mixed-precision tables (qtables) as text, as TPU-MLIR reads and writes them.

A calibration table has a line `op_name threshold min max` for each tensor; `#` starts a comment, and a
`#name` without a space starts a section of its own (`#int4_th`). A qtable has `op_name mode` lines.
Names are those of tensors in the top-level MLIR.
"""

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from bmzoo.errors import SourceError, nearest

MODES = ("F32", "F16", "BF16", "INT8", "INT4")
_LOCATION = re.compile(r'loc\("((?:[^"\\]|\\.)*)"')


def tensors_of(mlir: str) -> frozenset[str]:
    """Names of all tensors in a top-level MLIR text."""
    return frozenset(unescaped(name) for name in _LOCATION.findall(mlir))


def name_in_front(name: str, known: Collection[str]) -> str:
    """The longest known name that this one begins with, before a `_`; empty where there is none."""
    ends = (place for place in range(len(name) - 1, 0, -1) if name[place] == "_")
    return next((name[:end] for end in ends if name[:end] in known), "")


def unescaped(name: str) -> str:
    """Undo MLIR's escapes: quotes, backslashes and non-ASCII bytes are a backslash and two hexadecimal digits."""
    raw = re.sub(rb"\\([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), name.encode())
    return raw.decode("utf-8", "replace").replace("\\\\", "\\")


def calibrated(table: str) -> tuple[str, ...]:
    """Tensor names of a calibration table's first section, in order. Raises ValueError naming the line."""
    names = []
    for number, line in enumerate(table.splitlines(), 1):
        if line.startswith("#") and not line.startswith(("# ", "###")) and len(line) > 1:
            break
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        try:
            name, *numbers = fields
            ok = len(numbers) in (1, 3) and all(math.isfinite(float(n)) for n in numbers)
        except ValueError:
            ok = False
        if not ok:
            raise ValueError(f"line {number} is not `name threshold min max`: {line}")
        names.append(name)
    return tuple(names)


def float_layers(qtable: str) -> tuple[tuple[str, str], ...]:
    """(layer, mode) of each line of a qtable. Raises ValueError naming the line."""
    rows = []
    for number, line in enumerate(qtable.splitlines(), 1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != 2 or fields[1].upper() not in MODES:
            raise ValueError(f"line {number} is not `layer mode` with mode one of {', '.join(MODES)}: {line}")
        rows.append((fields[0], fields[1].upper()))
    return tuple(rows)


def bare_choice(qtable: str) -> dict[str, Any]:
    """The part of a search's `choice.json` that can be recovered from its table alone. Raises ValueError."""
    rows = float_layers(qtable)
    return {"layers": [layer for layer, _ in rows], "mode": rows[0][1] if rows else "", "rows": []}


def check_names(what: str, names: Iterable[str], tensors: frozenset[str]) -> None:
    """Raises SourceError for a name that the model does not have, with the nearest that it has."""
    unknown = [name for name in names if name not in tensors]
    if unknown:
        guess = nearest(unknown[0], tensors)
        near = f"nearest to {unknown[0]}: {guess}; " if guess else ""
        raise SourceError(
            f"{what}: {len(unknown)} names are not in this model: {', '.join(unknown[:4])}",
            f"{near}it was made for another model or export",
        )
