"""From a model's config to steps: what makes and judges one target. Pure data.

Sharing follows from equality: one import per model and weights, one transform per batch, one calibration
per model and weights, one search per quantizer, one deploy and one simulation per target.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from bmzoo.config.fused import deploy_words
from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.plan.decoding import compared_by, decoder_files
from bmzoo.plan.fed import fed, feed, input_request
from bmzoo.plan.float_layers import qtable_input
from bmzoo.plan.lowering import LOWERED, compiler_inputs, lowering
from bmzoo.plan.shared import calibration, document, import_step, transform_for
from bmzoo.plan.step import Command, Input, Output, Step, Subject
from bmzoo.target import Target

SIMULATION_TIMEOUT = 1800.0
# Pictures that an archive for a board holds at least.
LEAST_SHOWN = 2
RAN = ("inputs.npz", "outputs.npz")


@dataclass(frozen=True)
class Recipe:
    """All steps of one target; `calibrate` is None for float precisions and for tables written by hand.

    `simulate`: where nothing simulates the chip, its lowering is run instead of the artifact.
    """

    target: Target
    weights: str
    source: Step
    transform: Step
    calibrate: Step | None
    deploy: Step
    simulate: Step
    measure: Step

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All of them, each after those that it needs."""
        return tuple(dict.fromkeys((*_in_order(self.measure), *_in_order(self.deploy))))

    @cached_property
    def grounds(self) -> tuple[Step, ...]:
        """Those whose results say whether the target is up to date: all but what only derives decisions."""
        return tuple(dict.fromkeys((*_grounds(self.measure), *_grounds(self.deploy))))


def recipe(model: Model, target: Target, weights: Weights) -> Recipe:
    """The steps that make and judge one target from one of the model's weights."""
    return _recipe(using(model, weights), target, weights)


# Remembered because every task about a target asks again, and writing its documents takes time.
@lru_cache(maxsize=8192)
def _recipe(model: Model, target: Target, weights: Weights) -> Recipe:
    source = import_step(model, weights)
    transform = transform_for(model, target, weights, target.batch)
    calibrate = calibration(model, target, weights)
    table = qtable_input(model, target, weights)
    deploy = deploy_step(model, target, weights, table)
    if target.unverified:
        simulate = _run_lowering(
            model,
            target,
            source,
            lowering(model, target, weights, table, str(target), model.fused(target)),
            weights,
        )
    else:
        simulate = _simulate_step(model, target, source, deploy, weights)
    measure = _measure_step(model, target, source, simulate, weights)
    return Recipe(target, weights.name, source, transform, calibrate, deploy, simulate, measure)


def deploy_step(model: Model, target: Target, weights: Weights, table: Input | None) -> Step:
    """The compiled model, `facts.json` with its size and cost, `profile.json`. `table`: the layers in float."""
    transform = transform_for(model, target, weights, target.batch)
    calibrate = calibration(model, target, weights)
    inputs, checks, args = compiler_inputs(model, target, transform, calibrate, table)
    made, fused = target.compiled, deploy_words(model.fused(target))
    return Step(
        "deploy",
        subject(target, weights),
        (
            *checks,
            Command("model_deploy.py", (*args, *fused, "--num_core", str(target.cores), "--model", made)),
            Command("profile", (target.chip,)),
            Command("normalize", (made,)),
            Command("model_tool", ("--info", made), stdout="info.txt"),
            Command("finish", (made, "info.txt", str(target.cores))),
        ),
        inputs,
        (made, "facts.json", "profile.json"),
    )


def shown_step(model: Model, target: Target, weights: Weights) -> Step:
    """The artifact on the simulator for some pictures: the build's own run where its batch has enough of them."""
    build = recipe(model, target, weights)
    model = using(model, weights)
    images = model.config.verify.images
    count = min(LEAST_SHOWN, (images.count if images is not None else None) or LEAST_SHOWN)
    if target.batch >= count:
        return build.simulate
    return simulated(model, build, count, fewer=True)


def _simulate_step(model: Model, target: Target, source: Step, deploy: Step, weights: Weights) -> Step:
    return _simulated(model, target, source, deploy, subject(target, weights), target.batch)


def simulated(model: Model, build: Recipe, number: int, fewer: bool = False) -> Step:
    """The artifact of a build on the simulator for another number of pictures, which fills whole batches.

    fewer: of as many as there are, where those that are asked for are not all there.
    """
    about = replace(build.simulate.subject, detail=f"{build.target} {number} pictures")
    return _simulated(model, build.target, build.source, build.deploy, about, number, fewer=fewer)


def _simulated(  # noqa: PLR0913
    model: Model, target: Target, source: Step, deploy: Step, about: Subject, number: int, *, fewer: bool = False
) -> Step:
    request = {**input_request(model), "minimum": 1, "slots": number, **({"fewer": True} if fewer else {})}
    feeding = feed(model, target)
    return Step(
        "simulate",
        about,
        (
            Command("prepare", ("request.json",)),
            *feeding.commands,
            Command(
                "simulate", (target.chip, "--model", target.compiled, "--inputs", feeding.file, "--outputs", RAN[1])
            ),
        ),
        (
            ("model.json", Output(source, "model.json")),
            (target.compiled, Output(deploy, target.compiled)),
            *fed(model, model.config.verify.images, number),
        ),
        (*RAN, *feeding.outputs),
        (document("request.json", {**request, **feeding.told}),),
        timeout=SIMULATION_TIMEOUT * (number // target.batch),
    )


def _run_lowering(model: Model, target: Target, source: Step, lower: Step, weights: Weights) -> Step:
    """What a target means to compute, on a batch: its MLIR in TPU-MLIR's interpreter."""
    feeding = feed(model, target)
    request = {**input_request(model), "minimum": 1, "slots": target.batch, **feeding.told}
    return Step(
        "infer",
        subject(target, weights),
        (
            Command("prepare", ("request.json",)),
            *feeding.commands,
            Command("infer", ("lowered.mlir", feeding.file, RAN[1])),
        ),
        (
            *((name, Output(lower, name)) for name in LOWERED),
            ("model.json", Output(source, "model.json")),
            *fed(model, model.config.verify.images, target.batch),
        ),
        RAN,
        (document("request.json", request),),
    )


def _measure_step(model: Model, target: Target, source: Step, simulate: Step, weights: Weights) -> Step:
    return measuring("measure", subject(target, weights), model, target, source, simulate)


def measuring(kind: str, about: Subject, model: Model, target: Target, source: Step, ran: Step) -> Step:  # noqa: PLR0913
    """What a step gave for a target (`outputs.npz`, of `inputs.npz`) against ONNX: `figures.json`."""
    return Step(
        kind,
        about,
        (Command("measure", ("request.json",)),),
        (
            ("model.onnx", Output(source, "model.onnx")),
            ("model.json", Output(source, "model.json")),
            ("inputs.npz", Output(ran, "inputs.npz")),
            ("outputs.npz", Output(ran, "outputs.npz")),
            *decoder_files(model),
        ),
        ("figures.json",),
        (document("request.json", compared_by(model, target)),),
    )


def subject(target: Target, weights: Weights) -> Subject:
    """What a step of one target is about."""
    return Subject(target.model, weights.name, detail=str(target))


def _in_order(step: Step) -> Iterator[Step]:
    """A step after everything that it needs."""
    for needed in step.needs:
        yield from _in_order(needed)
    yield step


def _grounds(step: Step) -> Iterator[Step]:
    """A step after everything that its fingerprint rests on."""
    for ground in step.grounds:
        yield from _grounds(ground)
    yield step
