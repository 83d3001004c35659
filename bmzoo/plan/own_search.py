"""The steps of bmzoo's own search for float layers, for one chip. Pure data.

Ranking and choosing are done once for each quantizer, so bm1684x and bm1688 share them. What a setting such as
`max_float_layers` cuts off from them takes no time.
"""

from functools import lru_cache

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Search
from bmzoo.config.weights import Weights
from bmzoo.plan.decoding import decoder_files, decoder_request
from bmzoo.plan.fed import fed, input_request
from bmzoo.plan.float_decision import RANKED_PICTURES, float_layers, float_mode
from bmzoo.plan.lowering import int8_target, plain_lowering
from bmzoo.plan.shared import document, import_step, quantized_source, transform_for
from bmzoo.plan.step import Command, Input, Output, Step, Subject

# The path is followed this far whatever is asked for, so that one serves every setting up to it.
LAYERS = 20


def ranking_step(model: Model, chip: str, weights: Weights, search: Search | None) -> Step:
    """The step that ranks layers, whatever the search's settings: `ranking.json`."""
    return rank_step(model, chip, weights)


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
def choose_step(
    model: Model, chip: str, weights: Weights, search: Search, profiles: tuple[tuple[str, Input], ...] = ()
) -> Step:
    """In which order layers are best left in float: for their number, or for the time that two profiles tell."""
    model = using(model, weights)
    limit = max(LAYERS, search.max_float_layers or 0)
    request = {**_request(model), "limit": limit, "metric": search.metric, "exclude": search.exclude or ()}
    if profiles:
        request |= {"limit": search.max_float_layers or LAYERS, "priced": True}
    return Step(
        "choose",
        _subject(model, weights, CHIPS[chip].quantizer),
        (Command("prepare", ("request.json",)), Command("choose", ("request.json",))),
        (
            *_inputs(model, chip, weights),
            ("ranking.json", Output(rank_step(model, chip, weights), "ranking.json")),
            *profiles,
        ),
        ("path.json",),
        (document("request.json", request),),
        resumable=True,
    )


def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable that a search's settings ask for, and why each layer is in or out of it."""
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


def network_files(model: Model, chip: str, weights: Weights) -> tuple[tuple[str, Input], ...]:
    """A chip's INT8 network as the search reads it: the model, its MLIR before and after lowering."""
    transform = transform_for(model, int8_target(model, CHIPS[chip].quantizer), weights, 1)
    return (
        ("model.onnx", Output(quantized_source(model, chip, weights), "model.onnx")),
        ("model.json", Output(import_step(model, weights), "model.json")),
        ("model.mlir", Output(transform, "model.mlir")),
        ("lowered.mlir", Output(plain_lowering(model, chip, weights), "lowered.mlir")),
    )


def _inputs(model: Model, chip: str, weights: Weights) -> tuple[tuple[str, Input], ...]:
    images = model.config.quantization.images
    assert images is not None, "checked when the config was read"
    shown = fed(model, images, min(images.count or RANKED_PICTURES, RANKED_PICTURES))
    return (*network_files(model, chip, weights), *shown, *decoder_files(model))


def _request(model: Model) -> dict[str, object]:
    images = model.config.quantization.images
    assert images is not None, "checked when the config was read"
    slots = min(images.count or RANKED_PICTURES, RANKED_PICTURES)
    return {**input_request(model), "decoder": decoder_request(model), "minimum": 1, "slots": slots}


def _subject(model: Model, weights: Weights, chip: str) -> Subject:
    return Subject(model.name, weights.name, chip)
