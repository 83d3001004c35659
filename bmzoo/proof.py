"""The steps of `verify` and `eval`: a target's lowering run on more pictures, and compared. Pure data.

Simulating is slow, so the simulator runs one batch and further pictures run through the MLIR of the same
lowering, which counts only where it gives what the simulator gave on the pictures that both have seen.
"""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config import Model
from bmzoo.lowering import LOWERED, lowering
from bmzoo.preparation import document, import_step, input_request, pictures, transform_for, weights_file
from bmzoo.recipe import Recipe, recipe
from bmzoo.schema import Weights
from bmzoo.search import qtable_input
from bmzoo.step import Command, Input, Output, Step, Tree
from bmzoo.target import Target

# A layer whose output has less than this against the float network is where to look.
DRIFT_DB = "15"


@dataclass(frozen=True)
class Proof:
    """What verify runs for one target beyond its build."""

    build: Recipe
    lower: Step
    infer: Step
    compare: Step
    siblings: tuple[Recipe, ...]


def proof(model: Model, target: Target, weights: Weights) -> Proof:
    """The steps that verify one target. Pure, like the recipe."""
    build = recipe(model, target, weights)
    lower = lower_step(model, target, weights)
    infer = _infer_step(model, target, weights, lower, build)
    related = tuple(recipe(model, other, weights) for other in siblings(model, target))
    return Proof(build, lower, infer, _compare_step(model, build, infer, related, weights), related)


def siblings(model: Model, target: Target) -> tuple[Target, ...]:
    """Targets that must agree with this one picture by picture: the same at batch 1, and the same on one core."""
    wanted = {replace(target, batch=1), replace(target, cores=1)} - {target}
    return tuple(other for other in model.targets if other in wanted)


def family(model: Model, target: Target) -> Target:
    """The target that stands for all of one lowering: batch 1, one core, one chip for a shared quantizer."""
    chip = CHIPS[target.chip].quantizer if target.precision == "int8" else target.chip
    shared = replace(target, chip=chip, batch=1, cores=1)
    same = all(of(shared) == of(target) for of in (model.deploy_flags, model.table, model.search))
    return shared if same else replace(target, batch=1, cores=1)


def lower_step(model: Model, target: Target, weights: Weights) -> Step:
    """The chip's MLIR of a target at batch 1, before code generation: the same arithmetic, fast to run."""
    shared = family(model, target)
    table = qtable_input(model, shared, weights)
    return lowering(model, shared, weights, table, f"{shared.chip}_{shared.precision}")


def count(model: Model, target: Target) -> int:
    """Pictures that verify looks at: at least the artifact's batch."""
    verify = model.config.verify
    return max(target.batch, verify.quantized if target.precision in CALIBRATED else verify.floats)


def _infer_step(model: Model, target: Target, weights: Weights, lower: Step, build: Recipe) -> Step:
    number = count(model, target)
    request = {**input_request(model), "minimum": 1, "slots": number}
    return Step(
        "infer",
        f"{lower.subject} {number} pictures",
        (
            Command("prepare", ("request.json",)),
            Command("infer", ("lowered.mlir", "inputs.npz", "outputs.npz")),
        ),
        (
            *((name, Output(lower, name)) for name in LOWERED),
            ("model.json", Output(build.source, "model.json")),
            ("pictures", replace(pictures(model.config.verify.images), count=number)),
        ),
        ("inputs.npz", "outputs.npz"),
        (document("request.json", request),),
    )


def _compare_step(model: Model, build: Recipe, infer: Step, related: tuple[Recipe, ...], weights: Weights) -> Step:
    config = model.config
    request = {
        **input_request(model),
        "decoder": config.decoder.model_dump(),
        "confidence": config.verify.confidence,
        "margin": config.verify.margin,
        "iou": model.thresholds(build.target).iou,
        "siblings": [str(other.target) for other in related],
    }
    inputs: list[tuple[str, Input]] = [
        ("model.onnx", Output(build.source, "model.onnx")),
        ("inputs.npz", Output(infer, "inputs.npz")),
        ("mlir.npz", Output(infer, "outputs.npz")),
        ("simulated.npz", Output(build.simulate, "outputs.npz")),
        *((f"sibling.{other.target}.npz", Output(other.simulate, "outputs.npz")) for other in related),
    ]
    return Step(
        "compare",
        build.measure.subject,
        (Command("compare", ("request.json",)),),
        tuple(inputs),
        ("figures.json",),
        (document("request.json", request),),
    )


def drift_step(model: Model, target: Target, weights: Weights) -> Step:
    """Tensor by tensor, the lowering against the float model on the first picture: where it goes wrong first."""
    lower = lower_step(model, target, weights)
    transform = transform_for(model, target, weights, 1)
    build = recipe(model, target, weights)
    request = {**input_request(model), "minimum": 1, "slots": 1}
    return Step(
        "drift",
        lower.subject,
        (
            Command("prepare", ("request.json",)),
            Command("drift", ("model.mlir", "lowered.mlir", "inputs.npz", DRIFT_DB, "drift.json")),
        ),
        (
            *((name, Output(transform, name)) for name in ("model.mlir", weights_file(model))),
            *((name, Output(lower, name)) for name in LOWERED),
            ("model.json", Output(build.source, "model.json")),
            ("pictures", replace(pictures(model.config.verify.images), count=1)),
        ),
        ("drift.json",),
        (document("request.json", request),),
    )


def evaluate_onnx(model: Model, weights: Weights) -> Step:
    """Average precision of the ONNX model on the config's ground truth."""
    source = import_step(model, weights)
    inputs = (("model.onnx", Output(source, "model.onnx")),)
    return _evaluate_step(model, f"{model.name}.{weights.name} onnx", "model.onnx", inputs)


def evaluate_lowering(model: Model, target: Target, weights: Weights) -> Step:
    """Average precision of a target's lowering, the same for all its batches and cores."""
    lower = lower_step(model, target, weights)
    inputs = tuple((name, Output(lower, name)) for name in LOWERED)
    return _evaluate_step(model, lower.subject, "lowered.mlir", inputs)


def _evaluate_step(model: Model, subject: str, network: str, inputs: tuple[tuple[str, Input], ...]) -> Step:
    settings = model.config.evaluate
    assert settings is not None, "only for models with ground truth"
    truth = PurePosixPath(settings.truth)
    listed = truth.suffix == ".json"
    request = {
        **input_request(model),
        "network": network,
        "decoder": model.config.decoder.model_dump(),
        "confidence": settings.confidence,
        "nms": settings.nms,
        "truth": f"truth/{truth.name}" if listed else "truth",
    }
    return Step(
        "evaluate",
        subject,
        (Command("evaluate", ("request.json",)),),
        (*inputs, ("truth", Tree(str(truth.parent if listed else truth)))),
        ("ap.json",),
        (document("request.json", request),),
    )
