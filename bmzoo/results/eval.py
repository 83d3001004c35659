"""`eval`: figures where there is ground truth, of the ONNX model and of a target's lowering."""

from collections.abc import Mapping
from typing import Any

from bmzoo.config.model import Model
from bmzoo.errors import ConfigError, VerifyFailed
from bmzoo.execute import published
from bmzoo.measure import verdict
from bmzoo.measure.metrics.registry import ordered, told_metric
from bmzoo.plan.evaluate import evaluate_lowering, evaluate_onnx
from bmzoo.plan.step import Step
from bmzoo.plan.verify import engine, proof
from bmzoo.store.local import Entry
from bmzoo.system import files
from bmzoo.target import Target
from bmzoo.workspace import Workspace


def evaluate_model(at: Workspace, model: Model) -> str:
    """Figures of the ONNX model. Returns them in a line."""
    at.weights.announce(model)
    entry = at.builder(model).run(_onnx_step(at, model))
    figures = entry.read_json("ap.json")
    _publish(at, model, "onnx", entry, figures, {})
    return _line(figures, {})


def evaluate_target(at: Workspace, target: Target) -> str:
    """Figures of a target's lowering, shared by its batches and cores, and the difference to ONNX.

    Raises VerifyFailed when the lowering's MLIR does not give what the simulator of the chip gives.
    """
    model = at.model(target)
    at.weights.announce(model)
    builder = at.builder(model)
    _check_engines(at, target)
    _, onnx = told_metric(builder.run(_onnx_step(at, model)).read_json("ap.json"))
    entry = builder.run(_step(at, target))
    figures = entry.read_json("ap.json")
    difference = {key: round(value - onnx[key], 6) for key, value in told_metric(figures)[1].items()}
    _publish(at, model, engine(model, target), entry, figures, difference)
    return _line(figures, difference)


def figures_by(at: Workspace, model: Model, target: Target | None, flavour: str, make: bool) -> dict[str, Any]:
    """`ap.json` of a target's lowering, or of ONNX for None, on pictures resized by a flavour.

    Empty where it is not there; `make`: evaluate where it is not.
    """
    model, weights = _with_truth(at, at.weights.using(model)), at.weights.chosen(model)
    if target is None:
        step = evaluate_onnx(model, weights, flavour)
    else:
        step = evaluate_lowering(model, target, weights, flavour)
    builder = at.builder(model)
    entry = builder.run(step) if make else builder.find(step)
    return entry.read_json("ap.json") if entry is not None else {}


def is_current_onnx(at: Workspace, model: Model) -> bool:
    return _is_current(at, model, "onnx", at.builder(model).find(_onnx_step(at, model)))


def is_current(at: Workspace, target: Target) -> bool:
    model = at.model(target)
    return _is_current(at, model, engine(model, target), at.builder(model).find(_step(at, target)))


def outdated(at: Workspace, model: Model, name: str, entry: Entry) -> str:
    """Why the published evaluation is not this one; empty when it is. `name` is that of the engine."""
    told = at.documents.by(at.layout.evaluation(model.name, at.weights.chosen(model).name, name))
    if not told:
        return "not published yet, or deleted or damaged"
    return "" if told.get("fingerprint") == entry.fingerprint else "made from other inputs"


def _onnx_step(at: Workspace, model: Model) -> Step:
    return evaluate_onnx(_with_truth(at, model), at.weights.chosen(model))


def _step(at: Workspace, target: Target) -> Step:
    model = _with_truth(at, at.model(target))
    return evaluate_lowering(model, target, at.weights.chosen(model))


def _with_truth(at: Workspace, model: Model) -> Model:
    if model.config.evaluate is None:
        raise ConfigError(
            f"{at.layout.shown(model.path)}: evaluate: missing key: there is no ground truth to compare with",
            "for example evaluate: {truth: wider_val/gt.json}",
        )
    return model


def _check_engines(at: Workspace, target: Target) -> None:
    model = at.model(target)
    compare = at.builder(model).run(proof(model, target, at.weights.chosen(model)).compare)
    engines = compare.read_json("figures.json")["engines"]
    missed = verdict.engine_misses(engines, model.thresholds(target, verdict.between_engines(engines)))
    if missed:
        raise VerifyFailed(
            f"its MLIR cannot stand for it: {'; '.join(missed)}",
            "figures taken from that MLIR would not be the artifact's; see ./doit verify",
        )


def _publish(
    at: Workspace,
    model: Model,
    name: str,
    entry: Entry,
    figures: Mapping[str, Any],
    difference: Mapping[str, float],
) -> None:
    weights = at.weights.chosen(model).name
    told = {"schema": published.DOCUMENT_SCHEMA, "model": model.name, "weights": weights, "engine": name, **figures}
    told |= {"difference_to_onnx": dict(difference), "fingerprint": entry.fingerprint}
    files.write(files.json_text(told), at.layout.evaluation(model.name, weights, name))


def _is_current(at: Workspace, model: Model, name: str, entry: Entry | None) -> bool:
    return entry is not None and not outdated(at, model, name, entry)


def _line(told: Mapping[str, Any], difference: Mapping[str, float]) -> str:
    metric, figures = told_metric(told)
    parts = [
        f"{key} {figures[key]:.3f}" + (f" ({100 * difference[key]:+.1f} points)" if key in difference else "")
        for key in ordered(metric, figures)
    ]
    return f"{metric} {', '.join(parts)}"
