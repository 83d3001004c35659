"""Building blocks of config sections: their base class, and field types that several sections share."""

import re
from collections.abc import Callable, Collection
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from bmzoo.chips import CHIPS, QUANTIZE
from bmzoo.runtime.normalisation import why_not_mean, why_not_scale
from bmzoo.target import MAX_BATCH

MAX_SIDE = 8192


class Section(BaseModel):
    """Mistyped keys are errors, and so are values of another type than the one asked for, infinity and NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


def as_tuple(value: Any) -> Any:
    """Convert a list: YAML has no tuples, and strict mode does not convert."""
    return tuple(as_tuple(v) for v in value) if isinstance(value, list) else value


def as_tuple_or_one(value: Any) -> Any:
    """Like `as_tuple`; a single value is a list of one: `chip: bm1688`."""
    return as_tuple(value) if isinstance(value, list) else (value,)


class OneOf:
    """Text that names a row of a table. Rows may come later: the table is looked into when a value is checked."""

    def __init__(self, table: Collection[str]) -> None:
        self._table = table

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self._table)}

    def _check(self, value: Any) -> Any:
        if value in list(self._table):  # a list, as what cannot be hashed is no name either
            return value
        *others, last = map(repr, self._table)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise PydanticKnownError("literal_error", {"expected": expected})  # as for Literal


def _refuse(why_not: Callable[[float], str]) -> AfterValidator:
    """A check for numbers: `why_not` says what is wrong with one."""

    def check(value: float) -> float:
        if said := why_not(value):
            raise ValueError(said)
        return value

    return AfterValidator(check)


Mean = Annotated[float, _refuse(why_not_mean)]
Scale = Annotated[float, _refuse(why_not_scale)]
_NAME, _LONGEST = r"[A-Za-z0-9][A-Za-z0-9_\-.]*", 64
Name = Annotated[str, Field(pattern=f"^{_NAME}$", max_length=_LONGEST)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PathText = Annotated[str, Field(min_length=1, max_length=1024)]
FileName = Annotated[str, Field(pattern=r"^[^/\\]+$", max_length=255)]
Means = Annotated[tuple[Mean, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=4)]
Scales = Annotated[tuple[Scale, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=4)]
Pixels = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
ChipName = Annotated[str, OneOf(CHIPS)]
Precision = Annotated[str, OneOf(QUANTIZE)]
Batch = Annotated[int, Field(ge=1, le=MAX_BATCH)]
Cores = Annotated[int, Field(ge=1, le=8)]


Chips = Annotated[
    tuple[ChipName, ...],
    BeforeValidator(as_tuple_or_one, json_schema_input_type=ChipName | list[ChipName]),
    Field(min_length=1),
]
Precisions = Annotated[
    tuple[Precision, ...],
    BeforeValidator(as_tuple_or_one, json_schema_input_type=Precision | list[Precision]),
    Field(min_length=1),
]
Batches = Annotated[
    tuple[Batch, ...],
    BeforeValidator(as_tuple_or_one, json_schema_input_type=Batch | list[Batch]),
    Field(min_length=1),
]
CoreCounts = Annotated[
    tuple[Cores, ...],
    BeforeValidator(as_tuple_or_one, json_schema_input_type=Cores | list[Cores]),
    Field(min_length=1),
]


def is_name(text: str) -> bool:
    """Whether a text can name a model: it becomes part of file and task names."""
    return len(text) <= _LONGEST and re.fullmatch(_NAME, text) is not None
