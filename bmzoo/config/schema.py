"""A model's config: every key that its YAML file in `configs/` may hold, its type, range and default.

`configs/schema.json` is this as JSON Schema, for editors.
"""

import json
import sys
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bmzoo.config.descriptions import described_schema
from bmzoo.config.fields import (
    Batches,
    Chips,
    CoreCounts,
    Digest,
    FileName,
    Means,
    Name,
    OneOf,
    PathText,
    Pixels,
    Precisions,
    Ratio,
    Scales,
    Section,
    as_tuple,
)
from bmzoo.config.scene_sets import FIRST_TRAINED_SCENE, common, trained_on
from bmzoo.config.search_methods import METHODS
from bmzoo.errors import nearest
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.runtime.decoders.spec import DecoderSpec, unlike
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

    seed: Annotated[int, Field(ge=0, lt=FIRST_TRAINED_SCENE)]
    """The first scene; a million and more are what the project's own weights were trained on."""
    count: Annotated[int, Field(ge=1, le=10_000)]
    """How many scenes, each of the seed after the one before."""

    @property
    def seeds(self) -> range:
        return range(self.seed, self.seed + self.count)

    @model_validator(mode="after")
    def _unseen(self) -> "SceneRange":
        if problem := trained_on(self.seeds):
            raise ValueError(problem)
        return self


class SceneSets(Section):
    """Drawn scenes in place of the pictures that a section of the config names, in the size of the input."""

    calibration: SceneRange | None = None
    """In place of `calibration.images`."""
    quantization: SceneRange | None = None
    """In place of `quantization.images`."""
    verify: SceneRange | None = None
    """In place of `verify.images`."""
    evaluate: SceneRange | None = None
    """In place of `evaluate.truth`; where the faces are is known exactly."""

    @model_validator(mode="after")
    def _apart(self) -> "SceneSets":
        sets = [(name, found.seeds) for name, found in self if found is not None]
        for (one, seeds), (other, others) in combinations(sets, 2):
            if shared := common(seeds, others):
                raise ValueError(f"{one} and {other} overlap in the scenes {shared}")
        return self


def _download_url(text: str) -> str:
    """A URL that weights may be fetched from. ValueError says why not."""
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"not an https URL: {text}")
    if "@" in parts.netloc:  # it would be shown in messages and logs
        raise ValueError(f"credentials do not belong in a URL: https://...@{parts.hostname}")
    return text


def _path_inside(text: str) -> str:
    """A path below the folder of another file. ValueError says why not."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or str(path) != text or not text.isprintable():
        raise ValueError(f"not a path below the model's folder: {text!r}")
    return text


class ExternalDataFile(Section):
    """A file that an ONNX file keeps weights in."""

    file: Annotated[PathText, AfterValidator(_path_inside)]
    """Its path from the folder of the ONNX file, as that names it."""
    sha256: Digest
    """What the file must hold, as `sha256sum` prints it."""


class Weights(Section):
    """One place that the model can come from. The first that is available is used.

    With `scenes`, what is made from them is calibrated, chosen, verified and evaluated on drawn scenes.
    """

    name: Name
    """Stands in the name of all that is made from these weights, and in tables and results."""
    file: PathText
    """A checkpoint (`.pth`, `.pt`) or an ONNX file, looked up as every file of a config."""
    sha256: Digest
    """What the file must hold, as `sha256sum` prints it."""
    url: Annotated[str, AfterValidator(_download_url)] | None = None
    """Where the file is fetched from when it is nowhere here; `https` only, never with `BMZOO_OFFLINE=1`."""
    obtain: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """How people get the file; shown when it is missing."""
    scenes: SceneSets | None = None
    """Drawn scenes in place of pictures."""
    external_data: Annotated[tuple[ExternalDataFile, ...], BeforeValidator(as_tuple)] = ()
    """All files that an ONNX file keeps weights in; found beside it without this, and then not pinned."""
    architecture: Literal["retinaface_mobilenet0.25"] | None = None
    """The graph that a `.pth` state dict belongs to; an `.onnx` file brings its own."""

    @model_validator(mode="after")
    def _kind(self) -> "Weights":
        suffix = Path(self.file).suffix
        if suffix not in (".pth", ".pt", ".onnx"):
            raise ValueError(f"neither a checkpoint (.pth) nor an ONNX file: {self.file}")
        if (suffix == ".onnx") == (self.architecture is not None):
            need = "has its own graph: leave out architecture" if self.architecture else "needs an architecture"
            raise ValueError(f"{self.file} {need}")
        names = [one.file for one in self.external_data]
        if names and suffix != ".onnx":
            raise ValueError(f"{self.file} has no external data: leave out external_data")
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise ValueError(f"external_data names a file twice: {twice[0]}")
        return self


class Input(Section):
    """What the network is fed: `(pixel - mean) * scale` per channel, channels in `pixel_format` order.

    `flavour` is whose resize the pictures get, OpenCV's or that of the chips' BMCV. There is no `resize: original`:
    it is for networks that take any size, and an artifact is compiled for one.
    """

    name: str | None = None
    """Name of the model's input; another one is an error."""
    height: Pixels
    """Height of the network's input, in pixels."""
    width: Pixels
    """Width of the network's input, in pixels."""
    pixel_format: Literal["bgr", "rgb", "gray"] = "bgr"
    """Order of the channels that the network was trained with."""
    mean: Means = (0.0, 0.0, 0.0)
    """Taken off each channel, in pixel values 0 to 255; as many values as `pixel_format` has channels."""
    scale: Scales = (1.0, 1.0, 1.0)
    """Multiplied with after that; as many values as `pixel_format` has channels."""
    resize: Literal["letterbox", "letterbox_center", "stretch"] = "letterbox"
    """How a picture comes to the input's size: `letterbox` keeps its shape and puts it top left, `letterbox_center`
    in the middle, `stretch` fills the input.
    """
    pad_value: Annotated[int, Field(ge=0, le=255)] = 0
    """Pixel value of what `letterbox` leaves free."""
    flavour: Literal["opencv", "bmcv"] = "opencv"
    """Whose resize the pictures get: OpenCV's or that of the chips' BMCV."""

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


Sizes = Annotated[tuple[Pixels, ...], Field(min_length=1)]
Variance = Annotated[float, Field(gt=0, le=10)]


class Decoder(Section):
    """How heads become detections. Defaults are RetinaFace-MobileNet0.25's."""

    kind: Annotated[str, OneOf(DECODERS)]
    """What the heads mean; `none` for networks that find nothing in pictures: only their tensors are compared."""
    strides: Annotated[Sizes, BeforeValidator(as_tuple)] = DecoderSpec.strides
    """Pixels of the input for each cell of a head, by level."""
    min_sizes: Annotated[tuple[Sizes, ...], BeforeValidator(as_tuple)] = DecoderSpec.min_sizes
    """Sides of the anchors in pixels, by level."""
    variance: Annotated[tuple[Variance, Variance], BeforeValidator(as_tuple)] = DecoderSpec.variance
    """Scales of the offsets of centres and of sizes."""
    nms: Ratio = 0.4
    """Largest overlap (IoU) of two faces that both stay."""

    @model_validator(mode="after")
    def _levels(self) -> "Decoder":
        if problem := unlike(self.strides, self.min_sizes):
            raise ValueError(problem)
        return self


class Images(Section):
    """A folder of pictures, taken in name order; `count` is how many are used (all when left out).

    `first` names pictures that come before the others, in the order given.
    """

    folder: PathText
    """A folder of pictures, looked up as every file of a config."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many are used; all when left out."""
    first: Annotated[tuple[FileName, ...], BeforeValidator(as_tuple)] = ()
    """Names of pictures that come before the others, in the order given."""

    @model_validator(mode="after")
    def _once(self) -> "Images":
        if twice := [name for index, name in enumerate(self.first) if name in self.first[:index]]:
            raise ValueError(f"first names a picture twice: {twice[0]}")
        return self


class Calibration(Section):
    """How activation thresholds are found by run_calibration; or a `table` written by hand, which then wins."""

    images: Images | None = None
    """Pictures over which the range of every activation is watched."""
    table: PathText | None = None
    """A calibration table written by hand, in place of `images`."""
    method: Literal["kl", "mse", "max", "percentile9999", "aciq_laplace", "aciq_gauss"] = "kl"
    """How a threshold is chosen from a layer's values."""
    histogram_bins: Annotated[int, Field(ge=64, le=65536)] = 2048
    """Bins of the histogram of each layer's values."""
    tune: Annotated[int, Field(ge=0, le=100)] = 5
    """How many pictures the thresholds are tuned on afterwards; 0 for none."""
    equalize: bool = False
    """Scale the channels of convolutions alike first: float results stay, INT8 gets better where they differ."""
    minimum: Annotated[int, Field(ge=1)] = 8
    """Fewer pictures than this, after damaged ones are skipped, are an error: thresholds would be chance."""

    @model_validator(mode="after")
    def _one_source(self) -> "Calibration":
        if (self.images is None) == (self.table is None):
            raise ValueError("either images or table is needed, and not both")
        if self.equalize and self.images is None:
            raise ValueError("equalize needs images: a table written by hand belongs to the model as it is")
        return self


class Thresholds(Section):
    """What an artifact must reach against the ONNX model; unset values come from less specific rules."""

    cosine: Ratio | None = None
    """Smallest cosine similarity of a head."""
    sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None
    """Smallest signal-to-quantization-noise ratio of a head, in dB."""
    iou: Ratio | None = None
    """Smallest IoU at which a face counts as found."""
    missed: Ratio | None = None
    """Largest share of the ONNX model's faces that are not found."""
    extra: Ratio | None = None
    """Largest share of faces that the ONNX model does not have."""
    faces: Annotated[int, Field(ge=0)] | None = None
    """Fewest faces that both must find; 0 where pictures without any are enough to compare."""
    engines: Ratio | None = None
    """Largest difference between simulator and MLIR, relative to the range of the head."""
    engines_sqnr: Annotated[float, Field(ge=-100, le=200)] | None = None
    """Smallest signal-to-noise ratio between simulator and MLIR, in dB."""
    consistency: Ratio | None = None
    """Largest difference between batches and between core counts, relative to the range of the head."""


class Rule(Thresholds):
    """Thresholds for the targets that match every key given."""

    chip: Chips | None = None
    """Only targets of these chips."""
    precision: Precisions | None = None
    """Only targets of these precisions."""
    target: str | None = None
    """Only this target, such as `bm1688_int8_4b_2core`."""
    weights: Name | None = None
    """Only what is made from these weights."""


class Verify(Section):
    """The first verdict: one full batch of pictures on the chip simulator against ONNX."""

    images: Images
    """Pictures to compare on; the first ones fill the batch that runs on the simulator."""
    confidence: Ratio = 0.5
    """Lowest score of a face that is compared."""
    margin: Ratio = 0.02
    """Faces this near to the confidence are left out on both sides."""
    quantized: Annotated[int, Field(ge=1, le=1000)] = 8
    """Pictures for `int8` and `int4`, at least the batch, at most `images.count`."""
    floats: Annotated[int, Field(ge=1, le=1000)] = 2
    """Pictures for float precisions, at least the batch, at most `images.count`."""
    thresholds: Annotated[tuple[Rule, ...], BeforeValidator(as_tuple)] = ()
    """What must be reached; later rules win over earlier ones."""


class Evaluate(Section):
    """Pictures with known faces, used for reporting only: a JSON file beside them, or WIDER FACE's own layout."""

    truth: PathText
    """A JSON file beside the pictures, or the folder of WIDER FACE's validation set."""
    confidence: Ratio = 0.02
    """Lowest score of a face that counts."""
    nms: Ratio = 0.4
    """Largest overlap (IoU) of two faces that both stay."""


class Selection(Section):
    """A product of chips, precisions, batches and core counts."""

    chip: Chips
    """One chip or several."""
    precision: Precisions
    """One precision or several."""
    batch: Batches = (1,)
    """Pictures for each run, one number or several."""
    cores: CoreCounts = (1,)
    """TPU cores for each run, one number or several."""
    deploy: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = ()
    """Further flags of model_deploy, from the list of allowed ones."""

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
    """Targets of these chips."""
    precision: Precisions | None = None
    """Targets of these precisions."""
    batch: Batches | None = None
    """Targets of these batches."""
    cores: CoreCounts | None = None
    """Targets of these core counts."""

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

    method: Annotated[str, OneOf(METHODS)] | None = None
    """Who searches: bmzoo, or one of TPU-MLIR's own programs where the installed version has it."""
    max_float_layers: Annotated[int, Field(ge=0, le=4096)] | None = None
    """How many layers may stay in float; 0 is plain INT8, with no search."""
    expected_cos: Ratio | None = None
    """The search ends when the lowest cosine over heads is at least this."""
    gain: Ratio | None = None
    """The search ends when a further layer takes off less than this share of plain INT8's loss."""
    keep: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Take the N most sensitive layers as ranked, with no search."""
    metric: Literal["faces", "cosine"] | None = None
    """What is made small: errors at faces, or 1 - cosine of heads."""
    exclude: Annotated[tuple[LayerPattern, ...], BeforeValidator(as_tuple), Field(max_length=1000)] | None = None
    """Layers that stay in INT8 whatever they do, such as those that cost too much in float: names or patterns."""


class Quantization(Section):
    """Mixed precision: layers that stay in float in INT8 networks, searched or named by hand.

    `images` are for choosing (never calibrated with, never evaluated on); with `search.max_float_layers` they
    start a search. `chips` and `targets` override `search`. `tables` names tables written by hand, by chip or by
    target, which win.
    """

    tables: dict[str, PathText] = Field(default_factory=dict)
    """Mixed-precision tables written by hand, by chip or by target; they win."""
    images: Images | None = None
    """Pictures to choose by; never calibrated with, never evaluated on."""
    search: Search = Field(default_factory=Search)
    """How layers are chosen, for every target."""
    chips: dict[str, Search] = Field(default_factory=dict)
    """The same for a chip, by its name."""
    targets: dict[str, Search] = Field(default_factory=dict)
    """The same for a target, by its name."""

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
    """Where the model can come from; the first that is available is used."""
    input: Input
    """What the network is fed."""
    decoder: Decoder
    """How its heads become detections."""
    calibration: Calibration | None = None
    """Needed where a target is `int8` or `int4`."""
    quantization: Quantization = Field(default_factory=Quantization)
    """Which layers of INT8 networks stay in float."""
    verify: Verify
    """When an artifact is near enough to the ONNX model."""
    evaluate: Evaluate | None = None
    """Ground truth, for average precision."""
    targets: Annotated[tuple[Selection, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    """What is wanted; a target asked for twice is made once."""
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(as_tuple)] = ()
    """Targets to leave out of the above."""


def json_schema() -> str:
    """`ModelConfig` as JSON Schema, for editors that check YAML while it is written."""
    return json.dumps(described_schema(ModelConfig), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":  # python -m bmzoo.config.schema > configs/schema.json
    sys.stdout.write(json_schema())
