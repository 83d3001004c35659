"""The doit tasks by model, whose results its targets share: `model`, `transform`, `calibrate`, and `audit`."""

from collections.abc import Mapping

from bmzoo.config.model import Model
from bmzoo.plan.shared import transform_step
from bmzoo.plan.step import Step
from bmzoo.results import model as imported
from bmzoo.tasks.guard import Task, guarded, params, quietly
from bmzoo.tasks.later import later
from bmzoo.tasks.row import Context, TaskSubject
from bmzoo.workspace import Workspace


def model(context: Context, subject: TaskSubject[None]) -> Task:
    """Import a model's weights as ONNX."""
    at, own = context.workspace, subject.model
    return {
        "doc": f"models/onnx/{own.name}.<weights>.onnx",
        "actions": [guarded(later("results.model:import_model", at, own))],
        "uptodate": [quietly(later("results.model:is_current", at, own))],
        "targets": _imported(at, own),
        "clean": True,
    }


def transform(context: Context, subject: TaskSubject[int]) -> Task:
    """Convert a model to MLIR at one batch."""
    at, own, batch = context.workspace, subject.model, subject.of

    def make() -> None:
        at.weights.announce(own)
        at.builder(own).run(_transform(at, own, batch))

    return {
        "doc": f"{own.name} at batch {batch}",
        "actions": [guarded(make)],
        "uptodate": [quietly(lambda: at.builder(own).find(_transform(at, own, batch)) is not None)],
        "task_dep": [f"model:{own.name}"],
    }


def calibrate(context: Context, subject: TaskSubject[str]) -> Task:
    """Derive a model's scales and thresholds for a quantizer."""
    at, own, quantizer = context.workspace, subject.model, subject.of
    return {
        "doc": at.layout.shown(at.layout.table(own.name, "<weights>", quantizer)),
        "actions": [guarded(later("results.calibration:calibrate", at, own, quantizer))],
        "uptodate": [quietly(later("results.calibration:is_current", at, own, quantizer))],
        "task_dep": [f"model:{own.name}"],
    }


def quantize(context: Context, subject: TaskSubject[None]) -> Task:
    """Climb the ladder of a model's INT8 settings."""
    at, own = context.workspace, subject.model
    return {
        "doc": at.layout.shown(at.layout.int8_settings(own.name, "<weights>")),
        "actions": [guarded(later("tasks.actions.quantize:run_quantize", at, own))],
        "uptodate": [quietly(later("results.decisions:has_int8_decisions", at, own))],
        "task_dep": [f"model:{own.name}"],
    }


AUDIT_OPTIONS: Mapping[str, str] = {"pictures": "how many pictures to ask, at most; default: 32"}


def audit(context: Context, subject: TaskSubject[None]) -> Task:
    """Ask a model's network how it wants to be fed."""
    at, own = context.workspace, subject.model
    return {
        "doc": f"whether {own.name} is fed as it was trained",
        "actions": [guarded(later("tasks.actions.audit:run_audit", at, own))],
        "task_dep": [f"model:{own.name}"],
        "params": params(AUDIT_OPTIONS),
    }


def _imported(at: Workspace, own: Model) -> list[str]:
    """The file that the task writes; none where it is what is imported, which `clean` must not remove."""
    weights = at.weights.likely(own)
    return [] if imported.is_source(at, own, weights) else [str(at.layout.onnx(own.name, weights.name))]


def _transform(at: Workspace, own: Model, batch: int) -> Step:
    return transform_step(own, at.weights.chosen(own), batch)
