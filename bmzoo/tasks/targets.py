"""The doit tasks by target: `build`, `verify`, `eval`, `bench`, `export` and `reproduce`."""

from collections.abc import Iterator

from bmzoo.chips import CALIBRATED
from bmzoo.config.model import Model
from bmzoo.plan.ladder import climbs
from bmzoo.plan.shared import equalized_for
from bmzoo.plan.verify import siblings
from bmzoo.target import Target
from bmzoo.tasks.guard import Task, guarded, quietly
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context, TaskSubject
from bmzoo.tasks.subjects import calibration_name, named, transform_name
from bmzoo.workspace import Workspace


def build(context: Context, subject: TaskSubject[Target]) -> Task:
    """Compile a target and publish it once the simulator agrees with ONNX."""
    at, model, target = context.workspace, subject.model, subject.of
    layout = at.layout
    return {
        "doc": f"build/{target.artifact}",
        "actions": [guarded(later("tasks.actions.targets:run_build", at, target))],
        "uptodate": [quietly(later("results.artifact:is_current", at, target))],
        "task_dep": [f"model:{model.name}", *_before_build(at, model, target)],
        "targets": [str(path(target)) for path in (layout.artifact, layout.provenance, layout.profile)],
        "clean": True,
    }


def _before_build(at: Workspace, model: Model, target: Target) -> Iterator[str]:
    """The tasks that make what targets share."""
    quantized = target.precision in CALIBRATED
    if quantized and climbs(at.configs.models[model.name]):
        yield f"quantize:{model.name}"  # which also does what follows from the settings that it finds
        return
    if not (quantized and model.equalizes):  # the transform that equalizes is not shared with float targets
        yield transform_name(at, model, target.batch)
    if quantized and model.calibrates:
        yield f"calibrate:{calibration_name(model, equalized_for(model, target.chip))}"
    if model.search(target) is not None:
        yield f"qtable:{named(at, model, target.chip)}"


def verify(context: Context, subject: TaskSubject[Target]) -> Task:
    """Compare a target's artifact with ONNX, its MLIR and its siblings."""
    at, model, target = context.workspace, subject.model, subject.of
    related = [other.qualified(at.default_model) for other in siblings(model, target)]
    return {
        "doc": f"build/{target.stem}.verify.json",
        "actions": [guarded(later("tasks.actions.targets:run_verify", at, target, subject.name))],
        "uptodate": [quietly(later("results.verify:is_current", at, target))],
        "task_dep": [f"build:{name}" for name in (subject.name, *related)] + [transform_name(at, model, 1)],
        "targets": [str(at.layout.verification(target))],
        "clean": True,
    }


def evaluate(context: Context, subject: TaskSubject[Target | None]) -> Task:
    """Average precision of a target, or of the ONNX model."""
    at, model, target = context.workspace, subject.model, subject.of
    if target is None:
        return {
            "doc": f"the ONNX model {model.name}",
            "actions": [guarded(later("tasks.actions.targets:run_eval_onnx", at, model, subject.name))],
            "uptodate": [quietly(later("results.eval:is_current_onnx", at, model))],
            "task_dep": [f"model:{model.name}"],
        }
    return {
        "doc": f"{target.chip} {target.precision}, whatever the batch and cores",
        "actions": [guarded(later("tasks.actions.targets:run_eval", at, target, subject.name))],
        "uptodate": [quietly(later("results.eval:is_current", at, target))],
        "task_dep": [f"build:{subject.name}", f"eval:{named(at, model, 'onnx')}"],
    }


def bench(context: Context, subject: TaskSubject[Target | None]) -> Task:
    """Time the stages of a target's artifact, or of the ONNX model."""
    needs = f"model:{subject.model.name}" if subject.of is None else f"build:{subject.name}"
    return {
        "doc": f"stage times of {subject.name}",
        "actions": [guarded(later("tasks.actions.measuring:run_bench", context.workspace, subject))],
        "task_dep": [needs],
    }


def combine(context: Context, subject: TaskSubject[tuple[Target, ...]]) -> Task:
    """Combine the artifacts of targets that differ in batch only."""
    at = context.workspace
    path = at.layout.combined(subject.of)
    return {
        "doc": at.layout.shown(path),
        "actions": [guarded(later("tasks.actions.targets:run_combine", at, subject.model, subject.of))],
        "task_dep": [f"build:{target.qualified(at.default_model)}" for target in subject.of],
        "targets": [str(path), str(path.with_suffix(".json"))],
        "clean": True,
    }


def export(context: Context, subject: TaskSubject[Target]) -> Task:
    """Write the archive of a target for a board."""
    at, target = context.workspace, subject.of
    path = at.layout.export(target)
    return {
        "doc": at.layout.shown(path),
        "actions": [guarded(later("tasks.actions.targets:run_export", at, target, context.key))],
        "task_dep": [f"verify:{subject.name}"],
        "targets": [str(path)],
        "clean": True,
    }


def reproduce(context: Context, subject: TaskSubject[Target]) -> Task:
    """Compile a target again and compare the bytes."""
    return {
        "doc": f"build/{subject.of.artifact} made again, byte for byte",
        "actions": [
            guarded(later("tasks.actions.measuring:run_reproduce", context.workspace, subject.of, subject.name))
        ],
        "task_dep": [f"build:{subject.name}"],
    }
