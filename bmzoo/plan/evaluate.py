"""The steps of `eval`: a metric on ground truth, of the ONNX model or a lowering. Pure data."""

from dataclasses import replace
from functools import lru_cache

from bmzoo.config.model import Model, using
from bmzoo.config.weights import Weights
from bmzoo.measure import groundtruth
from bmzoo.plan.decoding import NAMED, decoder_files, decoder_request, reads_own_characters
from bmzoo.plan.fed import picture_request
from bmzoo.plan.lowering import LOWERED
from bmzoo.plan.shared import document, import_step
from bmzoo.plan.step import Command, Input, Output, Step, Subject, Tree
from bmzoo.plan.verify import lower_step
from bmzoo.target import Target


def evaluate_onnx(model: Model, weights: Weights, flavour: str = "") -> Step:
    """Figures of the ONNX model on the config's ground truth. `flavour`: whose resize, if not the config's."""
    model = using(model, weights)
    source = import_step(model, weights)
    inputs = tuple((name, Output(source, name)) for name in ("model.onnx", "model.json"))
    subject = Subject(model.name, weights.name, detail="onnx")
    return _evaluate_step(*_resized_by(flavour, model, subject), "model.onnx", inputs)


def evaluate_lowering(model: Model, target: Target, weights: Weights, flavour: str = "") -> Step:
    """Figures of a target's lowering, the same for all its batches and cores."""
    model = using(model, weights)
    return evaluate_lowered(model, lower_step(model, target, weights), flavour, model.fused(target))


@lru_cache(maxsize=1024)
def evaluate_lowered(model: Model, lower: Step, flavour: str = "", fused: str = "") -> Step:
    """Figures of any lowering of the model; `fused`: of the preprocessing compiled in, if any."""
    source = next(step for transform in lower.needs for step in transform.needs if step.kind == "import")
    inputs = [*((name, Output(lower, name)) for name in LOWERED), ("model.json", Output(source, "model.json"))]
    if reads_own_characters(model):
        inputs.append((NAMED, Output(source, "model.onnx")))
    return _evaluate_step(*_resized_by(flavour, model, lower.subject), "lowered.mlir", tuple(inputs), fused)


def _resized_by(flavour: str, model: Model, subject: Subject) -> tuple[Model, Subject]:
    """The model whose pictures get a flavour's resize, and what its step is about."""
    picture = model.config.input
    if not flavour or picture is None or picture.flavour == flavour:
        return model, subject
    fed = {"input": picture.model_copy(update={"flavour": flavour})}
    told = replace(subject, detail=f"{subject.detail} {flavour}")
    return replace(model, config=model.config.model_copy(update=fed)), told


def _evaluate_step(
    model: Model, subject: Subject, network: str, inputs: tuple[tuple[str, Input], ...], fused: str = ""
) -> Step:
    settings = model.config.evaluate
    assert settings is not None, "only for models with ground truth"
    folder, inside = groundtruth.tree(settings.truth)
    request = {
        **picture_request(model),
        **({"raw": fused} if fused else {}),
        "network": network,
        "decoder": decoder_request(model),
        "confidence": settings.confidence,
        "nms": settings.nms,
        "truth": f"truth/{inside}" if inside else "truth",
        **({"characters_of": NAMED} if NAMED in dict(inputs) else {}),
    }
    return Step(
        "evaluate",
        subject,
        (Command("evaluate", ("request.json",)),),
        (*inputs, ("truth", Tree(folder)), *decoder_files(model)),
        ("ap.json",),
        (document("request.json", request),),
    )
