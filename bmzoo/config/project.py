"""Settings of the whole project, in `configs/zoo.yaml`: every key, its type, range and default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ByteSize,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from bmzoo.config import yamlfile
from bmzoo.config.fields import Name, Ratio, Section
from bmzoo.config.files import SUFFIX, is_config, misnamed
from bmzoo.config.messages import config_error
from bmzoo.errors import ConfigError

STEM = "zoo"  # no model can have this name
FILE = f"{STEM}{SUFFIX}"
# Where results can be shared; without a scheme it is a folder. `memory` lives in one process, for tests.
STORE_SCHEMES = ("", "file", "s3", "http", "https", "memory")

Points = Annotated[float, Field(ge=0.0, le=100.0)]
Percent = Annotated[float, Field(ge=0.0, le=1000.0)]


class ApDrop(Section):
    """Largest allowed drop of figures on ground truth, in points: of average precision of faces by subset."""

    easy: Points | None = 0.5
    """Of WIDER FACE's easy subset."""
    medium: Points | None = 0.5
    """Of its medium subset."""
    hard: Points | None = 0.5
    """Of its hard subset."""
    other: Points | None = 0.5
    """Of subsets with another name, and of every figure of another metric, such as `COCO mAP`."""


class Regression(Section):
    """What `diff` calls a regression: more than this, or a figure that is gone. null: said, but not judged."""

    ap: ApDrop = Field(default_factory=ApDrop)
    """Drop of figures on ground truth."""
    missed: Ratio | None = 0.02
    """Rise of the share of the ONNX model's faces that are not found."""
    extra: Ratio | None = 0.02
    """Rise of the share of faces that the ONNX model does not have."""
    cost: Percent | None = 5.0
    """Rise of the compiler's own cost, in percent."""
    estimate: Literal["interval"] | None = "interval"
    """Rise of the estimated time beyond the interval of before."""
    size: Percent | None = 5.0
    """Rise of the file's size, in percent."""


def place(text: str) -> str:
    """A place that results can be shared in, as written. ValueError says why it is none."""
    parts = urlsplit(text)
    folder = parts.scheme in ("", "file")
    complete = parts.path.startswith("/") and not parts.netloc if folder else parts.netloc
    if parts.scheme not in STORE_SCHEMES or "::" in text or not complete:
        raise ValueError(f"neither an absolute path nor a file, s3, http or https URL: {text}")
    if "@" in parts.netloc:  # it would be shown in messages and logs
        raise ValueError(f"credentials do not belong in a URL: {parts.scheme}://...@{parts.hostname}")
    return text


def _size(value: Any, parse: ValidatorFunctionWrapHandler) -> Any:
    """`20GB` as a number of bytes. Without a unit a size is a slip, and a small b means bits."""
    try:
        if isinstance(value, str) and value.endswith("B"):
            return parse(value)
    except ValidationError:
        pass
    raise ValueError(f"not a size such as 500MB or 20GB: {value}")


class StoreSettings(Section):
    """Where results are shared, and how much may be kept here; credentials come from the environment."""

    url: Annotated[str, AfterValidator(place)] | None = None
    """An absolute path, or a `file`, `s3`, `http` or `https` URL; `$BMZOO_STORE` overrides it."""
    limit: Annotated[ByteSize, WrapValidator(_size, json_schema_input_type=str)] | None = None
    """Most that `build/store` may hold after `./doit gc`, such as `500MB` or `20GB`."""


class ZooConfig(Section):
    """Settings of the whole project, in `configs/zoo.yaml`."""

    default_model: Name | None = None
    """The model that targets belong to when no other stands in front."""
    weights: Name | None = None
    """Insist on the weights of this name, for models that have them."""
    store: StoreSettings = Field(default_factory=StoreSettings)
    """Where results are shared."""
    regression: Regression = Field(default_factory=Regression)
    """What `./doit diff` fails for."""


def read_project(path: Path, root: Path) -> ZooConfig:
    """Project-wide settings of `configs/zoo.yaml`; defaults where there is no such file. Raises ConfigError."""
    for other in path.parent.glob(f"{STEM}.*"):
        if is_config(other.name) and other.name != path.name:
            raise misnamed(other, str(other.relative_to(root)))
    if not path.is_file():
        return ZooConfig()
    document = yamlfile.read_yaml(path, str(path.relative_to(root)))
    try:
        return ZooConfig.model_validate(document.value)
    except ValidationError as error:
        raise config_error(error, document, ZooConfig) from None


def store_url(settings: ZooConfig, environ: Mapping[str, str]) -> str | None:
    """Where results are shared: `$BMZOO_STORE` (empty: nowhere), else zoo.yaml. Raises ConfigError."""
    named = environ.get("BMZOO_STORE")
    if not named:
        return settings.store.url if named is None else None
    try:
        return place(named)
    except ValueError as error:
        raise ConfigError(f"$BMZOO_STORE: {error}", "such as /mnt/share/bmzoo or s3://bucket/folder") from None
