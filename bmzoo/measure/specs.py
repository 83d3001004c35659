"""Conversion of config sections to the runtime's settings."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bmzoo.runtime.decoders.spec import DecoderSpec


def decoder_spec(settings: Mapping[str, Any]) -> DecoderSpec:
    """The runtime's settings for a config's `decoder` section."""
    return DecoderSpec(**{field.name: _frozen(settings[field.name]) for field in fields(DecoderSpec)})


def _frozen(value: Any) -> Any:
    """Lists, as JSON has them, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
