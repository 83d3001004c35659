"""What layers cost in float, in milliseconds, by a profile of plain INT8 and one of all in float. Pure.

It knows nothing of the casts around a layer nor of what engines do side by side: see `sets`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

# Moves of a layer's data, told under its name: they depend on how layers are grouped, not on the layer.
_MOVES = ("Load", "Store")
# What a layer costs at least, as a share of plain INT8: its casts, where it is itself as fast in float.
LEAST_PRICE = 0.002


def layer_prices(plain: Mapping[str, Any], floats: Mapping[str, Any], layers: Iterable[str]) -> dict[str, float]:
    """Layer -> ms that it takes longer in float, at least LEAST_PRICE of plain INT8, by two `profile.json`.

    What one of them does not name is computed with another layer, and costs the least. Empty where a chip has no
    profiles: every layer then costs the same.
    """
    if not (plain["known"] and floats["known"]):
        return {}
    least = LEAST_PRICE * float(plain["milliseconds"])
    before, after = _times(plain), _times(floats)
    return {layer: max(after.get(layer, 0.0) - before.get(layer, 0.0), least) for layer in layers}


def _times(profile: Mapping[str, Any]) -> dict[str, float]:
    """Layer -> ms of the engine that is longer at work on it, on all cores."""
    found: dict[str, float] = {}
    for row in profile["layers"]:
        if row["operation"] not in _MOVES:
            found[row["layer"]] = found.get(row["layer"], 0.0) + row["milliseconds"]
    return found
