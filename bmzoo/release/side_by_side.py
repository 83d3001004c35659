"""The published tables with our own figures beside them, as data that `side_by_side_page.py` writes out. Pure.

Rows are those that are published, in their order, then what is ours alone. A cell without a figure has a reason
below its table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bmzoo.measure.latency import Latency, NoLatency, shown
from bmzoo.results.reference import ProgramFigures, Published
from bmzoo.results.sized import Sized

# Whose resize the published programs give pictures, by what stands in their names.
PIPELINES = ("opencv", "bmcv")
_VARIANT = re.compile(r"_(?:fp32|fp16|bf16|int8|int4)_\d+b(?:_\d+core)?(?=\.)")


@dataclass(frozen=True)
class Known:
    """What is known here, by path of the artifact below `build/`.

    `files`: of all targets. `accuracy`: and by flavour, average precision of easy faces 0 to 1, of it and of ONNX.
    `measured`: ms for a picture on a card. `stages`: ms for a picture by stage, of the ONNX model under "".
    """

    files: tuple[str, ...] = ()
    accuracy: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    estimates: Mapping[str, Latency | NoLatency] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sized: tuple[Sized, ...] = ()


@dataclass(frozen=True)
class Said:
    """A sentence of the dictionaries in `side_by_side_words.py`, and what is put into it."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BesideTable:
    """A table: its title and column headings are keys of the dictionaries. `reasons`: why cells are empty."""

    title: str
    notes: tuple[Said, ...]
    columns: Mapping[str, Sequence[str]]
    reasons: tuple[Said, ...] = ()


def sides(known: Known, published: Published) -> tuple[BesideTable, ...]:
    """All tables, those without a row too."""
    return _accuracy(known, published), _latency(known, published), _stages(known, published), _scaling(known)


def _accuracy(known: Known, published: Published) -> BesideTable:
    rows = [*published.accuracy, *_unpublished(known, published.accuracy)]
    percent = {(one.platform, one.program, one.bmodel): one.values[0] for one in published.accuracy}
    ours = [known.accuracy.get((row.file, flavour_of(row.program))) for row in rows]
    missing = [row for row, value in zip(rows, ours, strict=True) if value is None]
    reasons = _grouped((_why_no_accuracy(known, row), "", f"{row.platform}/{row.bmodel}") for row in missing)

    def to_float(row: ProgramFigures) -> str:
        base = percent.get((row.platform, row.program, float_file(row.bmodel)))
        return f"{row.values[0] - base:+.1f}" if row.values and base is not None else ""

    columns = {
        "platform": [row.platform for row in rows],
        "program": [row.program for row in rows],
        "artifact": [row.bmodel for row in rows],
        "published_easy": [f"{row.values[0]:.1f}" if row.values else "" for row in rows],
        "published_to_fp32": [to_float(row) for row in rows],
        "our_easy": [f"{100 * one[0]:.2f}" if one else "" for one in ours],
        "our_to_onnx": [f"{100 * (one[0] - one[1]):+.2f}" if one else "" for one in ours],
    }
    return BesideTable("accuracy", (Said("accuracy_note"), *_nothing(published.accuracy)), columns, reasons)


def _latency(known: Known, published: Published) -> BesideTable:
    files = list(dict.fromkeys([*published.milliseconds, *known.files]))
    found = [known.estimates.get(file) for file in files]
    columns = {
        "artifact": files,
        "published_ms": [_ms(published.milliseconds.get(file)) for file in files],
        "estimated_ms": [shown(one.ms) if isinstance(one, Latency) else "" for one in found],
        "nine_in_ten": [_interval(one) for one in found],
        "measured_ms": [_ms(known.measured.get(file)) for file in files],
    }
    reasons = _unestimated(dict(zip(files, found, strict=True)), known)
    card = () if known.measured else (Said("no_card"),)
    notes = (Said("latency_note"), *card, *_nothing(published.milliseconds))
    return BesideTable("latency", notes, columns, reasons)


def _stages(known: Known, published: Published) -> BesideTable:
    rows = [*published.programs, *_unpublished(known, published.programs)]
    found = [known.estimates.get(row.file) for row in rows]
    columns = {
        "platform": [row.platform for row in rows],
        "program": [row.program for row in rows],
        "artifact": [row.bmodel for row in rows],
        "published_inference": [f"{row.values[0]:.2f}" if row.values else "" for row in rows],
        "published_rate": [f"{row.values[1]:.1f}" if row.values else "" for row in rows],
        "our_preprocess": [_ms(_stage(known, row, "preprocess")) for row in rows],
        "our_estimate": [shown(one.ms) if isinstance(one, Latency) else "" for one in found],
        "our_inference": [_ms(known.measured.get(row.file)) for row in rows],
        "our_postprocess": [_ms(_stage(known, row, "postprocess")) for row in rows],
    }
    timed = () if known.stages else (Said("not_timed"),)
    notes = (Said("stages_note"), *timed, *_nothing(published.programs))
    estimates = {row.file: one for row, one in zip(rows, found, strict=True) if row.chip}
    return BesideTable("stages", notes, columns, _unestimated(estimates, known) + _boxes(rows))


def _scaling(known: Known) -> BesideTable:
    rows = [(one, one.found) for one in known.sized if isinstance(one.found, Latency)]
    columns = {
        "size": ["{}x{}".format(*one.size) for one, _ in rows],
        "target": [str(one.target) for one, _ in rows],
        "batch": [str(one.target.batch) for one, _ in rows],
        "estimated_ms": [shown(found.ms) for _, found in rows],
        "nine_in_ten": [_interval(found) for _, found in rows],
        "pictures_per_second": [shown(1000 / found.ms) for _, found in rows],
        "runs_per_second": [shown(1000 / found.ms / one.target.batch) for one, found in rows],
    }
    reasons = _grouped(
        ("because", one.found.why, "{} {}x{}".format(one.target, *one.size))
        for one in known.sized
        if isinstance(one.found, NoLatency)
    )
    notes = (Said("scaling_note"), *(() if rows else (Said("nothing_sized"),)))
    return BesideTable("scaling", notes, columns, reasons)


def flavour_of(program: str) -> str:
    """Whose resize a published program gives pictures; empty where its name does not say."""
    return next((flavour for flavour in PIPELINES if flavour in program), "")


def float_file(bmodel: str) -> str:
    """The file that losses are taken against: fp32 of batch 1 on one core."""
    return _VARIANT.sub("_fp32_1b", bmodel)


def _unpublished(known: Known, published: Sequence[ProgramFigures]) -> Iterator[ProgramFigures]:
    """A row for each artifact and resize that nobody has published figures of."""
    there = {(one.file, flavour_of(one.program)) for one in published}
    for file in known.files:
        chip, _, bmodel = file.partition("/")
        for flavour in PIPELINES:
            if (file, flavour) not in there:
                yield ProgramFigures(chip, flavour, bmodel, ())


def _stage(known: Known, row: ProgramFigures, stage: str) -> float | None:
    """Milliseconds on this machine: of the artifact, else of the ONNX model. BMCV's work is the chip's."""
    if flavour_of(row.program) != PIPELINES[0] or not row.chip:
        return None
    return known.stages.get(row.file, known.stages.get("", {})).get(stage)


def _why_no_accuracy(known: Known, row: ProgramFigures) -> str:
    if not row.chip:
        return "other_platform"
    if row.file not in known.files:
        return "no_target"
    return "not_evaluated" if flavour_of(row.program) == PIPELINES[0] else "not_evaluated_bmcv"


def _boxes(rows: Sequence[ProgramFigures]) -> tuple[Said, ...]:
    return _grouped(("other_platform", "", f"{row.platform}/{row.bmodel}") for row in rows if not row.chip)


def _unestimated(found: Mapping[str, Latency | NoLatency | None], known: Known) -> tuple[Said, ...]:
    unknown = {file: one for file, one in found.items() if not isinstance(one, Latency)}
    absent = {file: "not_built" if file in known.files else "no_target" for file in unknown}
    return _grouped(
        (absent[file], "", file) if one is None else ("because", one.why, file) for file, one in unknown.items()
    )


def _grouped(reasons: Iterable[tuple[str, str, str]]) -> tuple[Said, ...]:
    """Each reason once, with how many artifacts it is for and the first: from key, further words and artifact."""
    found: dict[tuple[str, str], list[str]] = {}
    for key, why, name in reasons:
        found.setdefault((key, why), []).append(name)
    return tuple(
        Said(key, {"why": why, "count": str(len(set(names))), "first": names[0]})
        for (key, why), names in found.items()
    )


def _nothing(rows: object) -> tuple[Said, ...]:
    return () if rows else (Said("nothing_published"),)


def _interval(found: Latency | NoLatency | None) -> str:
    return f"{shown(found.low)} - {shown(found.high)}" if isinstance(found, Latency) else ""


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
