"""The steps that choose which layers of an INT8 network stay in float, for one chip. Pure data.

Ranking and choosing are done once for each quantizer, so bm1684x and bm1688 share them. What a setting such as
`max_float_layers` cuts off from them takes no time.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bmzoo.chips import CHIPS
from bmzoo.config import search_methods
from bmzoo.config.model import Model, using
from bmzoo.config.schema import Search, Weights
from bmzoo.plan import vendor_search
from bmzoo.plan.decisions import FLOAT_LAYERS, decision
from bmzoo.plan.lowering import LOWERED, int8_target, lowering, plain_lowering, thresholds
from bmzoo.plan.shared import (
    calibration,
    derived_from,
    document,
    equalization,
    equalized_for,
    import_step,
    input_request,
    network,
    pictures,
    quantized_source,
)
from bmzoo.plan.step import Command, Decision, File, Input, Output, Step, Subject
from bmzoo.target import Target

# How many selection pictures layers are ranked and chosen by; all of them confirm the pick.
PICTURES = 16
# How many confirm a pick, where the config does not say.
CONFIRMED = 32
# The path is followed this far whatever is asked for, so that one serves every setting up to it.
LAYERS = 20


def float_mode(chip: str) -> str:
    """What a layer in float is computed in: half precision where the chip has it."""
    return "F16" if "fp16" in CHIPS[chip].precisions else "F32"


@lru_cache(maxsize=64)
def rank_step(model: Model, chip: str, weights: Weights) -> Step:
    """How much each layer hurts alone in INT8."""
    model = using(model, weights)
    return Step(
        "rank",
        _subject(model, weights, CHIPS[chip].quantizer),
        (Command("prepare", ("request.json",)), Command("rank", ("request.json",))),
        _inputs(model, chip, weights),
        ("ranking.json",),
        (document("request.json", _request(model)),),
        resumable=True,
    )


@lru_cache(maxsize=64)
def choose_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """In which order layers are best left in float."""
    model = using(model, weights)
    limit = max(LAYERS, search.max_float_layers or 0)
    request = {**_request(model), "limit": limit, "metric": search.metric, "exclude": search.exclude or ()}
    return Step(
        "choose",
        _subject(model, weights, CHIPS[chip].quantizer),
        (Command("prepare", ("request.json",)), Command("choose", ("request.json",))),
        (*_inputs(model, chip, weights), ("ranking.json", Output(rank_step(model, chip, weights), "ranking.json"))),
        ("path.json",),
        (document("request.json", request),),
        resumable=True,
    )


def ranking_step(model: Model, chip: str, weights: Weights, search: Search | None) -> Step:
    """The step that ranks layers by a search's method: `ranking.json`."""
    if search is not None and search.method in search_methods.METHODS:
        return vendor_search.search_step(model, chip, weights, search)
    return rank_step(model, chip, weights)


@lru_cache(maxsize=256)
def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable that a search's settings ask for, and why each layer is in or out of it."""
    if search.method in search_methods.METHODS:
        step = vendor_search.cut_step(model, chip, weights, search, float_mode(chip))
        # A qtable is nothing without thresholds of its own, where there are any, and those are not committed.
        if "calibration.table" in step.outputs:
            return step
        chosen = search.model_dump(include={"method", "max_float_layers", "expected_cos", "keep"})
        derived = {**chosen, "mode": float_mode(chip), "chip": chip}
        return replace(step, decision=float_layers(using(model, weights), chip, weights, derived))
    settings = search.model_dump(include={"max_float_layers", "expected_cos", "gain", "keep", "metric", "exclude"})
    request = {"settings": settings, "mode": float_mode(chip)}
    ranking = (("ranking.json", Output(rank_step(model, chip, weights), "ranking.json")),)
    path = (("path.json", Output(choose_step(model, chip, weights, search), "path.json")),)
    return Step(
        "cut",
        _subject(model, weights, chip),
        (Command("cut", ("request.json",)),),
        ranking if search.keep else (*ranking, *path),
        ("mixed.qtable", "choice.json"),
        (document("request.json", request),),
        float_layers(using(model, weights), chip, weights, {**settings, "mode": float_mode(chip)}),
    )


def float_layers(model: Model, chip: str, weights: Weights, settings: Mapping[str, Any]) -> Decision:
    """What the choice of a chip's float layers is derived from. The model is that for the weights."""
    target = int8_target(model, chip)
    config, images = model.config, model.config.quantization.images
    assert images is not None, "checked when the config was read"
    own = {
        **network(model, weights),
        "decoder": config.decoder.model_dump(),
        "flags": model.deploy_flags(target),
        **settings,
    }
    sources: dict[str, Input] = {
        **derived_from(weights),
        "pictures": replace(pictures(images), count=min(images.count or PICTURES, PICTURES)),
        **equalization(model, weights, equalized_for(model, chip)),
        "calibration.table": thresholds(model, calibration(model, target, weights)),
    }
    return decision(FLOAT_LAYERS, own, sources, vendor=True)


def qtable_input(model: Model, target: Target, weights: Weights) -> Input | None:
    """Where a target's mixed-precision table comes from: the one written by hand, a search, or nowhere."""
    table = model.table(target)
    if table is not None:
        return File(table)
    search = model.search(target)
    return Output(cut_step(model, target.chip, weights, search), "mixed.qtable") if search is not None else None


def candidate(model: Model, chip: str, weights: Weights, qtable: Input | None) -> Step:
    """The lowering of a chip's INT8 network that is judged: with a table, or plain."""
    if qtable is None:
        return plain_lowering(model, chip, weights)
    return lowering(model, int8_target(model, chip), weights, qtable, f"{CHIPS[chip].quantizer}_int8 candidate")


def agree_step(model: Model, chip: str, weights: Weights, qtable: Input | None) -> Step:
    """How a real lowering agrees with the float model on all selection pictures, with a table or without."""
    model = using(model, weights)
    target, lower = int8_target(model, chip), candidate(model, chip, weights, qtable)
    source, config = import_step(model, weights), model.config
    images = config.quantization.images
    assert images is not None, "checked when the config was read"
    request = {
        **input_request(model),
        "decoder": config.decoder.model_dump(),
        "confidence": config.verify.confidence,
        "margin": config.verify.margin,
        "iou": model.thresholds(target).iou,
        "minimum": 1,
        "slots": images.count or CONFIRMED,
    }
    return Step(
        "agree",
        lower.subject,
        (
            Command("prepare", ("request.json",)),
            Command("infer", ("lowered.mlir", "inputs.npz", "outputs.npz")),
            Command("agree", ("request.json",)),
        ),
        (
            *((name, Output(lower, name)) for name in LOWERED),
            ("model.onnx", Output(source, "model.onnx")),
            ("model.json", Output(source, "model.json")),
            ("pictures", replace(pictures(images), count=images.count or CONFIRMED)),
        ),
        ("agreement.json",),
        (document("request.json", request),),
    )


def _inputs(model: Model, chip: str, weights: Weights) -> tuple[tuple[str, Input], ...]:
    source = quantized_source(model, chip, weights)
    images = model.config.quantization.images
    assert images is not None, "checked when the config was read"
    return (
        ("model.onnx", Output(source, "model.onnx")),
        ("model.json", Output(import_step(model, weights), "model.json")),
        ("lowered.mlir", Output(plain_lowering(model, chip, weights), "lowered.mlir")),
        ("pictures", replace(pictures(images), count=min(images.count or PICTURES, PICTURES))),
    )


def _request(model: Model) -> dict[str, object]:
    images = model.config.quantization.images
    assert images is not None, "checked when the config was read"
    slots = min(images.count or PICTURES, PICTURES)
    return {**input_request(model), "decoder": model.config.decoder.model_dump(), "minimum": 1, "slots": slots}


def _subject(model: Model, weights: Weights, chip: str) -> Subject:
    return Subject(model.name, weights.name, chip)
