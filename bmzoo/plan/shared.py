"""The steps that all targets of a model share: import, scales, transform, calibrate. Pure data."""

import json
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from bmzoo.chips import CALIBRATED, CHIPS, EQUALIZED_AS
from bmzoo.config.model import Model, using
from bmzoo.config.schema import ModelConfig
from bmzoo.config.weights import Weights
from bmzoo.plan.calibrating import OWN_ENGINE, calibrator, refined
from bmzoo.plan.decisions import SCALES, THRESHOLDS, decision
from bmzoo.plan.decoding import decoder_decides, decoder_files, decoder_request
from bmzoo.plan.fed import fed, input_request, is_shaped_by_file, pictures, stated_inputs
from bmzoo.plan.step import Command, ExternalData, File, Input, Output, Step, Subject
from bmzoo.plan.transforming import noise_shape, transform_arguments
from bmzoo.target import Target

# Ranges of channels settle after a few pictures; thresholds take more.
EQUALIZE_PICTURES = 32


@lru_cache(maxsize=64)
def import_step(model: Model, weights: Weights) -> Step:
    """The checkpoint or ONNX file to `model.onnx`, within the config's contract, its batch settled."""
    name = "source" + PurePosixPath(weights.file).suffix
    request = {
        "source": name,
        "shown": weights.file,
        "architecture": weights.architecture,
        **input_request(model),
        "batches": sorted({t.batch for t in model.targets} | {1}),
        **({"prototxt": weights.prototxt.file} if weights.prototxt else {}),
        **_cut_and_contract(model.config),
    }
    return Step(
        "import",
        Subject(model.name, weights.name),
        (Command("import", ("request.json",)),),
        ((name, File(weights.file, weights.sha256)), *_beside(weights).items()),
        ("model.onnx", "model.json"),
        (document("request.json", request),),
    )


def equalized_for(model: Model, chip: str) -> str:
    """The quantizer that a chip's integer networks are equalized for; empty where they are not equalized.

    What is done to a network follows from how weights are scaled alone: one stands for all that do it alike.
    """
    return EQUALIZED_AS[CHIPS[chip].scales] if model.equalizes else ""


def tables(model: Model) -> tuple[str, ...]:
    """What calibration tables are for: quantizers with a network of their own, or "" for one that serves all."""
    chips = (target.chip for target in model.targets if target.precision in CALIBRATED)
    return tuple(dict.fromkeys(equalized_for(model, chip) for chip in chips)) or ("",)


@lru_cache(maxsize=64)
def _ranges_step(model: Model, weights: Weights) -> Step:
    """The largest |value| of each channel over pictures: `ranges.json`, for all quantizers."""
    model = using(model, weights)
    source = import_step(model, weights)
    count, shown = _equalized_on(model)
    return Step(
        "ranges",
        Subject(model.name, weights.name),
        (Command("prepare", ("request.json",)), Command("ranges", ("source.onnx",))),
        (
            ("source.onnx", Output(source, "model.onnx")),
            ("model.json", Output(source, "model.json")),
            *shown,
        ),
        ("ranges.json",),
        (document("request.json", {**input_request(model), "minimum": 1, **unpictured(model, count)}),),
    )


@lru_cache(maxsize=64)
def scales_step(model: Model, weights: Weights, quantizer: str) -> Step:
    """By what each channel is divided so that a quantizer's scales fit all of them, from ranges over pictures."""
    model = using(model, weights)
    kind = CHIPS[quantizer].scales
    sources = {**derived_from(weights), **dict(_equalized_on(model)[1])}
    return Step(
        "scales",
        Subject(model.name, weights.name, quantizer),
        (Command("scales", ("source.onnx", kind)),),
        (
            ("source.onnx", Output(import_step(model, weights), "model.onnx")),
            ("ranges.json", Output(_ranges_step(model, weights), "ranges.json")),
        ),
        ("channels.scales",),
        decision=decision(SCALES, {**network(model, weights), "scales": kind}, sources),
    )


def _equalized_on(model: Model) -> tuple[int, tuple[tuple[str, Input], ...]]:
    """How many pictures ranges are taken from, and those."""
    settings = model.config.calibration
    assert settings is not None, "only for models that calibrate"
    images = settings.images
    count = min((settings.count if images is None else images.count) or EQUALIZE_PICTURES, EQUALIZE_PICTURES)
    return count, fed(model, images, count)


def derived_from(weights: Weights) -> dict[str, Input]:
    """The weights as a source of decisions."""
    return {"weights": File(weights.file, weights.sha256), **_beside(weights)}


def _beside(weights: Weights) -> dict[str, Input]:
    """The other files that the weights are read with, by name in the step."""
    return {**prototxt(weights), **external_data(weights)}


def prototxt(weights: Weights) -> dict[str, File]:
    """The network of a `.caffemodel`, as an input of that name."""
    given = weights.prototxt
    return {} if given is None else {"source.prototxt": File(given.file, given.sha256)}


def external_data(weights: Weights) -> dict[str, Input]:
    """What an ONNX file may keep in files beside it, as an input of that name."""
    if PurePosixPath(weights.file).suffix != ".onnx":
        return {}
    pinned = tuple(File(one.file, one.sha256) for one in weights.external_data)
    return {"external": ExternalData(File(weights.file, weights.sha256), pinned)}


def network(model: Model, weights: Weights) -> dict[str, Any]:
    """Settings that decide what network the weights become and what it is fed."""
    source = {**stated_inputs(model), "architecture": weights.architecture}
    return {**source, **_cut_and_contract(model.config)}


def _cut_and_contract(config: ModelConfig) -> dict[str, Any]:
    """What makes another network of a file than is in it, where the config says so."""
    return config.model_dump(mode="json", include={"outputs", "contract"}, exclude_defaults=True)


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
    scales = equalization(model, weights, equalized)
    shaped = is_shaped_by_file(model)
    before = (
        *((Command("equalize", ("source.onnx", "channels.scales", *noise_shape(model))),) if scales else ()),
        *((Command("shapes", ("model.onnx", str(batch), "shaped.onnx")),) if shaped else ()),
    )
    return Step(
        "transform",
        Subject(
            model.name, weights.name, detail=f"{batch}b" + (f" equalized for {equalized}" if equalized else "")
        ),
        (*before, Command("model_transform.py", transform_arguments(model, batch))),
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
    assert settings is not None and settings.table is None, "only for models that calibrate"
    transform = transform_step(model, weights, 1, equalized)
    int4 = any(t.precision == "int4" for t in model.targets)
    shown, images = fed(model, settings.images), settings.images
    count = (settings.count if images is None else images.count) or 0
    who = calibrator(settings, count, int4, model.config.input is not None)
    decoding: tuple[dict[str, Any], dict[str, File]] = ({}, {})
    if settings.refine:
        chip = equalized or next(CHIPS[t.chip].quantizer for t in model.targets if t.precision in CALIBRATED)
        decoder = {**input_request(model), "decoder": decoder_request(model)}
        who = refined(who, settings.refine, chip, decoder)
        kind, files = decoder_decides(model)
        decoding = ({"decoder": kind}, files)
    source = transform if equalized else import_step(model, weights)
    request = {**input_request(model), "minimum": settings.minimum, **unpictured(model, count)}
    verify, own = model.config.verify.images, settings.engine == OWN_ENGINE
    # Beside which thresholds are told to be of night pictures. First, so that names are those of the others.
    beside = (("verify", pictures(verify)),) if own and images is not None and verify is not None else ()
    return Step(
        "calibrate",
        Subject(model.name, weights.name, equalized),
        (Command("prepare", ("request.json",)), *who.commands),
        (
            *mlir_inputs(transform),
            *((("model.onnx", Output(source, "model.onnx")),) if who.network else ()),
            ("model.json", Output(import_step(model, weights), "model.json")),
            *beside,
            *shown,
            *(decoder_files(model) if settings.refine else ()),
        ),
        ("calibration.table", *who.outputs),
        (document("request.json", request), *who.documents),
        decision(
            THRESHOLDS,
            {**network(model, weights), **who.facts, **decoding[0], "int4": int4},
            {**derived_from(weights), **dict(shown), **equalization(model, weights, equalized), **decoding[1]},
            vendor=True,
        ),
        resumable=own or settings.refine > 0,
    )


def calibration_steps(model: Model, weights: Weights, quantizer: str) -> tuple[Step, ...]:
    """The decisions of a calibration, each after those that it rests on. `quantizer`: as in `tables`."""
    thresholds = calibrate_step(model, weights, quantizer)
    return (scales_step(model, weights, quantizer), thresholds) if quantizer else (thresholds,)


def unpictured(model: Model, count: int) -> dict[str, int]:
    """What `prepare` is told where no pictures say how many samples it makes: how many, and which is the first.

    Verification takes the first ones.
    """
    if model.config.input is not None:
        return {}
    verify = model.config.verify
    return {"samples": count, "first": max(verify.quantized, verify.floats, *(t.batch for t in model.targets))}


def calibration(model: Model, target: Target, weights: Weights) -> Step | None:
    """The step that finds the target's thresholds; None for float precisions and tables written by hand."""
    needed = target.precision in CALIBRATED and model.calibrates
    return calibrate_step(model, weights, equalized_for(model, target.chip)) if needed else None


def transform_for(model: Model, target: Target, weights: Weights, batch: int) -> Step:
    """The top-level MLIR that a target is lowered from, at a batch size."""
    quantized = target.precision in CALIBRATED
    return transform_step(model, weights, batch, equalized_for(model, target.chip) if quantized else "")


def mlir_inputs(transform: Step) -> tuple[tuple[str, Output], ...]:
    """A top-level MLIR and its weights, as the inputs of a step under their own names."""
    return tuple((file, Output(transform, file)) for file in transform.outputs if file != "model.onnx")


def weights_file(model: Model) -> str:
    """The weights beside the top-level MLIR, as model_transform names them."""
    return f"{model.name}_top_f32_all_weight.npz"


def document(name: str, value: Any) -> tuple[str, str]:
    """A JSON document of a step: its name in the folder and its text, the same for equal values."""
    return name, _indented(json.dumps(value, sort_keys=True))


@lru_cache(maxsize=4096)
def _indented(compact: str) -> str:
    """Remembered because Python indents slowly, and most targets of a model have the same documents."""
    return json.dumps(json.loads(compact), indent=1, sort_keys=True) + "\n"
