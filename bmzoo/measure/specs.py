"""Sections of a config as the runtime's own settings."""

from collections.abc import Mapping
from typing import Any

from bmzoo.runtime.decoders.registry import DecoderSpec


def decoder_spec(settings: Mapping[str, Any]) -> DecoderSpec:
    """The runtime's decoder of a config's `decoder` section."""
    return DecoderSpec(
        kind=settings["kind"],
        strides=tuple(settings["strides"]),
        min_sizes=tuple(map(tuple, settings["min_sizes"])),
        variance=tuple(settings["variance"]),
    )
