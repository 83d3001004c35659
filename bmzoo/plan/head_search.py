"""Float layers without a search: the head of a network, for one chip. Pure data."""

from functools import lru_cache

from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Search
from bmzoo.config.weights import Weights
from bmzoo.plan.float_decision import float_layers, float_mode
from bmzoo.plan.own_search import network_files, rank_step
from bmzoo.plan.shared import document
from bmzoo.plan.step import Command, Step, Subject


def ranking_step(model: Model, chip: str, weights: Weights, search: Search | None) -> Step:
    """The step that ranks layers, which is bmzoo's own: `ranking.json`."""
    return rank_step(model, chip, weights)


@lru_cache(maxsize=64)
def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable with the head's layers, and which they are."""
    settings = {"method": search.method, "exclude": search.exclude, "mode": float_mode(chip)}
    return Step(
        "cut",
        Subject(model.name, weights.name, chip),
        (Command("head", ("request.json",)),),
        network_files(model, chip, weights),
        ("mixed.qtable", "choice.json"),
        (document("request.json", settings),),
        float_layers(using(model, weights), chip, weights, settings),
    )
