"""Figures that others have published for the same artifacts, read from CSV files where there are such files.

reference/sophon_demo_accuracy.csv         platform, program, bmodel, widerface_easy_ap_percent
reference/sophon_demo_bmrt_latency.csv     bmodel (with its chip folder), ms_per_image
reference/sophon_demo_program_latency.csv  platform, program, bmodel, infer_ms_per_image, qps
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bmzoo.chips import CHIPS
from bmzoo.errors import SourceError
from bmzoo.sources.lookup import Sources
from bmzoo.workspace import Workspace

# The weights that the published artifacts were made from: no others can be compared with them.
WEIGHTS = "official"
# Of the published programs the one whose preprocessing bmzoo's own evaluation follows.
PROGRAM = "retinaface_opencv.py"
MAX_TABLE_BYTES = 1 << 20
# By file: the columns that are words, then those that are numbers and the largest that each can hold.
ACCURACY = "sophon_demo_accuracy.csv"
LATENCY = "sophon_demo_bmrt_latency.csv"
PROGRAMS = "sophon_demo_program_latency.csv"
TABLES: Mapping[str, tuple[tuple[str, ...], Mapping[str, float]]] = {
    ACCURACY: (("platform", "program", "bmodel"), {"widerface_easy_ap_percent": 100.0}),
    LATENCY: (("bmodel",), {"ms_per_image": 1e6}),
    PROGRAMS: (("platform", "program", "bmodel"), {"infer_ms_per_image": 1e6, "qps": 1e6}),
}


@dataclass(frozen=True)
class ProgramFigures:
    """What is published of one program: on a platform, with an artifact. `values`: its columns of numbers."""

    platform: str
    program: str
    bmodel: str
    values: tuple[float, ...]

    @property
    def file(self) -> str:
        """Path of the artifact below `build/`; another one than any chip's for boxes, which have other names."""
        return f"{self.platform.partition(' ')[0]}/{self.bmodel}"

    @property
    def chip(self) -> str:
        """Name of the chip, empty where the platform is called by another name."""
        name = self.platform.partition(" ")[0].lower()
        return name if name in CHIPS else ""


@dataclass(frozen=True)
class Published:
    """All that is published, in the order of the files. `problems`: rows and files that were left out, and why."""

    milliseconds: Mapping[str, float] = field(default_factory=dict)  # by path below `build/`, for a picture
    accuracy: tuple[ProgramFigures, ...] = ()  # percent
    programs: tuple[ProgramFigures, ...] = ()  # inference in ms for a picture, pictures in a second
    problems: tuple[str, ...] = ()

    @cached_property
    def easy_percent(self) -> Mapping[str, float]:
        """Average precision on WIDER FACE's easy faces by path below `build/`, of the program that is like ours."""
        return {one.file: one.values[0] for one in self.accuracy if one.program == PROGRAM}


@dataclass(frozen=True)
class PublishedRow:
    """A row of a table: its words and its numbers, in the order of TABLES."""

    words: tuple[str, ...]
    numbers: tuple[float, ...]


def read_table(path: Path, problems: list[str]) -> list[PublishedRow]:
    """The rows of a table of TABLES, by its name. A row that cannot be read is left out, and `problems` says why.

    Raises SourceError for a file that is no such table.
    """
    words, numbers = TABLES[path.name]
    found: dict[tuple[str, ...], PublishedRow] = {}
    for where, values in _lines(path, (*words, *numbers)):
        try:
            named = tuple(_word(values[name], name, where) for name in words)
            row = PublishedRow(named, tuple(_number(values[name], numbers[name], where) for name in numbers))
            if named in found:
                raise SourceError(f"{where}: there twice: {', '.join(named)}")
            found[named] = row
        except SourceError as error:
            problems.append(f"{error.message}: left out")
    return list(found.values())


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row's place and its values by column."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise SourceError(f"{path}: larger than a table of published figures can be")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise SourceError(f"{path}: missing column: {missing[0]}", f"columns: {', '.join(columns)}")
            for row in reader:
                yield f"{path}:{reader.line_num}", {name: row[name] or "" for name in columns}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None


def _word(text: str, name: str, where: str) -> str:
    if not text.strip():
        raise SourceError(f"{where}: {name} is empty")
    return text.strip()


def _number(text: str, largest: float, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= largest:
        raise SourceError(f"{where}: not a number from 0 to {largest:g}: {text}")
    return value


def reference(at: Workspace, folder: Path | None = None) -> Published:
    """Published figures: in `folder`, else in the folders that data is looked up in and the one beside.

    They are an extra: what is damaged is told and left out. Raises SourceError for a folder that holds no table.
    """
    places = {name: _place(at, folder, name) for name in TABLES}
    if folder is not None and not any(places.values()):
        raise SourceError(f"{folder}: no table of published figures in it", f"one of: {', '.join(TABLES)}")
    problems: list[str] = []
    rows = {name: _read(path, problems) for name, path in places.items()}
    for problem in problems:
        at.report.warn(problem)
    return Published(
        {row.words[0]: row.numbers[0] for row in rows[LATENCY]},
        tuple(map(_figures, rows[ACCURACY])),
        tuple(map(_figures, rows[PROGRAMS])),
        tuple(problems),
    )


def _figures(row: PublishedRow) -> ProgramFigures:
    platform, program, bmodel = row.words
    return ProgramFigures(platform, program, bmodel, row.numbers)


def _place(at: Workspace, folder: Path | None, name: str) -> Path | None:
    if folder is not None:
        return folder / name if (folder / name).is_file() else None
    data, shared = at.environ.get("BMZOO_DATA"), at.layout.shared_data
    sources = Sources([at.layout.configs, *([Path(data)] if data else []), shared, shared.parent])
    return sources.find(f"reference/{name}")


def _read(path: Path | None, problems: list[str]) -> list[PublishedRow]:
    try:
        return read_table(path, problems) if path is not None else []
    except SourceError as error:
        problems.append(error.message)
        return []
