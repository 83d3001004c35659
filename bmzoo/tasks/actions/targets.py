"""What `build`, `verify`, `eval` and `export` do."""

from pathlib import Path

from bmzoo.config.model import Model
from bmzoo.export.export import export_target
from bmzoo.results import artifact
from bmzoo.results import eval as evaluation
from bmzoo.results import verify as verification
from bmzoo.results.combined import combine_targets
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def run_build(at: Workspace, target: Target) -> None:
    figures = artifact.build_artifact(at, target)
    at.report.say(f"build/{target.artifact}: {figures}")


def run_verify(at: Workspace, target: Target, name: str) -> None:
    figures = verification.verify_target(at, target)
    at.report.say(f"{name}: verified on {figures}")


def run_eval_onnx(at: Workspace, model: Model, name: str) -> None:
    at.report.say(f"eval:{name}: {evaluation.evaluate_model(at, model)}")


def run_eval(at: Workspace, target: Target, name: str) -> None:
    at.report.say(f"eval:{name}: {evaluation.evaluate_target(at, target)}")


def run_combine(at: Workspace, model: Model, targets: tuple[Target, ...]) -> None:
    sizes = combine_targets(at, at.weights.using(model), targets)
    at.report.say(f"{at.layout.shown(at.layout.combined(targets))}: {sizes}")


def run_export(at: Workspace, target: Target, key: Path | None) -> None:
    held = export_target(at, target, key)
    at.report.say(f"{at.layout.shown(at.layout.export(target))}: {held}")
