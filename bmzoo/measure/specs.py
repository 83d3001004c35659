"""Conversion of config sections to the runtime's settings."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bmzoo.runtime.decoders.names import read_names
from bmzoo.runtime.decoders.spec import DecoderSpec


def decoder_spec(settings: Mapping[str, Any], folder: Path = Path()) -> DecoderSpec:
    """The runtime's settings for a config's `decoder` section; files that it names are looked up in `folder`.

    Raises SourceError for those that cannot be read, ConfigError for settings that do not go together.
    """
    known = [field.name for field in fields(DecoderSpec)]
    told = {key: _frozen(settings[key]) for key in known if settings.get(key) is not None}
    told |= {key: read_names(folder / told[key]) for key in ("classes", "characters") if _is_path(told.get(key))}
    if told.get("plugin"):
        told["plugin"] = str(folder / told["plugin"])
    return DecoderSpec(**told)


def _is_path(value: Any) -> bool:
    return isinstance(value, str)


def _frozen(value: Any) -> Any:
    """Lists, as JSON has them, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
