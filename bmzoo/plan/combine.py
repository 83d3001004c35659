"""The batches of a target in one bmodel, which holds their weights once. Pure data."""

from dataclasses import dataclass, replace

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model
from bmzoo.config.weights import Weights
from bmzoo.plan.build import RAN, recipe
from bmzoo.plan.fed import feed
from bmzoo.plan.step import Command, Output, Step, Subject
from bmzoo.target import Target

PART = "bm_net0_stage{}.bmodel"  # as model_tool takes a bmodel apart


@dataclass(frozen=True)
class Combination:
    """What is combined, and a run of each part on the simulator, by target."""

    combine: Step
    parts: tuple[tuple[Target, Step], ...]


def combinations(model: Model) -> dict[str, tuple[Target, ...]]:
    """By chip, precision and cores (`bm1688_int8_2core`): the targets of several batches, smallest first.

    Only what the simulator runs, as bmodels, and what is fed alike.
    """
    found: dict[str, list[Target]] = {}
    for target in model.targets:
        if CHIPS[target.chip].suffix == ".bmodel" and not target.unverified:
            found.setdefault(str(replace(target, batch=1)).replace("_1b", "", 1), []).append(target)
    alike = {
        name: [t for t in targets if model.fused(t) == model.fused(targets[0])] for name, targets in found.items()
    }
    return {
        name: tuple(sorted(targets, key=lambda target: target.batch))
        for name, targets in alike.items()
        if len(targets) > 1
    }


def combination(model: Model, targets: tuple[Target, ...], weights: Weights) -> Combination:
    """The steps that combine the artifacts of targets, and that run what came of each."""
    builds = [recipe(model, target, weights) for target in targets]
    files = [f"{target.batch}b.bmodel" for target in targets]
    about = f"{targets[0]}".replace("_1b", "", 1)
    combine = Step(
        "combine",
        Subject(model.name, weights.name, detail=f"{about} of {' '.join(f'{t.batch}b' for t in targets)}"),
        (
            Command("model_tool", ("--combine", *files, "-o", "model.bmodel")),
            Command("normalize", ("model.bmodel",)),
            Command("model_tool", ("--info", "model.bmodel"), stdout="info.txt"),
            Command("finish", ("model.bmodel", "info.txt", str(targets[0].cores))),
        ),
        tuple((file, Output(one.deploy, one.target.compiled)) for file, one in zip(files, builds, strict=True)),
        ("model.bmodel", "facts.json"),
    )
    runs = ((one.target, _run(model, combine, one.simulate, one.target, stage)) for stage, one in enumerate(builds))
    return Combination(combine, tuple(runs))


def _run(model: Model, combine: Step, alone: Step, target: Target, stage: int) -> Step:  # noqa: PLR0913
    """One part of the combined bmodel, fed as the artifact that it is from was."""
    fed, part = feed(model, target).file, PART.format(stage)
    return Step(
        "simulate",
        replace(alone.subject, detail=f"{target} combined"),
        (
            Command("model_tool", ("--extract", "model.bmodel")),
            Command("simulate", (target.chip, "--model", part, "--inputs", fed, "--outputs", RAN[1])),
        ),
        (("model.bmodel", Output(combine, "model.bmodel")), (fed, Output(alone, fed))),
        (RAN[1],),
        timeout=alone.timeout,
    )
