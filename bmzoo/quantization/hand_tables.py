"""Tables written by hand: what TPU-MLIR 1.30.2 aborts over without naming it, or takes for something else silently.

Tried with a small network. It reads `[-0-9.e]+` as a number, and no blanks around a row. Of two rows for one tensor
it takes the last, a mode that the chip lacks for another one, a minimum above the maximum for an unsigned tensor,
and a byte order mark for a part of the first name.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bmzoo.errors import SourceError, nearest
from bmzoo.quantization.tables import MODES

# Below a calibration table's rows: thresholds for INT4, as rows, and scales of weights.
INT4_SECTION, SECTIONS = "#int4_th", ("#int4_th", "#weight_scale", "#weight_scale_fp8")
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e-?[0-9]+)?")
LARGEST_FLOAT, SMALLEST_THRESHOLD = 3e38, 1e-12
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class TableRow:
    """A row of a table: where it is, for people, the tensor that it is about, and the words after its name."""

    where: str
    name: str
    words: tuple[str, ...]

    def error(self, said: str, hint: str = "") -> SourceError:
        return SourceError(f"{self.where}: {self.name}: {said}", hint)


def text_of(content: bytes, shown: str) -> str:
    """A table's text. `shown` names the file in errors. Raises SourceError."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SourceError(f"{shown}:{line}: not UTF-8 text", "save the file as UTF-8") from None
    if text.startswith(BYTE_ORDER_MARK):
        raise SourceError(
            f"{shown}:1: begins with a byte order mark, which is taken for a part of the first word",
            "save the file as UTF-8 without one",
        )
    return text


def check_calibration(text: str, shown: str, tensors: Collection[str]) -> None:
    """Raises SourceError for the first row that is not a threshold and a range of a tensor of this model."""
    sections = dict(_sections(text, shown))
    if not sections[""]:
        raise SourceError(f"{shown}: names no tensor", "a row is `name threshold min max`")
    for name in ("", INT4_SECTION):
        rows = sections.get(name, [])
        for row in rows:
            if len(row.words) != 3:
                raise row.error(f"a row is `name threshold min max`, this one has {1 + len(row.words)} columns")
        _check_names(rows, tensors)
        for row in rows:
            _check_range(row)


def check_qtable(text: str, shown: str, tensors: Collection[str], lacking: Mapping[str, str]) -> None:
    """Raises SourceError for the first row that is not a tensor of this model and a mode of this chip.

    lacking: mode -> why the chip has it not.
    """
    rows = dict(_sections(text, shown))[""]
    allowed = f"modes of this chip: {', '.join(mode for mode in MODES if mode not in lacking)}"
    for row in rows:
        if len(row.words) != 1:
            raise row.error(f"a row is `layer mode`, this one has {1 + len(row.words)} words", allowed)
    _check_names(rows, tensors)
    for row in rows:
        mode = row.words[0].upper()
        if mode not in MODES:
            raise row.error(f"no such mode: {row.words[0]}", allowed)
        if mode in lacking:
            raise row.error(f"cannot be {mode}: {lacking[mode]}", allowed)


def _sections(text: str, shown: str) -> Iterator[tuple[str, list[TableRow]]]:
    """Rows by section; those before any section are in "", which is always there."""
    name, rows = "", list[TableRow]()
    for number, written in enumerate(text.split("\n"), 1):
        line, where = written.removesuffix("\r"), f"{shown}:{number}"
        if line in SECTIONS:
            yield name, rows
            name, rows = line, []
        elif line and not line.startswith("#"):
            rows.append(_row(line, where))
    yield name, rows


def _row(line: str, where: str) -> TableRow:
    if line != line.strip():
        raise SourceError(f"{where}: blanks before or after the row: {line!r}", "take them out")
    if not line.replace("\t", " ").isprintable():
        raise SourceError(f"{where}: not text: {line!r}", "save the file as UTF-8 text")
    name, *words = line.split()
    if any(word.startswith("#") for word in words):
        raise SourceError(f"{where}: {name}: a comment behind the row", "a comment needs a line of its own")
    return TableRow(where, name, tuple(words))


def _check_names(rows: Collection[TableRow], tensors: Collection[str]) -> None:
    first: dict[str, TableRow] = {}
    for row in rows:
        if row.name not in tensors:
            guess = nearest(row.name, tensors)
            near = f"did you mean {guess}? " if guess else ""
            raise row.error("no such tensor in this model", f"{near}a table is for one model and one export of it")
        if row.name in first:
            line = first[row.name].where.rpartition(":")[2]
            raise row.error(
                f"written twice, first in line {line}", "the compiler would take the last one: keep one"
            )
        first[row.name] = row


def _check_range(row: TableRow) -> None:
    threshold, low, high = (_number(row, word) for word in row.words)
    if threshold < SMALLEST_THRESHOLD:
        raise row.error(
            f"threshold must be above 0: {row.words[0]}", "it is the largest value that INT8 stands for"
        )
    if low > high:
        raise row.error(f"min is above max: {row.words[1]} {row.words[2]}")


def _number(row: TableRow, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise row.error(f"not a number: {word}") from None
    if not math.isfinite(value) or abs(value) > LARGEST_FLOAT:
        raise row.error(f"not a finite number: {word}")
    if not _NUMBER.fullmatch(word):
        raise row.error(f"not a number as the compiler reads them: {word}", "such as 4.13, -0.5 or 1e-2")
    return value
