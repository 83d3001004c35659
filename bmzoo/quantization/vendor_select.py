"""Selects the float layers from the result of TPU-MLIR's search, with a reason for every layer. Pure."""

from collections.abc import Mapping
from typing import Any

from bmzoo.quantization.select import LayerCut


def goal(settings: Mapping[str, Any]) -> float:
    """The cosine at which the search accepts plain INT8: `expected_cos`, or 1, which is never reached."""
    wish = settings["expected_cos"]
    return 1.0 if wish is None or settings["keep"] else float(wish)


def cut(ranking: Mapping[str, Any], settings: Mapping[str, Any]) -> LayerCut:
    """The first layers of the search, as many as the settings ask for.

    TPU-MLIR's own table is not used: it silently raises max_float_layers to a fifth of the layers, and where the
    first layer already meets the goal it lists every layer (1.30.2).
    """
    if ranking["enough"] is not None:
        return LayerCut(
            (), None, None, f"plain INT8 has cosine {ranking['enough']:g}, and {goal(settings):g} is enough"
        )
    key = "keep" if settings["keep"] else "max_float_layers"
    limit, picks = settings[key], ranking["picks"]
    why = f"{key} is {limit}" if limit < len(picks) else "the search names no further layers"
    return LayerCut(tuple(picks[:limit]), None, None, why)


def rows(ranking: Mapping[str, Any], cut: LayerCut) -> list[dict[str, Any]]:
    """`layer`, `loss` (None where the search reports none) and `why`, the most sensitive first."""
    losses = {row["layer"]: row["loss"] for row in ranking["layers"]}
    places = {layer: place for place, layer in enumerate(ranking["picks"], 1)}
    layers = [*losses, *(layer for layer in places if layer not in losses)]
    return [{"layer": name, "loss": losses.get(name), "why": _why(name, places, cut)} for name in layers]


def explained(
    ranking: Mapping[str, Any], path: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> tuple[LayerCut, list[dict[str, Any]]]:
    """The layers that the settings ask for, and `rows`. No path is needed: the search puts layers in order."""
    found = cut(ranking, settings)
    return found, rows(ranking, found)


def _why(layer: str, places: Mapping[str, int], cut: LayerCut) -> str:
    if layer not in places:
        return "out: the search leaves it in INT8"
    place = f"number {places[layer]} of the search"
    return f"in: {place}" if layer in cut.layers else f"out: {cut.why}; it is {place}"
