"""`pick`: which of the compiled sets of float layers a goal is reached with, or misses by least."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bmzoo.commands.arrange import document, set_names, taken
from bmzoo.errors import ConfigError
from bmzoo.measure.fitted import COMPILER
from bmzoo.measure.sureness import evidence_of, resamples, sureness
from bmzoo.quantization.budgets.choice import GoalChoice, Option, Units, asked_for, choose_option, frontier
from bmzoo.quantization.select import LayerCut, table_text

Told = Mapping[str, Any]


def run(folder: Path, args: tuple[str, ...]) -> None:
    """Write `mixed.qtable` and `choice.json`.

    Raises ConfigError where there is nothing that could be lost, ToolFailed for artifacts whose time is not known.
    """
    request = document(folder, args[0])
    agreements = {name: document(folder, f"{name}.agreement.json") for name in ("plain", *set_names())}
    if request["goal"].get("ap_drop") is not None and agreements["plain"]["agreement"] is None:
        raise ConfigError("ap_drop: what this decoder gives is not compared, so none of it can be lost")
    sets = document(folder, "sets.json")
    pictures, decoded = agreements["plain"]["pictures"], agreements["plain"]["agreement"] is not None
    units = Units("cycles" if request["constants"] is None else "ms", decoded, pictures)
    options = _options(folder, sets["sets"], agreements, request["constants"])
    choice = choose_option(asked_for(request["goal"], options[0].time), options, units)
    said = _said(request["goal"], choice, options, units)
    cut = LayerCut(choice.option.layers, None, None, f"the goal is {choice.outcome}")
    (folder / "mixed.qtable").write_text(
        table_text(cut, pictures, request["mode"], _settings(request), said), encoding="utf-8"
    )
    found = {
        **{"layers": [*cut.layers], "loss": None, "cosine": None, "why": cut.why, "mode": request["mode"]},
        **{"pictures": pictures, "plain": None, "said": said, "outcome": choice.outcome},
        "options": [{key: value for key, value in vars(one).items() if key != "draws"} for one in options],
        "rows": list(_rows(document(folder, "ranking.json"), sets["promotions"], choice, units)),
    }
    (folder / "choice.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def _options(
    folder: Path, sets: Sequence[Sequence[str]], agreements: Told, constants: dict[str, float] | None
) -> list[Option]:
    """Plain INT8 and each set once."""
    found: dict[tuple[str, ...], Option] = {}
    counts = resamples(agreements["plain"]["pictures"])
    for name, layers in (("plain", ()), *zip(set_names(), map(tuple, sets), strict=True)):
        if layers not in found:
            draws = evidence_of(agreements[name]["evidence"]).under(counts)
            time, bounds = taken(folder, name, constants), sureness(draws)
            found[layers] = Option(layers, time, agreements[name]["kept"], bounds.low, bounds.deviation, draws)
    return list(found.values())


def _said(goal: Told, choice: GoalChoice, options: Sequence[Option], units: Units) -> list[str]:
    asked = ", ".join(f"{key} {value}" for key, value in goal.items() if value is not None)
    return [
        f"goal: {asked}: {choice.outcome}",
        *([f"goal: ms are by constants fitted on profiles of {COMPILER}"] if units.time == "ms" else ()),
        *(f"goal: {line}" for line in choice.said),
        *(f"goal: {line}" for line in frontier(options, choice.option, units)),
    ]


def _settings(request: Told) -> list[str]:
    most, metric, excluded = request["max_float_layers"], request["metric"], request["exclude"]
    given = {"max_float_layers": most, "metric": metric, "exclude": " ".join(excluded or ())}
    return [f"{key} {value}" for key, value in given.items() if value]


def _rows(ranking: Told, promotions: Sequence[Told], choice: GoalChoice, units: Units) -> Any:  # noqa: ANN401
    """Every layer, the most sensitive first, and why it is in float or not."""
    prices = {layer: one["price"] for one in promotions for layer in one["layers"]}
    for row in ranking["layers"]:
        layer = row["layer"]
        price = f"{units.times(prices[layer])} with those promoted with it" if layer in prices else ""
        if layer in choice.option.layers:
            why = f"in: {price}"
        else:
            why = f"out: {price}" if price else "out: not tried: others take more off the loss for their time"
        yield {"layer": layer, "loss": float(row["loss"]), "why": why}
