"""The doit tasks by model, whose results its targets share: `model`, `transform` and `calibrate`."""

from functools import partial

from bmzoo.config.model import Model
from bmzoo.plan.shared import transform_step
from bmzoo.plan.step import Step
from bmzoo.tasks.guard import Task, guarded, quietly
from bmzoo.tasks.row import Context, Subject
from bmzoo.tasks.subjects import transform_name
from bmzoo.workspace import Workspace


def model(context: Context, subject: Subject[None]) -> Task:
    """Import a model's weights as ONNX."""
    at, own = context.workspace, subject.model
    return {
        "doc": f"models/onnx/{own.name}.<weights>.onnx",
        "actions": [guarded(partial(at.make_model, own))],
        "uptodate": [quietly(partial(at.has_model, own))],
        "targets": _imported(at, own),
        "clean": True,
    }


def transform(context: Context, subject: Subject[int]) -> Task:
    """Convert a model to MLIR at one batch."""
    at, own, batch = context.workspace, subject.model, subject.of
    return {
        "doc": f"{own.name} at batch {batch}",
        "actions": [guarded(lambda: at.make_step(own, _transform(at, own, batch)))],
        "uptodate": [quietly(lambda: at.has_step(own, _transform(at, own, batch)))],
        "task_dep": [f"model:{own.name}"],
    }


def calibrate(context: Context, subject: Subject[None]) -> Task:
    """Write a model's calibration table."""
    at, own = context.workspace, subject.model
    return {
        "doc": f"calibration/{own.name}.<weights>.table",
        "actions": [guarded(partial(at.make_table, own))],
        "uptodate": [quietly(partial(at.has_table, own))],
        "task_dep": [transform_name(at, own, 1)],
    }


def _imported(at: Workspace, own: Model) -> list[str]:
    """The file that the task writes; none where it is what is imported, which `clean` must not remove."""
    weights = at.likely(own)
    return [] if at.is_source(own, weights) else [str(at.layout.onnx(own.name, weights.name))]


def _transform(at: Workspace, own: Model, batch: int) -> Step:
    return transform_step(own, at.chosen(own), batch)
