"""The steps that all targets of a model share: import, scales, transform, calibrate. Pure data."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config.fields import Section
from bmzoo.config.images import Images
from bmzoo.config.model import Model, using
from bmzoo.config.schema import ModelConfig
from bmzoo.config.weights import Weights
from bmzoo.plan.decisions import SCALES, THRESHOLDS, decision
from bmzoo.plan.step import Command, ExternalData, File, Input, Output, Pictures, Step, Subject
from bmzoo.target import Target

# Ranges of channels settle after a few pictures; thresholds take more.
EQUALIZE_PICTURES = 32


@lru_cache(maxsize=64)
def import_step(model: Model, weights: Weights) -> Step:
    """The checkpoint or ONNX file to `model.onnx`, within the config's contract, its batch settled."""
    name = "source" + PurePosixPath(weights.file).suffix
    config = model.config
    request = {
        "source": name,
        "shown": weights.file,
        "architecture": weights.architecture,
        "input": config.input.model_dump(),
        "batches": sorted({t.batch for t in model.targets} | {1}),
        **_cut_and_contract(config),
    }
    return Step(
        "import",
        Subject(model.name, weights.name),
        (Command("import", ("request.json",)),),
        ((name, File(weights.file, weights.sha256)), *external_data(weights).items()),
        ("model.onnx", "model.json"),
        (document("request.json", request),),
    )


def equalized_for(model: Model, chip: str) -> str:
    """The quantizer that a chip's integer networks are equalized for; empty where they are not equalized."""
    return CHIPS[chip].quantizer if model.equalizes else ""


def tables(model: Model) -> tuple[str, ...]:
    """What calibration tables are for: quantizers with a network of their own, or "" for one that serves all."""
    chips = (target.chip for target in model.targets if target.precision in CALIBRATED)
    return tuple(dict.fromkeys(equalized_for(model, chip) for chip in chips)) or ("",)


@lru_cache(maxsize=64)
def scales_step(model: Model, weights: Weights, quantizer: str) -> Step:
    """By what each channel is divided so that a quantizer's scales fit all of them, from ranges over pictures."""
    model = using(model, weights)
    settings = model.config.calibration
    assert settings is not None and settings.images is not None, "only for models that calibrate"
    source, kind = import_step(model, weights), CHIPS[quantizer].scales
    count = min(settings.images.count or EQUALIZE_PICTURES, EQUALIZE_PICTURES)
    shown = replace(pictures(settings.images), count=count)
    return Step(
        "scales",
        Subject(model.name, weights.name, quantizer),
        (Command("prepare", ("request.json",)), Command("scales", ("source.onnx", kind))),
        (
            ("source.onnx", Output(source, "model.onnx")),
            ("model.json", Output(source, "model.json")),
            ("pictures", shown),
        ),
        ("channels.scales",),
        (document("request.json", {**input_request(model), "minimum": 1}),),
        decision(SCALES, {**network(model, weights), "scales": kind}, {**derived_from(weights), "pictures": shown}),
    )


def derived_from(weights: Weights) -> dict[str, Input]:
    """The weights as a source of decisions."""
    return {"weights": File(weights.file, weights.sha256), **external_data(weights)}


def external_data(weights: Weights) -> dict[str, Input]:
    """What an ONNX file may keep in files beside it, as an input of that name."""
    if weights.architecture is not None:
        return {}
    pinned = tuple(File(one.file, one.sha256) for one in weights.external_data)
    return {"external": ExternalData(File(weights.file, weights.sha256), pinned)}


def network(model: Model, weights: Weights) -> dict[str, Any]:
    """Settings that decide what network the weights become and what it is fed."""
    source = {"input": stated(model.config.input), "architecture": weights.architecture}
    return {**source, **_cut_and_contract(model.config)}


def _cut_and_contract(config: ModelConfig) -> dict[str, Any]:
    """What makes another network of a file than is in it, where the config says so."""
    return config.model_dump(mode="json", include={"outputs", "contract"}, exclude_defaults=True)


def stated(section: Section) -> dict[str, Any]:
    """What a section says beyond its defaults, so that a key that is added later leaves decisions as they are."""
    return section.model_dump(mode="json", exclude_defaults=True)


def equalization(model: Model, weights: Weights, quantizer: str) -> dict[str, Output]:
    """The scales as an input where a quantizer's network is equalized. `quantizer`: empty where it is not."""
    if not quantizer:
        return {}
    return {"channels.scales": Output(scales_step(model, weights, quantizer), "channels.scales")}


@lru_cache(maxsize=256)
def transform_step(model: Model, weights: Weights, batch: int, equalized: str = "") -> Step:
    """`model.onnx`, equalized for a quantizer if need be, to top-level MLIR at a fixed batch.

    The .mlir names its weights by relative path. The equalized model is among the outputs.
    """
    source = import_step(model, weights)
    i = model.config.input
    args = [
        *("--model_name", model.name, "--model_def", "model.onnx"),
        *("--input_shapes", _text([[batch, i.channels, i.height, i.width]])),
        *("--mean", _numbers(i.mean[: i.channels]), "--scale", _numbers(i.scale[: i.channels])),
        *("--pixel_format", i.pixel_format, "--pad_value", str(i.pad_value)),
        *("--pad_type", "center" if i.resize == "letterbox_center" else "normal"),
        *(() if i.resize == "stretch" else ("--keep_aspect_ratio",)),
        *("--mlir", "model.mlir"),
    ]
    scales = equalization(model, weights, equalized)
    picture = _text([1, i.channels, i.height, i.width])
    apply = (Command("equalize", ("source.onnx", "channels.scales", picture)),) if scales else ()
    return Step(
        "transform",
        Subject(
            model.name, weights.name, detail=f"{batch}b" + (f" equalized for {equalized}" if equalized else "")
        ),
        (*apply, Command("model_transform.py", tuple(args))),
        (("source.onnx" if scales else "model.onnx", Output(source, "model.onnx")), *scales.items()),
        ("model.mlir", weights_file(model), *(("model.onnx",) if scales else ())),
    )


def quantized_source(model: Model, chip: str, weights: Weights) -> Step:
    """The step whose `model.onnx` a chip's INT8 is made of: the import, or the transform that equalized it."""
    equalized = equalized_for(model, chip)
    return transform_step(model, weights, 1, equalized) if equalized else import_step(model, weights)


@lru_cache(maxsize=64)
def calibrate_step(model: Model, weights: Weights, equalized: str = "") -> Step:
    """The calibration table: activation thresholds over real pictures, for every chip or a quantizer's."""
    model = using(model, weights)
    settings = model.config.calibration
    assert settings is not None and settings.images is not None, "only for models that calibrate"
    transform = transform_step(model, weights, 1, equalized)
    int4 = any(t.precision == "int4" for t in model.targets)
    shown = pictures(settings.images)
    args = (
        *("model.mlir", "--data_list", "samples.txt", "--input_num", str(settings.images.count or 0)),
        *("--cali_method", settings.method, "--histogram_bin_num", str(settings.histogram_bins)),
        *("--tune_num", str(settings.tune)),
        *(("--debug_cmd", "int4") if int4 else ()),
        *("-o", "tool.table"),
    )
    method = {"method": settings.method, "histogram_bins": settings.histogram_bins, "tune": settings.tune}
    return Step(
        "calibrate",
        Subject(model.name, weights.name, equalized),
        (
            Command("prepare", ("request.json",)),
            Command("run_calibration.py", args),
            Command("table", ("request.json",)),
        ),
        (
            *mlir_inputs(transform),
            ("model.json", Output(import_step(model, weights), "model.json")),
            ("pictures", shown),
        ),
        ("calibration.table",),
        (document("request.json", {**input_request(model), "minimum": settings.minimum}),),
        decision(
            THRESHOLDS,
            {**network(model, weights), **method, "int4": int4},
            {**derived_from(weights), "pictures": shown, **equalization(model, weights, equalized)},
            vendor=True,
        ),
    )


def calibration(model: Model, target: Target, weights: Weights) -> Step | None:
    """The step that finds the target's thresholds; None for float precisions and tables written by hand."""
    needed = target.precision in CALIBRATED and model.calibrates
    return calibrate_step(model, weights, equalized_for(model, target.chip)) if needed else None


def transform_for(model: Model, target: Target, weights: Weights, batch: int) -> Step:
    """The top-level MLIR that a target is lowered from, at a batch size."""
    quantized = target.precision in CALIBRATED
    return transform_step(model, weights, batch, equalized_for(model, target.chip) if quantized else "")


def input_request(model: Model) -> dict[str, Any]:
    """The config's input section, as the commands that prepare pictures read it."""
    return {"input": model.config.input.model_dump()}


def pictures(images: Images) -> Pictures:
    """A config's image set as a step's input."""
    return Pictures(images.folder, images.count or 0, images.first)


def mlir_inputs(transform: Step) -> tuple[tuple[str, Output], ...]:
    """A top-level MLIR and its weights, as the inputs of a step under their own names."""
    return tuple((file, Output(transform, file)) for file in transform.outputs if file != "model.onnx")


def weights_file(model: Model) -> str:
    """The weights beside the top-level MLIR, as model_transform names them."""
    return f"{model.name}_top_f32_all_weight.npz"


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{v:g}" for v in values)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def document(name: str, value: Any) -> tuple[str, str]:
    """A JSON document of a step: its name in the folder and its text, the same for equal values."""
    return name, _indented(json.dumps(value, sort_keys=True))


@lru_cache(maxsize=4096)
def _indented(compact: str) -> str:
    """Remembered because Python indents slowly, and most targets of a model have the same documents."""
    return json.dumps(json.loads(compact), indent=1, sort_keys=True) + "\n"
