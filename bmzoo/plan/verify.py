"""The steps of `verify` and `eval`: a target's lowering run on more pictures, and compared. Pure data.

Simulating is slow, so the simulator runs one batch and further pictures run through the MLIR of the same
lowering, which counts only where it gives what the simulator gave on the pictures that both have seen.
Where TPU-MLIR's interpreter is seen to be wrong there, and the simulator right, the simulator runs all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from bmzoo.chips import CALIBRATED, CHIPS
from bmzoo.config.model import Model, using
from bmzoo.config.search_methods import method_of
from bmzoo.config.weights import Weights
from bmzoo.plan.build import Recipe, recipe, simulated
from bmzoo.plan.decoding import compared_by, decoder_files
from bmzoo.plan.fed import fed, feed, input_request
from bmzoo.plan.float_layers import qtable_input
from bmzoo.plan.lowering import LOWERED, lowering
from bmzoo.plan.shared import document, import_step, transform_for, weights_file
from bmzoo.plan.step import Command, Input, Output, Step
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


# Remembered for the same reason as recipes.
@lru_cache(maxsize=8192)
def proof(model: Model, target: Target, weights: Weights) -> Proof:
    """The steps that verify one target. Pure, like the recipe."""
    model = using(model, weights)
    build = recipe(model, target, weights)
    lower = lower_step(model, target, weights)
    infer = infer_step(model, target, weights, lower)
    related = tuple(recipe(model, other, weights) for other in siblings(model, target))
    return Proof(build, lower, infer, _compare_step(model, build, lower, infer, related, weights), related)


def siblings(model: Model, target: Target) -> tuple[Target, ...]:
    """Targets that must agree with this one picture by picture: the same at batch 1, and the same on one core."""
    wanted = {replace(target, batch=1), replace(target, cores=1)} - {target}
    places = _places(model)
    alike = (other for other in wanted & places.keys() if model.fused(other) == model.fused(target))
    return tuple(sorted(alike, key=lambda other: places[other]))


@lru_cache(maxsize=256)
def _places(model: Model) -> Mapping[Target, int]:
    """Where each target stands in listing order."""
    return {target: index for index, target in enumerate(model.targets)}


def family(model: Model, target: Target) -> Target:
    """The target that stands for all of one lowering: batch 1, one core, one chip for a shared quantizer.

    One with settings of its own stands for itself.
    """
    chip = CHIPS[target.chip].quantizer if target.precision == "int8" else target.chip
    search = model.search(target)
    if search is not None and not method_of(search.method).shared:
        chip = target.chip
    single = replace(target, batch=1, cores=1)
    return next((t for t in (replace(single, chip=chip), single) if _lowered_alike(model, t, target)), target)


def engine(model: Model, target: Target) -> str:
    """What evaluates a target, for file names: its lowering, the same for all batches and core counts.

    Where settings tell some targets of a chip and precision from others, each has a name of its own.
    """
    alike = _all_lowered_alike(model, target.chip, target.precision)
    return f"{target.chip}_{target.precision}" if alike else str(target)


@lru_cache(maxsize=1024)
def _all_lowered_alike(model: Model, chip: str, precision: str) -> bool:
    same = [t for t in model.targets if (t.chip, t.precision) == (chip, precision)]
    return all(_lowered_alike(model, other, same[0]) for other in same)


def _lowered_alike(model: Model, one: Target, other: Target) -> bool:
    return all(of(one) == of(other) for of in (model.deploy_flags, model.fused, model.table, model.search))


@lru_cache(maxsize=8192)
def lower_step(model: Model, target: Target, weights: Weights, fused: bool = True) -> Step:
    """The chip's MLIR of a target at batch 1, before code generation: the same arithmetic, fast to run.

    fused: with the preprocessing that is compiled in, where it is.
    """
    shared = family(model, target)
    table = qtable_input(model, shared, weights)
    usual = shared == replace(shared, batch=1, cores=1)
    what = f"{shared.chip}_{shared.precision}" if usual else str(shared)
    return lowering(model, shared, weights, table, what, model.fused(target) if fused else "")


def count(model: Model, target: Target) -> int:
    """Pictures that verify looks at: at least the artifact's batch, at most those that the config names."""
    verify = model.config.verify
    wanted = max(target.batch, verify.quantized if target.precision in CALIBRATED else verify.floats)
    return min(wanted, (verify.images.count if verify.images is not None else None) or wanted)


def infer_step(model: Model, target: Target, weights: Weights, lower: Step, fewer: bool = False) -> Step:
    """A target's lowering run on the pictures of its verification: `inputs.npz` and `outputs.npz`.

    fewer: on as many as there are, where those that the config asks for are not all there.
    """
    number, feeding = count(model, target), feed(model, target)
    request = {**input_request(model), "minimum": 1, "slots": number, **({"fewer": True} if fewer else {})}
    return Step(
        "infer",
        replace(lower.subject, detail=f"{lower.subject.detail} {number} pictures"),
        (
            Command("prepare", ("request.json",)),
            *feeding.commands,
            Command("infer", ("lowered.mlir", feeding.file, "outputs.npz")),
        ),
        (
            *((name, Output(lower, name)) for name in LOWERED),
            ("model.json", Output(import_step(model, weights), "model.json")),
            *fed(model, model.config.verify.images, number),
        ),
        ("inputs.npz", "outputs.npz"),
        (document("request.json", {**request, **feeding.told}),),
    )


def _compare_step(  # noqa: PLR0913
    model: Model, build: Recipe, lower: Step, infer: Step, related: tuple[Recipe, ...], weights: Weights
) -> Step:
    request = {
        **compared_by(model, build.target),
        "siblings": [str(other.target) for other in related],
    }
    inputs: list[tuple[str, Input]] = [
        ("model.onnx", Output(build.source, "model.onnx")),
        ("model.json", Output(build.source, "model.json")),
        ("inputs.npz", Output(infer, "inputs.npz")),
        ("mlir.npz", Output(infer, "outputs.npz")),
        ("simulated.npz", Output(build.simulate, "outputs.npz")),
        *((("lowered.mlir", Output(lower, "lowered.mlir")),) if build.target.precision in CALIBRATED else ()),
        *((f"sibling.{other.target}.npz", Output(other.simulate, "outputs.npz")) for other in related),
        *decoder_files(model),
    ]
    return Step(
        "compare",
        build.measure.subject,
        (Command("compare", ("request.json",)),),
        tuple(inputs),
        ("figures.json", "found.json"),
        (document("request.json", request),),
    )


def alone_step(model: Model, target: Target, weights: Weights) -> Step:
    """The comparison where the lowered MLIR is no witness: whole batches on the simulator, as many as are to be
    looked at; what fills none is left out.
    """
    steps = proof(model, target, weights)
    ran, compare = _simulated_alone(using(model, weights), steps.build), steps.compare
    inputs = {**dict(compare.inputs), "simulated.npz": Output(ran, "outputs.npz")}
    told = {**json.loads(dict(compare.documents)["request.json"]), "alone": True}
    return replace(
        compare,
        subject=replace(compare.subject, detail=f"{target} on the simulator"),
        inputs=tuple(inputs.items()),
        documents=(document("request.json", told),),
    )


def _simulated_alone(model: Model, build: Recipe) -> Step:
    target = build.target
    number = max(count(model, target) // target.batch, 1) * target.batch
    if number == target.batch:
        return build.simulate
    return simulated(model, build, number)


def drift_step(model: Model, target: Target, weights: Weights) -> Step:
    """Tensor by tensor, the lowering against the float model on the first picture: where it goes wrong first."""
    model = using(model, weights)
    lower = lower_step(model, target, weights, fused=False)
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
            *fed(model, model.config.verify.images, 1),
        ),
        ("drift.json",),
        (document("request.json", request),),
    )
