"""The steps that find float layers for a goal, `{ap_drop: 0.5, latency: +5%}`, for one chip. Pure data.

Two profiles, of plain INT8 and of all in float, price every layer; the layers that take most off the loss for
their price are promoted in that order, and the first sets of them compiled. What each added there orders them
again, and the sets that follow are compiled and compared with ONNX on all selection pictures: the goal is judged by
these alone. All of it is planned at once, since which layers a set holds is the business of a step's result: a set
that is not needed repeats another, and is made once. Time is that of batch 1 on one core.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache

from bmzoo.chips import CHIPS
from bmzoo.config.model import Model, using
from bmzoo.config.quantization import Search
from bmzoo.config.weights import Weights
from bmzoo.measure.fitted import CONSTANTS
from bmzoo.plan.build import deploy_step
from bmzoo.plan.float_decision import float_layers, float_mode
from bmzoo.plan.float_layers import CONFIRMED, agree_step
from bmzoo.plan.lowering import int8_target
from bmzoo.plan.own_search import choose_step, rank_step
from bmzoo.plan.shared import document
from bmzoo.plan.step import Command, Input, Output, Step, Subject
from bmzoo.quantization.budgets.sets import SETS
from bmzoo.target import Target

_TIMED = ("profile", "facts")
_OF_DEPLOY = tuple(f"{kind}.json" for kind in _TIMED)


def ranking_step(model: Model, chip: str, weights: Weights, search: Search | None) -> Step:
    """The step that ranks layers: `ranking.json`."""
    return rank_step(model, chip, weights)


@lru_cache(maxsize=64)
def cut_step(model: Model, chip: str, weights: Weights, search: Search) -> Step:
    """The qtable that a goal asks for, what it comes to, and why each layer is in or out of it."""
    assert search.goal is not None, "see float_layers"
    final = _sets_step(model, chip, weights, search, first=False)
    goal = search.goal.model_dump(exclude_none=True)
    settings = {
        **{"goal": goal, "mode": float_mode(chip), "constants": _constants(chip)},
        **search.model_dump(include={"max_float_layers", "metric", "exclude"}),
    }
    own = using(model, weights)
    images = own.config.quantization.images
    assert images is not None, "checked when the config was read"
    return Step(
        "cut",
        Subject(model.name, weights.name, chip),
        (Command("pick", ("request.json",)),),
        (
            ("ranking.json", Output(rank_step(model, chip, weights), "ranking.json")),
            ("sets.json", Output(final, "sets.json")),
            *_times(model, chip, weights, final),
            *_agreements(model, chip, weights, final),
        ),
        ("mixed.qtable", "choice.json"),
        (document("request.json", settings),),
        float_layers(own, chip, weights, settings, images.count or CONFIRMED),
    )


def trials(model: Model, chip: str, weights: Weights, search: Search) -> Iterator[tuple[Step, ...]]:
    """The steps that may run side by side, those first that others wait for."""
    for first in (True, False):
        found = _sets_step(model, chip, weights, search, first)
        agreed = () if first else _agreements(model, chip, weights, found)
        inputs = (*_times(model, chip, weights, found), *agreed)
        yield tuple(dict.fromkeys(ref.step for _, ref in inputs))


@lru_cache(maxsize=64)
def _sets_step(model: Model, chip: str, weights: Weights, search: Search, first: bool) -> Step:
    """The sets that are compiled first, by two profiles; or those to choose from, by what these took."""
    assert search.goal is not None, "see float_layers"
    request = {
        **{"measured": not first, "mode": float_mode(chip), "constants": _constants(chip)},
        "latency": None if first else search.goal.latency,
    }
    path = choose_step(model, chip, weights, search, _profiles(model, chip, weights))
    before = None if first else _sets_step(model, chip, weights, search, True)
    return Step(
        "arrange",
        Subject(model.name, weights.name, chip, "by two profiles" if first else "by what was compiled"),
        (Command("arrange", ("request.json",)),),
        (
            ("path.json", Output(path, "path.json")),
            *(_times(model, chip, weights, before) if before is not None else ()),
        ),
        ("sets.json", *(f"{name}.qtable" for name in _names())),
        (document("request.json", request),),
    )


def _names() -> tuple[str, ...]:
    return tuple(f"set{number}" for number in range(1, SETS + 1))


def _profiles(model: Model, chip: str, weights: Weights) -> tuple[tuple[str, Input], ...]:
    """Plain INT8 and the whole network in float, as compiled for the chip."""
    target = int8_target(model, chip)
    floats = deploy_step(model, Target(model.name, chip, CHIPS[chip].float_mode, 1, 1), weights, None)
    return (
        ("plain.profile.json", Output(deploy_step(model, target, weights, None), "profile.json")),
        ("float.profile.json", Output(floats, "profile.json")),
    )


def _times(model: Model, chip: str, weights: Weights, sets: Step) -> tuple[tuple[str, Output], ...]:
    """What plain INT8 and each set took, as compiled."""
    target = int8_target(model, chip)
    made = {"plain": deploy_step(model, target, weights, None)}
    for name in _names():
        step = deploy_step(model, target, weights, Output(sets, f"{name}.qtable"))
        made[name] = replace(step, subject=replace(step.subject, detail=f"{target} {sets.subject.detail}: {name}"))
    return tuple((f"{name}.{file}", Output(step, file)) for name, step in made.items() for file in _OF_DEPLOY)


def _agreements(model: Model, chip: str, weights: Weights, sets: Step) -> tuple[tuple[str, Output], ...]:
    tables: dict[str, Input | None] = {"plain": None, **{name: Output(sets, f"{name}.qtable") for name in _names()}}
    return tuple(
        (f"{name}.agreement.json", Output(agree_step(model, chip, weights, table), "agreement.json"))
        for name, table in tables.items()
    )


def _constants(chip: str) -> dict[str, float] | None:
    """What turns the chip's profiles into milliseconds; None where there is nothing but the compiler's cost."""
    if not CHIPS[chip].timed:
        return None
    return {name: value for name, value in asdict(CONSTANTS[chip]).items() if name not in ("low", "high")}
