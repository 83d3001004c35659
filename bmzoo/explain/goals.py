"""What a task comes to: the steps that it ends in, and the files that it publishes beyond them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.float_layers import agree_step, cut_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.shared import calibrate_step, import_step, tables, transform_step
from bmzoo.plan.step import Output, Step
from bmzoo.plan.verify import engine, proof
from bmzoo.results import artifact, calibration, eval, qtable, verify
from bmzoo.store.local import Entry
from bmzoo.target import Target
from bmzoo.workspace import Workspace

Entries = Mapping[Step, Entry]


@dataclass(frozen=True)
class Result:
    """A file that a task publishes from the results of some steps, and why it would have to be published anew."""

    path: Path
    needs: tuple[Step, ...]
    outdated: Callable[[Entries], str]  # empty when it is what the results give


@dataclass(frozen=True)
class Goal:
    """`ends`: the steps that a task asks for; what they need is found from them."""

    ends: tuple[Step, ...]
    results: tuple[Result, ...]
    story: Callable[[Entries], list[str]] = field(default=lambda entries: [])  # more to say of what is there


def of_build(at: Workspace, model: Model, target: Target) -> Goal:
    steps = at.recipe(target)
    judged = tuple(step for step in steps.steps if not step.deferred)
    before = [of_model(at, model).results]
    if steps.calibrate is not None:
        before.append(of_calibrate(at, model).results)
    own = Result(at.layout.artifact(target), judged, partial(artifact.outdated, at, target))
    return Goal((steps.measure,), (*(result for results in before for result in results), own))


def of_verify(at: Workspace, model: Model, target: Target) -> Goal:
    steps = proof(model, target, at.chosen(model))
    builds = [of_build(at, model, each.target) for each in (steps.build, *steps.siblings)]

    def outdated(entries: Entries) -> str:
        return verify.outdated(at, target, entries[steps.build.deploy], entries[steps.compare])

    own = Result(at.layout.verification(target), (steps.build.deploy, steps.compare), outdated)
    return _joined(*builds, Goal((steps.compare,), (own,)))


def _of_eval_onnx(at: Workspace, model: Model) -> Goal:
    step = evaluate_onnx(model, at.chosen(model))
    return _joined(of_model(at, model), Goal((step,), (_evaluated(at, model, "onnx", step),)))


def of_eval(at: Workspace, model: Model, target: Target | None) -> Goal:
    """`target`: None for the ONNX model."""
    if target is None:
        return _of_eval_onnx(at, model)
    weights = at.chosen(model)
    compare, step = proof(model, target, weights).compare, evaluate_lowering(model, target, weights)
    own = Goal((compare, step), (_evaluated(at, model, engine(model, target), step),))
    return _joined(of_build(at, model, target), _of_eval_onnx(at, model), own)


def _evaluated(at: Workspace, model: Model, name: str, step: Step) -> Result:
    path = at.layout.evaluation(model.name, at.chosen(model).name, name)
    return Result(path, (step,), lambda entries: eval.outdated(at, model, name, entries[step]))


def of_model(at: Workspace, model: Model, _: None = None) -> Goal:
    weights = at.chosen(model)
    step, path = import_step(model, weights), at.layout.onnx(model.name, weights.name)

    def outdated(entries: Entries) -> str:
        if not path.is_file():
            return "not published yet, or deleted"
        return "" if at.holds(path, entries[step].files["model.onnx"]) else "not the imported model"

    return Goal((step,), (Result(path, (step,), outdated),))


def of_transform(at: Workspace, model: Model, batch: int) -> Goal:
    return Goal((transform_step(model, at.chosen(model), batch),), ())


def of_calibrate(at: Workspace, model: Model, _: None = None) -> Goal:
    weights = at.chosen(model)
    made = {
        calibrate_step(model, weights, quantizer): at.layout.table(model.name, weights.name, quantizer)
        for quantizer in tables(model)
    }
    return Goal(tuple(made), tuple(_table(step, path, "calibrate") for step, path in made.items()))


def _table(step: Step, path: Path, task: str) -> Result:
    """A calibration table or qtable that a task publishes from a step."""

    def outdated(entries: Entries) -> str:
        if not path.is_file():
            return "not published yet, or deleted"
        text = path.read_text(encoding="utf-8", errors="replace")
        if not calibration.is_our_table(text):
            return f"edited by hand, so {task} will refuse to overwrite it"
        return "" if calibration.table_content(text, entries[step].fingerprint) else "made from other inputs"

    return Result(path, (step,), outdated)


def is_searched(model: Model, chip: str) -> bool:
    """Whether the float layers of the chip's INT8 targets are searched, so that `of_qtable` may be asked."""
    return model.search(int8_target(model, chip)) is not None


def of_qtable(at: Workspace, model: Model, chip: str) -> Goal:
    weights, search = at.chosen(model), model.search(int8_target(model, chip))
    assert search is not None, "see is_searched"
    step, path = cut_step(model, chip, weights, search), at.layout.qtable(model.name, weights.name, chip)
    judged = (agree_step(model, chip, weights, table) for table in (None, Output(step, qtable.TABLE)))
    own = Goal((step, *judged), (_table(step, path, "qtable"),))
    story = partial(qtable.explain, at, model, chip, search)
    return replace(_joined(of_model(at, model), own), story=story)


def _joined(*goals: Goal) -> Goal:
    ends = dict.fromkeys(end for goal in goals for end in goal.ends)
    results = {result.path: result for goal in goals for result in goal.results}
    return Goal(tuple(ends), tuple(results.values()))
