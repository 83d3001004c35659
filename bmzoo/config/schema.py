"""A model's config: every key that its YAML file in `configs/` may hold, its type, range and default.

`configs/schema.json` is this as JSON Schema, for editors.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bmzoo.config.fields import (
    Batches,
    Chips,
    CoreCounts,
    Digest,
    FileName,
    Name,
    PathText,
    PerChannel,
    Precisions,
    Ratio,
    Section,
    as_tuple,
)
from bmzoo.errors import nearest
from bmzoo.target import Target

# Flags that change what model_deploy computes and that bmzoo does not already set from other keys.
DEPLOY_FLAGS = (
    "--asymmetric",
    "--quant_input",
    "--quant_output",
    "--quant_input_int8",
    "--quant_output_int8",
    "--quant_output_bf16",
    "--high_precision",
    "--ignore_f16_overflow",
    "--matmul_perchannel",
    "--do_winograd",
    "--op_divide",
    "--opt_post_processor",
    "--weight_deduplicate",
    "--disable_layer_group",
)


class SceneRange(Section):
    """Drawn scenes by their seeds: `count` of them from `seed` on."""

    # The project's own weights are trained on the seeds from a million on: bmzoo.scenes.FIRST_TRAINING_SEED.
    seed: Annotated[int, Field(ge=0, lt=1_000_000)]
    count: Annotated[int, Field(ge=1, le=10_000)]


class SceneSets(Section):
    """Drawn scenes in place of the pictures that a section of the config names, in the size of the input."""

    calibration: SceneRange | None = None
    quantization: SceneRange | None = None
    verify: SceneRange | None = None
    evaluate: SceneRange | None = None

    @model_validator(mode="after")
    def _apart(self) -> "SceneSets":
        sets = [(found.seed, found.seed + found.count, name) for name, found in self if found is not None]
        for (_, end, one), (start, last, other) in pairwise(sorted(sets)):
            if start < end:
                raise ValueError(f"{one} and {other} overlap in the scenes {start} to {min(end, last) - 1}")
            if last > 1_000_000:
                raise ValueError(f"{other} reaches into the scenes that weights are trained on: {last - 1}")
        return self


def _download_url(text: str) -> str:
    """A URL that weights may be fetched from. ValueError says why not."""
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"not an https URL: {text}")
    if "@" in parts.netloc:  # it would be shown in messages and logs
        raise ValueError(f"credentials do not belong in a URL: https://...@{parts.hostname}")
    return text


class Weights(Section):
    """One place that the model can come from. The first that is available is used.

    With `scenes`, what is made from them is calibrated, chosen, verified and evaluated on drawn scenes.
    """

    name: Name
    file: PathText
    sha256: Digest
    url: Annotated[str, AfterValidator(_download_url)] | None = None  # fetched when the file is nowhere here
    obtain: Annotated[str, Field(min_length=1, max_length=500)] | None = None  # how to get it, for people
    scenes: SceneSets | None = None
    # The graph that a .pth state dict belongs to; an .onnx file brings its own.
    architecture: Literal["retinaface_mobilenet0.25"] | None = None

    @model_validator(mode="after")
    def _kind(self) -> "Weights":
        suffix = Path(self.file).suffix
        if suffix not in (".pth", ".pt", ".onnx"):
            raise ValueError(f"neither a checkpoint (.pth) nor an ONNX file: {self.file}")
        if (suffix == ".onnx") == (self.architecture is not None):
            need = "has its own graph: leave out architecture" if self.architecture else "needs an architecture"
            raise ValueError(f"{self.file} {need}")
        return self


class Input(Section):
    """What the network is fed: `(pixel - mean) * scale` per channel, channels in `pixel_format` order.

    `flavour` is whose resize the pictures get, OpenCV's or that of the chips' BMCV. There is no `resize: original`:
    it is for networks that take any size, and an artifact is compiled for one.
    """

    name: str | None = None
    height: Annotated[int, Field(ge=1, le=8192)]
    width: Annotated[int, Field(ge=1, le=8192)]
    pixel_format: Literal["bgr", "rgb", "gray"] = "bgr"
    mean: PerChannel = (0.0, 0.0, 0.0)
    scale: PerChannel = (1.0, 1.0, 1.0)
    resize: Literal["letterbox", "letterbox_center", "stretch"] = "letterbox"
    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    flavour: Literal["opencv", "bmcv"] = "opencv"

    @property
    def channels(self) -> int:
        return 1 if self.pixel_format == "gray" else 3

    @model_validator(mode="after")
    def _channels(self) -> "Input":
        for key in ("mean", "scale"):
            value = getattr(self, key)
            if key not in self.model_fields_set:
                continue
            if len(value) != self.channels:
                have = f"{self.pixel_format} has {self.channels} channels"
                raise ValueError(f"{key} has {len(value)} values, {have}: {list(value)}")
        return self


class Decoder(Section):
    """How heads become detections. Defaults are RetinaFace-MobileNet0.25's."""

    kind: Literal["retinaface", "retinaface_maps", "scrfd", "ultraface", "none"]
    strides: Annotated[tuple[int, ...], BeforeValidator(as_tuple)] = (8, 16, 32)
    min_sizes: Annotated[tuple[tuple[int, ...], ...], BeforeValidator(as_tuple)] = (
        (16, 32),
        (64, 128),
        (256, 512),
    )
    variance: Annotated[tuple[float, float], BeforeValidator(as_tuple)] = (0.1, 0.2)
    nms: Ratio = 0.4

    @model_validator(mode="after")
    def _levels(self) -> "Decoder":
        if len(self.strides) != len(self.min_sizes):
            raise ValueError(f"strides and min_sizes differ in length: {len(self.strides)}, {len(self.min_sizes)}")
        return self


class Images(Section):
    """A folder of pictures, taken in name order; `count` is how many are used (all when left out).

    `first` names pictures that come before the others, in the order given.
    """

    folder: PathText
    count: Annotated[int, Field(ge=1)] | None = None
    first: Annotated[tuple[FileName, ...], BeforeValidator(as_tuple)] = ()


class Calibration(Section):
    """How activation thresholds are found by run_calibration; or a `table` written by hand, which then wins."""

    images: Images | None = None
    table: PathText | None = None
    method: Literal["kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss"] = "kl"
    histogram_bins: Annotated[int, Field(ge=64, le=65536)] = 2048
    tune: Annotated[int, Field(ge=0, le=100)] = 5
    # Scale the channels of convolutions alike first: float results stay, INT8 gets better where channels differ.
    equalize: bool = False
    # Too few pictures left after skipping damaged ones is an error: thresholds would be chance.
    minimum: Annotated[int, Field(ge=1)] = 8

    @model_validator(mode="after")
    def _one_source(self) -> "Calibration":
        if (self.images is None) == (self.table is None):
            raise ValueError("either images or table is needed, and not both")
        if self.equalize and self.images is None:
            raise ValueError("equalize needs images: a table written by hand belongs to the model as it is")
        return self


class Thresholds(Section):
    """What an artifact must reach against the ONNX model; unset values come from less specific rules."""

    cosine: Ratio | None = None  # smallest allowed over the heads
    sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None  # dB, smallest allowed over the heads
    iou: Ratio | None = None  # smallest IoU at which a face counts as found
    missed: Ratio | None = None  # largest allowed share of the ONNX model's faces not found
    extra: Ratio | None = None  # largest allowed share of faces that the ONNX model does not have
    engines: Ratio | None = None  # largest allowed difference of simulator and MLIR, relative to the range
    engines_sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None  # dB, smallest allowed between those two
    consistency: Ratio | None = None  # the same between batches and core counts


class Rule(Thresholds):
    """Thresholds for the targets that match every key given."""

    chip: Chips | None = None
    precision: Precisions | None = None
    target: str | None = None
    weights: Name | None = None


class Verify(Section):
    """The first verdict: one full batch of pictures on the chip simulator against ONNX."""

    images: Images
    confidence: Ratio = 0.5
    margin: Ratio = 0.02  # faces this near to the confidence are left out on both sides
    quantized: Annotated[int, Field(ge=1, le=1000)] = 8  # pictures for int8 and int4, at least the batch
    floats: Annotated[int, Field(ge=1, le=1000)] = 2  # pictures for float precisions, at least the batch
    thresholds: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()


class Evaluate(Section):
    """Pictures with known faces, used for reporting only: a JSON file beside them, or WIDER FACE's own layout."""

    truth: PathText
    confidence: Ratio = 0.02
    nms: Ratio = 0.4


class Selection(Section):
    """A product of chips, precisions, batches and core counts."""

    chip: Chips
    precision: Precisions
    batch: Batches = (1,)
    cores: CoreCounts = (1,)
    deploy: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _flags(self) -> "Selection":
        for flag in self.deploy:
            if flag not in DEPLOY_FLAGS:
                guess = nearest(flag, DEPLOY_FLAGS)
                near = f" (did you mean {guess}?)" if guess else ""
                raise ValueError(f"deploy flag is not on the allowed list{near}: {flag}")
        return self


class Exclusion(Section):
    """Leaves out the targets that match every key given."""

    chip: Chips | None = None
    precision: Precisions | None = None
    batch: Batches | None = None
    cores: CoreCounts | None = None

    def covers(self, target: Target) -> bool:
        return all(
            allowed is None or getattr(target, key) in allowed
            for key, allowed in ((k, getattr(self, k)) for k in ("chip", "precision", "batch", "cores"))
        )


LayerPattern = Annotated[str, Field(min_length=1, max_length=500)]


class Search(Section):
    """Which layers of an INT8 network stay in float; unset values come from less specific sections.

    `bmzoo` measures; the vendor's own two searches run TPU-MLIR's tools instead.
    """

    method: Literal["bmzoo", "vendor_qtable", "vendor_sensitive_layer"] | None = None
    max_float_layers: Annotated[int, Field(ge=0, le=4096)] | None = None  # 0: no search, plain INT8
    expected_cos: Ratio | None = None  # enough when the lowest cosine over heads is at least this
    gain: Ratio | None = None  # enough when a further layer takes off less than this share of plain INT8's loss
    keep: Annotated[int, Field(ge=1, le=4096)] | None = None  # the N most sensitive layers as ranked, no search
    metric: Literal["faces", "cosine"] | None = None  # what is made small: errors at faces, or 1 - cosine of heads
    # Layers that stay INT8 whatever they do, such as those that cost the chip too much in float: names or patterns.
    exclude: Annotated[tuple[LayerPattern, ...], BeforeValidator(as_tuple), Field(max_length=1000)] | None = None


class Quantization(Section):
    """Mixed precision: layers that stay in float in INT8 networks, searched or named by hand.

    `images` are for choosing (never calibrated with, never evaluated on); with `search.max_float_layers` they
    start a search. `chips` and `targets` override `search`. `tables` names tables written by hand, by chip or by
    target, which win.
    """

    tables: dict[str, PathText] = Field(default_factory=dict)
    images: Images | None = None
    search: Search = Field(default_factory=Search)
    chips: dict[str, Search] = Field(default_factory=dict)
    targets: dict[str, Search] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _images(self) -> "Quantization":
        asked = [
            s for s in (self.search, *self.chips.values(), *self.targets.values()) if s.max_float_layers or s.keep
        ]
        if asked and self.images is None:
            raise ValueError("images is missing: a search for float layers needs pictures to choose by")
        return self


class ModelConfig(Section):
    """One model and the targets wanted of it; the model's name is the file's."""

    weights: Annotated[tuple[Weights, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    input: Input
    decoder: Decoder
    calibration: Calibration | None = None
    quantization: Quantization = Field(default_factory=Quantization)
    verify: Verify
    evaluate: Evaluate | None = None
    targets: Annotated[tuple[Selection, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(as_tuple)] = ()


def json_schema() -> str:
    """`ModelConfig` as JSON Schema, for editors that check YAML while it is written."""
    return json.dumps(ModelConfig.model_json_schema(mode="validation"), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m bmzoo.config.schema > configs/schema.json
    sys.stdout.write(json_schema())
