"""The schema of `zoo.json`: every target with its results. Reproducible: no time stamps, nothing of the machine.

A manifest is untrusted input and fully validated: names must match their targets, texts have no control characters,
numbers are finite. `configs/manifest.schema.json` is the same as JSON Schema, for other programs.
"""

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from bmzoo.config.fields import Batch, ChipName, Cores, Digest, Name, Precision, Ratio
from bmzoo.config.fused import FusedFormat
from bmzoo.errors import SourceError
from bmzoo.measure.metrics.registry import FACES_AP, ordered
from bmzoo.system.text import printable
from bmzoo.target import Target

VERSION: Literal[1] = 1
MAX_MANIFEST_BYTES = 16 << 20
MAX_PROBLEMS = 4

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$", max_length=1000)]
Milliseconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


# The best first.
STATUSES = ("verified", "built", "unverified", "failed")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class Agreement(_Part):
    """How near an artifact comes to its ONNX model: of `verify`, or of the build where that did not run."""

    pictures: Count
    cosine: Annotated[float, Field(ge=-1.000001, le=1.000001)] | None  # smallest over the heads
    sqnr_db: float | None  # smallest over the heads; null: equal to the last bit
    worst: Text | None  # the head with the smallest cosine
    expected: Count | None = None  # what the ONNX model finds; null where heads are not decoded
    what: Text | None = None  # what is counted: faces where it is null and `expected` is not
    missed: Count | None = None
    extra: Count | None = None
    mean_iou: Ratio | None = None
    drawn: Text | None = None  # inputs whose values are drawn, and from what; null where all are real

    def share(self, key: Literal["missed", "extra"]) -> float | None:
        """What is missed or extra as a share of what the ONNX model finds."""
        number = self.missed if key == "missed" else self.extra
        return None if number is None or self.expected is None else number / max(self.expected, 1)


class Accuracy(_Part):
    """Figures 0 to 1 on ground truth, more is better: of the artifact's arithmetic and of ONNX.

    Average precision of faces is in `ap`, by subset; `metric` names any other, whose `figures` are by name.
    """

    pictures: Count
    ap: dict[Name, Ratio] | None = None
    metric: Text | None = None
    figures: dict[Name, Ratio] | None = None
    onnx: dict[Name, Ratio]

    @property
    def named(self) -> str:
        """The metric."""
        return self.metric or FACES_AP

    @property
    def values(self) -> dict[str, float]:
        """Its figures."""
        return self.ap or self.figures or {}

    @property
    def titled(self) -> dict[str, tuple[float, float | None]]:
        """The figures and those of ONNX, by metric and name, such as `AP easy`, in the order to show them."""
        values, metric = self.values, self.named
        return {f"{metric} {name}": (values[name], self.onnx.get(name)) for name in ordered(metric, values)}

    @model_validator(mode="after")
    def _of_one_metric(self) -> "Accuracy":
        if (self.ap is None) == (self.metric is None) or (self.metric is None) != (self.figures is None):
            raise ValueError("needs either ap, or metric and figures")
        return self

    @model_serializer(mode="wrap")
    def _of_that_metric(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if value is not None}


class Estimate(_Part):
    """Milliseconds for one picture on the chip, and the interval of nine in ten; see docs/latency.md."""

    ms: Milliseconds
    low: Milliseconds
    high: Milliseconds

    @model_validator(mode="after")
    def _in_its_interval(self) -> "Estimate":
        if not self.low <= self.ms <= self.high:
            raise ValueError(f"ms is not between low and high: {self.ms} in {self.low} to {self.high}")
        return self


class Artifact(_Part):
    """One target. What is null is not known: a target that failed to build has no digest."""

    model: Name
    chip: ChipName
    precision: Precision
    batch: Batch
    cores: Cores
    file: Text  # below build/, as published
    # unverified: nothing here runs it, as `cause` says; what agrees with ONNX is its lowering.
    status: Literal["verified", "built", "unverified", "failed"]
    stage: Literal["build", "verify", "eval"] | None = None  # where it went wrong, or was not gone on with
    cause: Text | None = None
    evidence: Text | None = None  # path from the checkout: a log, figures, or a folder
    sha256: Digest | None = None
    size: Count | None = None  # bytes
    weights: Name | None = None
    compiler: Text | None = None
    cost: Count | None = None  # the compiler's own estimate for one run, that is one batch
    estimate: Estimate | None = None
    no_estimate: Text | None = None  # why there is none
    float_layers: Count | None = None  # of a mixed-precision table; 0 without one
    agreement: Agreement | None = None
    accuracy: Accuracy | None = None
    contract: Literal["toolchain"] | None = None  # left out where the model keeps to onnx 1.6.0
    fuse_preprocess: FusedFormat | None = None  # what bytes it is fed; left out where it is fed floats

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        usual = [key for key in ("contract", "fuse_preprocess") if getattr(self, key) is None]
        return {key: value for key, value in told.items() if key not in usual}

    @property
    def target(self) -> Target:
        return Target(self.model, self.chip, self.precision, self.batch, self.cores)

    @model_validator(mode="after")
    def _named_as_published(self) -> "Artifact":
        if self.file != self.target.artifact:
            raise ValueError(f"file is not that of the target, {self.target.artifact}: {self.file}")
        if (self.sha256 is None) != (self.size is None):
            raise ValueError("sha256 and size go together: one of them is null")
        if self.status != "failed" and self.sha256 is None:
            raise ValueError(f"sha256 is null, and the status is {self.status}")
        return self


class ZooManifest(_Part):
    """All targets of all configs, in the order of the configs."""

    model_config = ConfigDict(title="Manifest")  # as configs/manifest.schema.json calls it

    schema_version: Literal[1] = VERSION
    artifacts: tuple[Artifact, ...]
    broken: dict[Name, Text] = Field(default_factory=dict)  # model -> what is wrong with its config
    tools: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)  # tool -> every identity that was used

    @model_validator(mode="after")
    def _once_each(self) -> "ZooManifest":
        seen: set[Target] = set()
        for artifact in self.artifacts:
            if artifact.target in seen:
                raise ValueError(f"artifacts: there twice: {artifact.file}")
            seen.add(artifact.target)
        return self


def manifest_json(manifest: ZooManifest) -> str:
    """The manifest as written: JSON, indented and sorted."""
    return json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"


def read_manifest(text: str, shown: str) -> ZooManifest:
    """A checked manifest; `shown` names it in errors. Raises SourceError: where, what is wrong, the value."""
    try:
        raw = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except RecursionError:
        raise SourceError(f"{shown}: not a manifest: nested too deeply") from None
    except ValueError as error:
        raise SourceError(f"{shown}: not JSON: {error}", "a manifest is the zoo.json of a ./doit zoo") from None
    if not isinstance(raw, dict) or "schema_version" not in raw:
        raise SourceError(f"{shown}: not a manifest: no schema_version", "name the zoo.json of a ./doit zoo")
    if raw["schema_version"] != VERSION or isinstance(raw["schema_version"], bool):
        raise SourceError(
            f"{shown}: schema_version: this bmzoo reads {VERSION}, and not: {_short(raw['schema_version'])}",
            "compare manifests with the bmzoo that wrote the newer one, or write the other one anew",
        )
    try:
        return ZooManifest.model_validate_json(text)
    except ValidationError as error:
        raise _explain(error, shown) from None


def json_schema() -> str:
    """`ZooManifest` as JSON Schema."""
    return json.dumps(ZooManifest.model_json_schema(mode="validation"), indent=1, sort_keys=True) + "\n"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"there twice: {_short(next(n for n in names if names.count(n) > 1))}")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"not a number that JSON knows (null says that a figure is missing): {word}")


def _explain(error: ValidationError, shown: str) -> SourceError:
    # A misspelt key is also a missing one: the unknown key is the line that helps, so it comes first.
    details = sorted(error.errors(include_url=False), key=lambda d: d["type"] != "extra_forbidden")
    lines = [f"{shown}: {_problem(detail)}" for detail in details[:MAX_PROBLEMS]]
    if len(details) > MAX_PROBLEMS:
        lines.append(f"{shown}: and {len(details) - MAX_PROBLEMS} more")
    return SourceError("\n".join(lines), "configs/manifest.schema.json describes every key")


def _problem(detail: ErrorDetails) -> str:
    *parts, last = detail["loc"] or ("",)
    if detail["type"] == "extra_forbidden":
        return f"{_path(parts)}unknown key: {_short(last)}"
    if detail["type"] == "missing":
        return f"{_path(parts)}missing key: {last}"
    if detail["type"] == "value_error":
        return f"{_path([*parts, last])}{printable(str(detail['ctx']['error']))}"
    said = detail["msg"]
    return f"{_path([*parts, last])}{said[:1].lower()}{said[1:]}: {_short(detail['input'])}"


def _path(parts: list[str | int]) -> str:
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{printable(p)}" for p in parts).lstrip(".")
    return f"{text}: " if text else ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":  # python -m bmzoo.release.manifest > configs/manifest.schema.json
    sys.stdout.write(json_schema())
