"""The table of decoders. To add one: a module with a DECODER (see `heads`), and a row here.

Plain data, so that a config can be checked where nothing is decoded; `decode.load` imports the module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple


@dataclass(frozen=True)
class DecoderKind:
    """The module that holds the decoder, what it is for, and which fields of DecoderSpec it reads."""

    module: str
    summary: str
    reads: Tuple[str, ...] = ()


_HERE = "bmzoo.runtime.decoders"
_ANCHORS = ("strides", "min_sizes")

DECODERS: Dict[str, DecoderKind] = {
    "retinaface": DecoderKind(f"{_HERE}.retinaface", "RetinaFace as in PyTorch", (*_ANCHORS, "variance")),
    "retinaface_maps": DecoderKind(f"{_HERE}.retinaface_maps", "RetinaFace as in MXNet and Caffe", _ANCHORS),
    "scrfd": DecoderKind(f"{_HERE}.scrfd", "SCRFD, with five points or without", _ANCHORS),
    "ultraface": DecoderKind(f"{_HERE}.ultraface", "UltraFace, whose boxes come decoded"),
    "none": DecoderKind(f"{_HERE}.none", "no detections: tensors are compared, nothing else"),
}
