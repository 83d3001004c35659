"""Every path that the configs of a checkout ask for, whether or not anything lies there: see execute/layout.py."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.execute.layout import Layout
from bmzoo.plan.combine import combinations
from bmzoo.plan.ladder import climbs
from bmzoo.plan.shared import tables
from bmzoo.plan.step import Step
from bmzoo.plan.verify import alone_step, drift_step, engine, proof
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def wanted(at: Workspace) -> frozenset[Path]:
    """Paths of results of all targets and all weights, and of the files that configs name.

    Evidence of failed steps is told by its name, as a step's name may stand for many: see `prune.py`.
    """
    layout = at.layout
    found: set[Path] = set()
    for model in at.models.values():
        found.update(path for target in model.targets for path in of_target(layout, target))
        for together in combinations(model).values():
            combined = layout.combined(together)
            found.update((combined, combined.with_suffix(".json")))
        for weights in model.config.weights:
            found.update(of_weights(layout, model, weights))
            if climbs(at.configs.models[model.name]):
                found.add(layout.int8_settings(model.name, weights.name))
        found.update(_named(at, model))
    return frozenset(found)


def of_target(layout: Layout, target: Target) -> tuple[Path, ...]:
    """What is published of a target, and the folders that its failures are kept in."""
    artifact = layout.artifact(target)
    return (
        *(artifact, layout.provenance(target), layout.verification(target), layout.profile(target)),
        *(layout.bench(artifact), layout.refused(target), layout.irreproducible(target), layout.export(target)),
    )


def of_weights(layout: Layout, model: Model, weights: Weights) -> Iterator[Path]:
    """What is made from some weights: for all targets together, or for those of a chip."""
    network, judged = layout.onnx(model.name, weights.name), using(model, weights)
    yield from (network, layout.bench(network), layout.audit(model.name, weights.name))
    place = partial(layout.evaluation, model.name, weights.name)
    yield from map(place, ("onnx", *(engine(judged, target) for target in model.targets)))
    for chip in dict.fromkeys(target.chip for target in model.targets if target.precision == "int8"):
        yield layout.qtable(model.name, weights.name, chip)
        yield layout.tuning(f"{model.name}.{weights.name}.{chip}")
    yield from _decisions(layout, model, weights)


def _decisions(layout: Layout, model: Model, weights: Weights) -> Iterator[Path]:
    if model.calibrates:
        yield from (layout.table(model.name, weights.name, quantizer) for quantizer in tables(model))
    steps = (step for target in model.targets for step in steps_of(model, target, weights))
    yield from (layout.decision(step) for step in dict.fromkeys(steps) if step.decision is not None)


def steps_of(model: Model, target: Target, weights: Weights) -> Iterator[Step]:
    """The steps that make, judge and verify a target, with all that they read. A chip may borrow another's."""
    checks = proof(model, target, weights)
    others = (drift_step(model, target, weights), alone_step(model, target, weights))
    waiting, seen = [checks.build.measure, checks.compare, *others], set[Step]()
    while waiting:
        step = waiting.pop()
        if step not in seen:
            seen.add(step)
            waiting += [*step.needs, *step.grounds]
    yield from seen


def _named(at: Workspace, model: Model) -> Iterator[Path]:
    """Files that a config names, wherever they lie: results of another model, or of before, may be among them."""
    config = model.config
    names = [weights.file for weights in config.weights]
    names += config.quantization.tables.values()
    names += [config.calibration.table] if config.calibration is not None and config.calibration.table else []
    sources = at.sources(model)
    yield from (path.resolve() for name in names if (path := sources.find(name)) is not None)
