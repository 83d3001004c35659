"""A config's decoder as steps have it: its settings in a request, and the files that they name. Pure data."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bmzoo.config.decoding import Decoder
from bmzoo.config.model import Model
from bmzoo.plan.fed import picture_request, stated
from bmzoo.plan.step import File
from bmzoo.runtime.decoders.registry import DECODERS
from bmzoo.target import Target

# Keys that may name a file, and what it is called in the folder of a step.
FILES = {"classes": "classes.txt", "characters": "characters.txt", "plugin": "plugin.py"}
# The model's own file beside a network that has no place for what it says of itself.
NAMED = "named.onnx"
# What a name is changes nothing that is measured.
_NAMES = ("classes", "characters")


# Remembered, as a request of every target of a model says the same.
@lru_cache(maxsize=256)
def decoder_request(model: Model) -> Mapping[str, Any]:
    """The decoder section for a request; files have the names that they have in the step's folder."""
    told = model.config.decoder.model_dump()
    return {key: FILES[key] if key in FILES and isinstance(value, str) else value for key, value in told.items()}


@lru_cache(maxsize=256)
def decoder_files(model: Model) -> tuple[tuple[str, File], ...]:
    """The files that the section names, as inputs of every step that decodes."""
    told = named_files(model.config.decoder)
    return tuple((FILES[key], File(path)) for key, path in told.items())


def named_files(decoder: Decoder) -> dict[str, str]:
    """Key -> the path that it names, for keys that name one."""
    told = decoder.model_dump()
    return {key: told[key] for key in FILES if isinstance(told.get(key), str)}


def reads_own_characters(model: Model) -> bool:
    """Whether characters are read that only the model's own file may list: an MLIR has no place for them."""
    decoder = model.config.decoder
    return "characters" in DECODERS[decoder.kind].reads and not decoder.characters


def decoder_decides(model: Model) -> tuple[dict[str, Any], dict[str, File]]:
    """What of it decides which layers are best left in float: settings, and files by name."""
    settings = {key: value for key, value in stated(model.config.decoder).items() if key not in _NAMES}
    if "plugin" in settings:
        settings["plugin"] = FILES["plugin"]
    return settings, {name: file for name, file in decoder_files(model) if name == FILES["plugin"]}


def compared_by(model: Model, target: Target) -> dict[str, Any]:
    """What decides whether two runs of a network find the same."""
    verify = model.config.verify
    return {
        **picture_request(model),
        "decoder": decoder_request(model),
        "confidence": verify.confidence,
        "margin": verify.margin,
        "iou": model.thresholds(target).iou,
    }
