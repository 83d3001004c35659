"""Figures that others have published for the same artifacts, read from CSV files where there are such files.

reference/sophon_demo_accuracy.csv      platform, program, bmodel, widerface_easy_ap_percent
reference/sophon_demo_bmrt_latency.csv  bmodel (with its chip folder), ms_per_image
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bmzoo.errors import SourceError
from bmzoo.sources.lookup import Sources
from bmzoo.workspace import Workspace

ACCURACY = "reference/sophon_demo_accuracy.csv"
LATENCY = "reference/sophon_demo_bmrt_latency.csv"
# The weights that the published artifacts were made from: no others can be compared with them.
WEIGHTS = "official"
# Of the published programs the one whose preprocessing bmzoo's own evaluation follows.
PROGRAM = "retinaface_opencv.py"
MAX_TABLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Published:
    """By path below `build/`: average precision in percent, and milliseconds per picture on the chip."""

    easy_percent: Mapping[str, float] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)


def read_accuracy(path: Path) -> dict[str, float]:
    """Average precision on WIDER FACE's easy faces, in percent. Raises SourceError naming the line."""
    columns = ("platform", "program", "bmodel", "widerface_easy_ap_percent")
    found = {}
    for where, (platform, program, bmodel, percent) in _rows(path, columns):
        chip = platform.partition(" ")[0]  # `BM1688 SoC`; boxes with another name repeat their chip's figures
        if program == PROGRAM:
            found[f"{chip}/{bmodel}"] = _number(percent, 100.0, where)
    return found


def read_latency(path: Path) -> dict[str, float]:
    """Milliseconds per picture. Raises SourceError naming the line."""
    rows = _rows(path, ("bmodel", "ms_per_image"))
    return {bmodel: _number(text, 1e6, where) for where, (bmodel, text) in rows}


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each row's place and its values in the order of `columns`."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise SourceError(f"{path}: larger than a table of published figures can be")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(f"{path}: missing column: {missing[0]}", f"columns: {', '.join(columns)}")
            for row in reader:
                yield f"{path}:{reader.line_num}", [row[name] or "" for name in columns]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None


def _number(text: str, largest: float, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= largest:
        raise SourceError(f"{where}: not a number from 0 to {largest:g}: {text}")
    return value


def reference(at: Workspace) -> Published:
    """Published figures, where the folders that data is looked up in, or the one beside, hold any."""
    data = at.environ.get("BMZOO_DATA")
    shared = at.layout.shared_data
    sources = Sources([at.layout.configs, *([Path(data)] if data else []), shared, shared.parent])
    return Published(
        _read(at, sources.find(ACCURACY), read_accuracy), _read(at, sources.find(LATENCY), read_latency)
    )


def _read(at: Workspace, path: Path | None, read: Callable[[Path], dict[str, float]]) -> dict[str, float]:
    """They are an extra: a damaged table is said, and the zoo goes on without it."""
    try:
        return read(path) if path is not None else {}
    except SourceError as error:
        at.report.warn(error.message)
        return {}
