"""From a model's config to steps: import, transform, calibrate, deploy, simulate, measure. Pure data.

Sharing follows from equality: one import per model and weights, one transform per batch, one calibration
per model and weights, one deploy and one simulation per target.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from bmzoo.chips import CALIBRATED, QUANTIZE
from bmzoo.config import Model
from bmzoo.schema import Images, Weights
from bmzoo.step import Command, File, Input, Output, Pictures, Step
from bmzoo.target import Target

SIMULATION_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Recipe:
    """All steps of one target; `calibrate` is None for float precisions and for tables written by hand."""

    target: Target
    weights: str
    source: Step
    transform: Step
    calibrate: Step | None
    deploy: Step
    simulate: Step
    measure: Step

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(dict.fromkeys(_in_order(self.measure)))


def recipe(model: Model, target: Target, weights: Weights) -> Recipe:
    """The steps that make and judge one target from one of the model's weights."""
    source = import_step(model, weights)
    transform = transform_step(model, weights, target.batch)
    needed = target.precision in CALIBRATED and model.calibrates
    calibrate = calibrate_step(model, weights) if needed else None
    deploy = _deploy_step(model, target, transform, calibrate, weights)
    simulate = _simulate_step(model, target, source, deploy, weights)
    measure = _measure_step(model, target, source, simulate, weights)
    return Recipe(target, weights.name, source, transform, calibrate, deploy, simulate, measure)


def import_step(model: Model, weights: Weights) -> Step:
    """The checkpoint or ONNX file to `model.onnx`, within the onnx 1.6.0 contract, batch really free."""
    name = "source" + PurePosixPath(weights.file).suffix
    config = model.config
    request = {
        "source": name,
        "shown": weights.file,
        "architecture": weights.architecture,
        "input": config.input.model_dump(),
        "batches": sorted({t.batch for t in model.targets} | {1}),
    }
    return Step(
        "import",
        f"{model.name}.{weights.name}",
        (Command("import", ("request.json",)),),
        ((name, File(weights.file, weights.sha256)),),
        ("model.onnx", "model.json"),
        (document("request.json", request),),
    )


def transform_step(model: Model, weights: Weights, batch: int) -> Step:
    """`model.onnx` to top-level MLIR at a fixed batch. The .mlir names its weights by relative path."""
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
    return Step(
        "transform",
        f"{model.name}.{weights.name} {batch}b",
        (Command("model_transform.py", tuple(args)),),
        (("model.onnx", Output(import_step(model, weights), "model.onnx")),),
        ("model.mlir", weights_file(model)),
    )


def calibrate_step(model: Model, weights: Weights) -> Step:
    """The calibration table: activation thresholds over real pictures, the same for every chip."""
    settings = model.config.calibration
    assert settings is not None and settings.images is not None, "only for models that calibrate"
    transform = transform_step(model, weights, 1)
    int4 = any(t.precision == "int4" for t in model.targets)
    args = (
        *("model.mlir", "--data_list", "samples.txt", "--input_num", str(settings.images.count or 0)),
        *("--cali_method", settings.method, "--histogram_bin_num", str(settings.histogram_bins)),
        *("--tune_num", str(settings.tune)),
        *(("--debug_cmd", "int4") if int4 else ()),
        *("-o", "tool.table"),
    )
    return Step(
        "calibrate",
        f"{model.name}.{weights.name}",
        (
            Command("prepare", ("request.json",)),
            Command("run_calibration.py", args),
            Command("table", ("request.json",)),
        ),
        (
            *_mlir_inputs(model, transform),
            ("model.json", Output(import_step(model, weights), "model.json")),
            ("pictures", pictures(settings.images)),
        ),
        ("calibration.table",),
        (
            document(
                "request.json",
                {
                    "input": model.config.input.model_dump(),
                    "minimum": settings.minimum,
                    "method": settings.method,
                },
            ),
        ),
    )


def _deploy_step(model: Model, target: Target, transform: Step, calibrate: Step | None, weights: Weights) -> Step:
    inputs, checks, args = compiler_inputs(model, target, transform, calibrate)
    return Step(
        "deploy",
        subject(target, weights),
        (
            *checks,
            Command("model_deploy.py", (*args, "--num_core", str(target.cores), "--model", "model.bmodel")),
            Command("model_tool", ("--info", "model.bmodel"), stdout="info.txt"),
            Command("finish", ("model.bmodel", "info.txt", str(target.cores))),
        ),
        inputs,
        ("model.bmodel", "facts.json"),
    )


def compiler_inputs(
    model: Model, target: Target, transform: Step, calibrate: Step | None
) -> tuple[tuple[tuple[str, Input], ...], tuple[Command, ...], tuple[str, ...]]:
    """What model_deploy reads for a target, the checks before it, and its arguments but for cores and output."""
    table = model.table(target)
    inputs: list[tuple[str, Input]] = [*_mlir_inputs(model, transform)]
    args = ["--mlir", "model.mlir", "--chip", target.chip, "--quantize", QUANTIZE[target.precision]]
    checks: tuple[Command, ...] = ()
    if target.precision in CALIBRATED:
        inputs.append(("calibration.table", _thresholds(model, calibrate)))
        args += ["--calibration_table", "calibration.table"]
        checks = (Command("check-tables", ("model.mlir",)),)
    if table is not None:
        inputs.append(("mixed.qtable", File(table)))
        args += ["--quantize_table", "mixed.qtable"]
    if target.precision == "int4":
        args += ["--tolerance", "0,0"]  # int4 has no default tolerance and the tool stops without one
    return tuple(inputs), checks, (*args, *model.deploy_flags(target), "--skip_validation")


def _simulate_step(model: Model, target: Target, source: Step, deploy: Step, weights: Weights) -> Step:
    request = {"input": model.config.input.model_dump(), "minimum": 1, "slots": target.batch}
    return Step(
        "simulate",
        subject(target, weights),
        (
            Command("prepare", ("request.json",)),
            Command("simulate", (target.chip, *_simulation_files())),
        ),
        (
            ("model.json", Output(source, "model.json")),
            ("model.bmodel", Output(deploy, "model.bmodel")),
            ("pictures", replace(pictures(model.config.verify.images), count=target.batch)),
        ),
        ("inputs.npz", "outputs.npz"),
        (document("request.json", request),),
        timeout=SIMULATION_TIMEOUT,
    )


def _measure_step(model: Model, target: Target, source: Step, simulate: Step, weights: Weights) -> Step:
    config = model.config
    request = {
        "decoder": config.decoder.model_dump(),
        "confidence": config.verify.confidence,
        "margin": config.verify.margin,
        "iou": model.thresholds(target).iou,
        "input": config.input.model_dump(),
    }
    return Step(
        "measure",
        subject(target, weights),
        (Command("measure", ("request.json",)),),
        (
            ("model.onnx", Output(source, "model.onnx")),
            ("inputs.npz", Output(simulate, "inputs.npz")),
            ("outputs.npz", Output(simulate, "outputs.npz")),
        ),
        ("figures.json",),
        (document("request.json", request),),
    )


def _thresholds(model: Model, calibrate: Step | None) -> Input:
    """Where the calibration table comes from: the calibration, or the table that the config names."""
    if calibrate is not None:
        return Output(calibrate, "calibration.table")
    settings = model.config.calibration
    assert settings is not None and settings.table is not None, "checked when the config was read"
    return File(settings.table)


def input_request(model: Model) -> dict[str, Any]:
    """The config's input section, as the commands that prepare pictures read it."""
    return {"input": model.config.input.model_dump()}


def pictures(images: Images) -> Pictures:
    """A config's image set as a step's input."""
    return Pictures(images.folder, images.count or 0, images.first)


def _simulation_files() -> tuple[str, ...]:
    return ("--model", "model.bmodel", "--inputs", "inputs.npz", "--outputs", "outputs.npz")


def _mlir_inputs(model: Model, transform: Step) -> tuple[tuple[str, Output], ...]:
    return tuple((file, Output(transform, file)) for file in transform.outputs)


def weights_file(model: Model) -> str:
    """The weights beside the top-level MLIR, as model_transform names them."""
    return f"{model.name}_top_f32_all_weight.npz"


def subject(target: Target, weights: Weights) -> str:
    """What a step of one target is about, for people and log files."""
    return f"{target.model}.{weights.name} {target}"


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{v:g}" for v in values)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def document(name: str, value: Any) -> tuple[str, str]:
    """A JSON document of a step: its name in the folder and its text, the same for equal values."""
    return name, json.dumps(value, indent=1, sort_keys=True) + "\n"


def _in_order(step: Step) -> Iterator[Step]:
    """A step after everything that it needs."""
    for needed in step.needs():
        yield from _in_order(needed)
    yield step
