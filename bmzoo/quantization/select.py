"""Selects the float layers from a ranking or a greedy path, with a reason for every layer. Pure."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bmzoo.errors import ConfigError, nearest


@dataclass(frozen=True)
class LayerCut:
    """Float layers in the order chosen, and the score with all of them (None where it was not measured)."""

    layers: tuple[str, ...]
    loss: float | None
    cosine: float | None
    why: str  # the stopping criterion that applied


def excluded(layers: Sequence[str], patterns: Sequence[str] | None) -> frozenset[str]:
    """The layers that match any pattern (`*`, `?`, `[...]`). Raises ConfigError for a pattern that matches none."""
    found: set[str] = set()
    for pattern in patterns or ():
        matching = fnmatch.filter(layers, pattern)
        if not matching:
            guess = nearest(pattern, layers)
            raise ConfigError(
                f"exclude: no such layer: {pattern}",
                f"did you mean {guess}?" if guess else "./doit rank:CHIP lists all layers; * stands for any text",
            )
        found.update(matching)
    return frozenset(found)


def explained(
    ranking: Mapping[str, Any], path: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> tuple[LayerCut, list[dict[str, Any]]] | None:
    """The layers that the settings ask for, and each layer's `layer`, `loss` and `why`, the most sensitive first.

    None without a path where the settings do not take layers as ranked. Raises ConfigError as `excluded`.
    """
    without = excluded([row["layer"] for row in ranking["layers"]], settings["exclude"])
    if settings["keep"]:
        path, found = {"choices": [], "alone": {}}, cut_ranking(ranking, settings["keep"], without)
    elif path is not None:
        found = cut_path(path, settings)
    else:
        return None
    rows = explain_layers(ranking, path, found, without)
    return found, [{"layer": layer, "loss": loss, "why": why} for layer, loss, why in rows]


def cut_path(path: Mapping[str, Any], settings: Mapping[str, Any]) -> LayerCut:
    """The longest prefix of a greedy path within `max_float_layers`, `expected_cos` and `gain`."""
    chosen: list[str] = []
    now = path["plain"]
    for choice in path["choices"]:
        if settings["expected_cos"] is not None and now["cosine"] >= settings["expected_cos"]:
            return _cut(chosen, now, f"the cosine has reached {settings['expected_cos']:g}")
        if len(chosen) + len(choice["layers"]) > settings["max_float_layers"]:
            return _cut(chosen, now, f"max_float_layers is {settings['max_float_layers']}")
        share = (now["loss"] - choice["loss"]) / path["plain"]["loss"] / len(choice["layers"])
        if share < settings["gain"]:
            return _cut(chosen, now, f"a further layer takes off less than {settings['gain']:.1%} of the loss")
        chosen += choice["layers"]
        now = choice
    return _cut(chosen, now, "no further layer helps")


def cut_ranking(ranking: Mapping[str, Any], keep: int, without: Collection[str] = ()) -> LayerCut:
    """The `keep` most sensitive layers of the ranking."""
    layers = [row["layer"] for row in ranking["layers"] if row["layer"] not in without]
    return LayerCut(tuple(layers[:keep]), None, None, f"keep is {keep}")


def explain_layers(
    ranking: Mapping[str, Any], path: Mapping[str, Any], cut: LayerCut, without: Collection[str] = ()
) -> list[tuple[str, float, str]]:
    """(layer, loss with it alone in INT8, why it is in float or not), the most sensitive first."""
    order = {layer: number for number, layer in enumerate(cut.layers, 1)}
    later = [layer for choice in path["choices"] for layer in choice["layers"] if layer not in order]
    rows = []
    for row in ranking["layers"]:
        layer = row["layer"]
        if layer in order:
            others = [name for name in row["group"] if name != layer]
            why = f"in: choice {order[layer]}" + (f", together with {', '.join(others)}" if others else "")
        elif layer in without:
            why = "out: excluded in the config"
        elif layer in later:
            why = f"out: {cut.why}; it would come {later.index(layer) + 1} layers later"
        elif row["group"][0] in path["alone"]:
            why = "out: with the layers chosen in float, this one takes nothing off"
        else:
            why = "out: not sensitive enough to be tried"
        rows.append((layer, float(row["loss"]), why))
    return rows


def table_text(cut: LayerCut, pictures: int, mode: str, settings: Sequence[str], told: Sequence[str] = ()) -> str:
    """A qtable: comments with its provenance and what else is told, then a line `layer mode` for each float layer.

    No figure of the emulation: its last digits are those of one processor.
    """
    lines = [
        "# bmzoo qtable: these layers stay in float, the others are INT8",
        f"# settings: {', '.join(settings)}",
        f"# {len(cut.layers)} layers, by {pictures} pictures; the choosing ended as {cut.why}",
        *(f"# {line}" for line in told),
    ]
    return "\n".join([*lines, *(f"{layer} {mode}" for layer in cut.layers)]) + "\n"


def _cut(layers: Sequence[str], score: Mapping[str, float], why: str) -> LayerCut:
    return LayerCut(tuple(layers), score["loss"], score["cosine"], why)
