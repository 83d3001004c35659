"""Which layers of an INT8 network stay in float, for one chip: named by hand or searched, and judged. Pure data.

How a search is planned is its method's business, see `config.search_methods`.
"""

from functools import lru_cache
from importlib import import_module
from types import ModuleType

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Search
from bmzoo.config.search_methods import method_of
from bmzoo.config.weights import Weights
from bmzoo.plan.decoding import compared_by, decoder_files
from bmzoo.plan.fed import fed, input_request
from bmzoo.plan.lowering import LOWERED, int8_target, lowering, plain_lowering
from bmzoo.plan.shared import document, import_step
from bmzoo.plan.step import Command, File, Input, Output, Step
from bmzoo.target import Target

# How many confirm a pick, where the config does not say.
CONFIRMED = 32


def ranking_step(model: Model, chip: str, weights: Weights, search: Search | None) -> Step:
    """The step that ranks layers by a search's method: `ranking.json`."""
    step: Step = _plan(search).ranking_step(model, chip, weights, search)
    return step


@lru_cache(maxsize=256)
def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable that a search's settings ask for, and why each layer is in or out of it."""
    step: Step = _plan(search).cut_step(model, chip, weights, search)
    return step


def _plan(search: Search | None) -> ModuleType:
    if search is not None and search.goal is not None:
        return import_module("bmzoo.plan.goal_search")
    return import_module(method_of(search.method if search is not None else None).plan)


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
        **compared_by(model, target),
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
            *fed(model, images, images.count or CONFIRMED),
            *decoder_files(model),
        ),
        ("agreement.json",),
        (document("request.json", request),),
    )
