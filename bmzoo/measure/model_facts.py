"""What an import found out of a model's inputs, from `model.json`, joined with what the config says."""

from collections.abc import Mapping
from typing import Any

from bmzoo.runtime.picture_words import by_channel

Told = Mapping[str, Any]


def resolved_input(section: Told, told: Told) -> dict[str, Any]:
    """A config's `input` section with nothing left open: size, layout, type, mean and scale by channel.

    told: `model.json` of the import. All is about the imported model, which takes channels first.
    """
    port = next((port for port in told.get("inputs", ()) if port["name"] == told["input"]), None)
    height, width = (section["height"], section["width"]) if port is None else port["shape"][2:]
    each = {key: by_channel(section[key], section["pixel_format"]) for key in ("mean", "scale")}
    kind = "float32" if port is None else port.get("whole", port["dtype"])
    return {**section, **each, "height": height, "width": width, "layout": "nchw", "dtype": kind}


def other_inputs(told: Told) -> list[Told]:
    """The inputs that are no pictures, as `model.json` has them."""
    return [port for port in told.get("inputs", ()) if port["name"] != told["input"]]
