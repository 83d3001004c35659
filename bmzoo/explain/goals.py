"""What a task comes to: the steps that it ends in, and the files that it publishes beyond them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.config.schema import Search
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


@dataclass(frozen=True)
class Subtask:
    """One that can be explained. `goal` raises BmzooError when nothing can be said, as without any weights."""

    name: str
    model: Model
    goal: Callable[[], Goal]


def subtasks(at: Workspace) -> list[Subtask]:
    """Every subtask that can be explained, in the order in which doit lists them."""
    return [subtask for kind in KINDS.values() for subtask in kind(at)]


def _build(at: Workspace) -> Iterator[Subtask]:
    for model, target in _targets(at):
        name = target.qualified(at.default_model)
        yield Subtask(f"build:{name}", model, partial(_build_goal, at, model, target))


def _verify(at: Workspace) -> Iterator[Subtask]:
    for model, target in _targets(at):
        name = target.qualified(at.default_model)
        yield Subtask(f"verify:{name}", model, partial(_verify_goal, at, model, target))


def _eval(at: Workspace) -> Iterator[Subtask]:
    for model in at.models.values():
        if model.config.evaluate is not None:
            yield Subtask(f"eval:{_named(at, model, 'onnx')}", model, partial(_eval_onnx_goal, at, model))
            for target in model.targets:
                name = target.qualified(at.default_model)
                yield Subtask(f"eval:{name}", model, partial(_eval_goal, at, model, target))


def _model(at: Workspace) -> Iterator[Subtask]:
    for model in at.models.values():
        yield Subtask(f"model:{model.name}", model, partial(_model_goal, at, model))


def _transform(at: Workspace) -> Iterator[Subtask]:
    for model in at.models.values():
        for batch in sorted({t.batch for t in model.targets} | {1}):
            name = f"transform:{_named(at, model, f'{batch}b')}"
            yield Subtask(name, model, partial(_transform_goal, at, model, batch))


def _calibrate(at: Workspace) -> Iterator[Subtask]:
    for model in at.models.values():
        if model.calibrates:
            yield Subtask(f"calibrate:{model.name}", model, partial(_calibrate_goal, at, model))


def _qtable(at: Workspace) -> Iterator[Subtask]:
    for model in at.models.values():
        for chip in dict.fromkeys(t.chip for t in model.targets if t.precision == "int8"):
            search = model.search(int8_target(model, chip))
            if search is not None:
                yield Subtask(
                    f"qtable:{_named(at, model, chip)}", model, partial(_qtable_goal, at, model, chip, search)
                )


# Task -> its subtasks. Another task is explained by another line here.
KINDS: Mapping[str, Callable[[Workspace], Iterator[Subtask]]] = {
    "build": _build,
    "verify": _verify,
    "eval": _eval,
    "model": _model,
    "transform": _transform,
    "calibrate": _calibrate,
    "qtable": _qtable,
}


def _build_goal(at: Workspace, model: Model, target: Target) -> Goal:
    steps = at.recipe(target)
    judged = tuple(step for step in steps.steps if not step.deferred)
    before = [_model_goal(at, model).results]
    if steps.calibrate is not None:
        before.append(_calibrate_goal(at, model).results)
    own = Result(at.layout.artifact(target), judged, partial(artifact.outdated, at, target))
    return Goal((steps.measure,), (*(result for results in before for result in results), own))


def _verify_goal(at: Workspace, model: Model, target: Target) -> Goal:
    steps = proof(model, target, at.chosen(model))
    builds = [_build_goal(at, model, each.target) for each in (steps.build, *steps.siblings)]

    def outdated(entries: Entries) -> str:
        return verify.outdated(at, target, entries[steps.build.deploy], entries[steps.compare])

    own = Result(at.layout.verification(target), (steps.build.deploy, steps.compare), outdated)
    return _joined(*builds, Goal((steps.compare,), (own,)))


def _eval_onnx_goal(at: Workspace, model: Model) -> Goal:
    step = evaluate_onnx(model, at.chosen(model))
    return _joined(_model_goal(at, model), Goal((step,), (_evaluated(at, model, "onnx", step),)))


def _eval_goal(at: Workspace, model: Model, target: Target) -> Goal:
    weights = at.chosen(model)
    compare, step = proof(model, target, weights).compare, evaluate_lowering(model, target, weights)
    own = Goal((compare, step), (_evaluated(at, model, engine(model, target), step),))
    return _joined(_build_goal(at, model, target), _eval_onnx_goal(at, model), own)


def _evaluated(at: Workspace, model: Model, name: str, step: Step) -> Result:
    path = at.layout.evaluation(model.name, at.chosen(model).name, name)
    return Result(path, (step,), lambda entries: eval.outdated(at, model, name, entries[step]))


def _model_goal(at: Workspace, model: Model) -> Goal:
    weights = at.chosen(model)
    step, path = import_step(model, weights), at.layout.onnx(model.name, weights.name)

    def outdated(entries: Entries) -> str:
        if not path.is_file():
            return "not published yet, or deleted"
        return "" if at.holds(path, entries[step].files["model.onnx"]) else "not the imported model"

    return Goal((step,), (Result(path, (step,), outdated),))


def _transform_goal(at: Workspace, model: Model, batch: int) -> Goal:
    return Goal((transform_step(model, at.chosen(model), batch),), ())


def _calibrate_goal(at: Workspace, model: Model) -> Goal:
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


def _qtable_goal(at: Workspace, model: Model, chip: str, search: Search) -> Goal:
    weights = at.chosen(model)
    step, path = cut_step(model, chip, weights, search), at.layout.qtable(model.name, weights.name, chip)
    judged = (agree_step(model, chip, weights, table) for table in (None, Output(step, qtable.TABLE)))
    own = Goal((step, *judged), (_table(step, path, "qtable"),))
    story = partial(qtable.explain, at, model, chip, search)
    return replace(_joined(_model_goal(at, model), own), story=story)


def _joined(*goals: Goal) -> Goal:
    ends = dict.fromkeys(end for goal in goals for end in goal.ends)
    results = {result.path: result for goal in goals for result in goal.results}
    return Goal(tuple(ends), tuple(results.values()))


def _targets(at: Workspace) -> Iterator[tuple[Model, Target]]:
    return ((model, target) for model in at.models.values() for target in model.targets)


def _named(at: Workspace, model: Model, rest: str) -> str:
    return rest if model.name == at.default_model else f"{model.name}.{rest}"
