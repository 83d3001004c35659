"""The goals of a task: the steps that it requests, and the files that it publishes from their results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.execute import decisions
from bmzoo.execute.decisions import Standing
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.float_layers import cut_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.shared import calibration_steps, equalized_for, import_step, transform_step
from bmzoo.plan.step import Step
from bmzoo.plan.verify import engine, proof
from bmzoo.results import artifact, eval, qtable, verify
from bmzoo.store.local import Entry
from bmzoo.target import Target
from bmzoo.workspace import Workspace

Entries = Mapping[Step, Entry]


@dataclass(frozen=True)
class PublishedFile:
    """A file that a task publishes from the results of some steps; `outdated` says why it is out of date."""

    path: Path
    needs: tuple[Step, ...]
    outdated: Callable[[Entries], str]  # empty when it is up to date


@dataclass(frozen=True)
class Goal:
    """`ends`: the steps that a task requests; their dependencies follow from them."""

    ends: tuple[Step, ...]
    results: tuple[PublishedFile, ...]
    story: Callable[[Entries], list[str]] = field(
        default=lambda entries: []
    )  # further lines about existing results


def of_build(at: Workspace, model: Model, target: Target) -> Goal:
    steps = at.recipe(target)
    before = [of_model(at, model).results]
    if steps.calibrate is not None:
        before.append(of_calibrate(at, model, equalized_for(model, target.chip)).results)
    own = PublishedFile(at.layout.artifact(target), steps.grounds, partial(artifact.outdated, at, target))
    return Goal((steps.measure,), (*(result for results in before for result in results), own))


def of_verify(at: Workspace, model: Model, target: Target) -> Goal:
    steps = proof(model, target, at.weights.chosen(model))
    builds = [of_build(at, model, each.target) for each in (steps.build, *steps.siblings)]

    def outdated(entries: Entries) -> str:
        return verify.outdated(at, target, entries[steps.build.deploy], entries[steps.compare])

    own = PublishedFile(at.layout.verification(target), (steps.build.deploy, steps.compare), outdated)
    return _joined(*builds, Goal((steps.compare,), (own,)))


def _of_eval_onnx(at: Workspace, model: Model) -> Goal:
    step = evaluate_onnx(model, at.weights.chosen(model))
    return _joined(of_model(at, model), Goal((step,), (_evaluated(at, model, "onnx", step),)))


def of_eval(at: Workspace, model: Model, target: Target | None) -> Goal:
    """`target`: None for the ONNX model."""
    if target is None:
        return _of_eval_onnx(at, model)
    weights = at.weights.chosen(model)
    compare, step = proof(model, target, weights).compare, evaluate_lowering(model, target, weights)
    own = Goal((compare, step), (_evaluated(at, model, engine(model, target), step),))
    return _joined(of_build(at, model, target), _of_eval_onnx(at, model), own)


def _evaluated(at: Workspace, model: Model, name: str, step: Step) -> PublishedFile:
    path = at.layout.evaluation(model.name, at.weights.chosen(model).name, name)
    return PublishedFile(path, (step,), lambda entries: eval.outdated(at, model, name, entries[step]))


def of_model(at: Workspace, model: Model, _: None = None) -> Goal:
    weights = at.weights.chosen(model)
    step, path = import_step(model, weights), at.layout.onnx(model.name, weights.name)

    def outdated(entries: Entries) -> str:
        if not path.is_file():
            return "not published yet, or deleted"
        return "" if at.digests.holds(path, entries[step].files["model.onnx"]) else "not the imported model"

    return Goal((step,), (PublishedFile(path, (step,), outdated),))


def of_transform(at: Workspace, model: Model, batch: int) -> Goal:
    return Goal((transform_step(model, at.weights.chosen(model), batch),), ())


def of_calibrate(at: Workspace, model: Model, quantizer: str) -> Goal:
    made = calibration_steps(model, at.weights.chosen(model), quantizer)
    return Goal(made, tuple(_decision(at, model, step) for step in made))


def _decision(at: Workspace, model: Model, step: Step) -> PublishedFile:
    """The committed file of a decision."""
    path = at.layout.decision(step)

    def outdated(entries: Entries) -> str:
        committed = decisions.read_committed(path, at.builder(model).resolver.facts(step, entries))
        if committed.standing is Standing.BY_HAND:
            return "edited by hand, so it will not be overwritten"
        return "" if committed.standing is Standing.CURRENT else str(committed)

    return PublishedFile(path, (step, *step.grounds), outdated)


def is_searched(model: Model, chip: str) -> bool:
    """Whether the float layers of the chip's INT8 targets are searched, so that `of_qtable` may be asked."""
    return model.search(int8_target(model, chip)) is not None


def of_qtable(at: Workspace, model: Model, chip: str) -> Goal:
    weights, search = at.weights.chosen(model), model.search(int8_target(model, chip))
    assert search is not None, "see is_searched"
    step = cut_step(model, chip, weights, search)
    own = Goal((step,), (_decision(at, model, step),) if step.decision is not None else ())
    story = partial(qtable.explain_choice, at, model, chip, search)
    return replace(_joined(of_model(at, model), own), story=story)


def _joined(*goals: Goal) -> Goal:
    ends = dict.fromkeys(end for goal in goals for end in goal.ends)
    results = {result.path: result for goal in goals for result in goal.results}
    return Goal(tuple(ends), tuple(results.values()))
