"""Calls of TPU-MLIR's programs, joined by the files between them: one conversion for each network."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from bmzoo.config_import import flags
from bmzoo.config_import.shell_run import ToolCall

_BATCH = re.compile(r"(?<![A-Za-z0-9])\d+b(?![A-Za-z0-9])|(?<=[_-])bs?\d+(?![A-Za-z0-9])|(?<=_)\d+batch")


@dataclass(frozen=True)
class FlaggedCall:
    """A call with its flags. `reads`: the .mlir that it works on, or writes."""

    tool: str
    flags: Mapping[str, str]
    reads: str
    line: int

    @property
    def where(self) -> str:
        """The line of the call, to stand behind its name; empty where there is none."""
        return f" of line {self.line}" if self.line else ""

    def value(self, *names: str) -> str:
        """The value of the first of these flags that is there; empty where none is."""
        return next((self.flags[name] for name in names if name in self.flags), "")


@dataclass
class Conversion:
    """All calls about one network: from its file on, over batches and chips."""

    transforms: list[FlaggedCall] = field(default_factory=list)
    calibrations: list[FlaggedCall] = field(default_factory=list)
    searches: list[FlaggedCall] = field(default_factory=list)
    deploys: list[tuple[FlaggedCall, FlaggedCall]] = field(default_factory=list)  # each with its transform

    @property
    def first(self) -> FlaggedCall:
        """The transform that stands for all: they differ by batch."""
        return self.transforms[0]

    @property
    def name(self) -> str:
        """The network's name, without the batch in it."""
        given = self.first.value("model_name") or PurePosixPath(self.first.value("model_def")).stem
        return without_batch(given)

    @property
    def largest_batch(self) -> int:
        """The largest batch of a deploy; 1 where none is known."""
        return max((self.batch(transform) for _, transform in self.deploys), default=1)

    def batch(self, transform: FlaggedCall) -> int:
        """How many pictures a transform is for; 1 where its shapes do not say, or an only dimension is a length."""
        try:
            found = flags.shapes(transform.value("input_shapes"))
        except ValueError:
            return 1
        return found[0][0] if found and len(found[0]) > 1 else 1


def without_batch(text: str) -> str:
    """A name without what says a batch in it: `yolo_4b` as `yolo`."""
    return re.sub(r"[_-]+(?=\.|$)|(?<=[_-])[_-]+", "", _BATCH.sub("", text)).strip("_-.") or text


def conversions(calls: Sequence[ToolCall]) -> tuple[list[Conversion], list[str]]:
    """The conversions that calls make, and what is to be said of calls that belong to none."""
    found: dict[tuple[str, str], Conversion] = {}
    by_file: dict[str, tuple[Conversion, FlaggedCall]] = {}
    lost: dict[str, None] = {}
    for made in calls:
        call = _call(made)
        if call.tool == "model_transform":
            key = (without_batch(call.value("model_def")), _but_batch(call))
            conversion = found.setdefault(key, Conversion())
            if not any(_same(call, other) for other in conversion.transforms):
                conversion.transforms.append(call)
            by_file[call.reads] = conversion, call
            continue
        if call.reads not in by_file:
            where = f"line {call.line}: " if call.line else ""
            lost[f"{where}{call.tool} of {call.reads or 'nothing'}, which no model_transform writes"] = None
            continue
        conversion, transform = by_file[call.reads]
        _add(conversion, call, transform)
    return list(found.values()), list(lost)


def _call(made: ToolCall) -> FlaggedCall:
    alone, found = flags.parsed(made.words)
    mlir = found.get("mlir", "") or (alone[0] if alone else "")
    return FlaggedCall(made.tool, found, PurePosixPath(mlir).name, made.line)


def _but_batch(call: FlaggedCall) -> str:
    """The shapes of a call without the batch: networks that differ in more are two."""
    try:
        return str([shape[1:] for shape in flags.shapes(call.value("input_shapes"))])
    except ValueError:
        return call.value("input_shapes")


def _same(one: FlaggedCall, other: FlaggedCall) -> bool:
    return one.flags == other.flags


def _add(conversion: Conversion, call: FlaggedCall, transform: FlaggedCall) -> None:
    if call.tool == "model_deploy":
        if not any(_same(call, known) and _same(transform, its) for known, its in conversion.deploys):
            conversion.deploys.append((call, transform))
        return
    searches = call.tool != "run_calibration" or call.value("search") in ("search_qtable", "fast_search")
    kept = conversion.searches if searches else conversion.calibrations
    if not any(_same(call, known) for known in kept):
        kept.append(call)
