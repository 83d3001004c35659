"""The table of decoders. To add one: a module with a DECODER (see `heads`), and a row here.

Plain data, so that a config can be checked where nothing is decoded; `decode.load` imports the module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple


@dataclass(frozen=True)
class DecoderKind:
    """The module that holds the decoder, what it is for, and which settings it reads: fields of DecoderSpec, `nms`.

    `gives`: a row of PREDICTIONS; `what`: one of those things for people, in the plural.
    """

    module: str
    summary: str
    reads: Tuple[str, ...] = ()
    gives: str = "detections"
    what: str = "faces"


_HERE = "bmzoo.runtime.decoders"
_ANCHORS = ("strides", "min_sizes", "nms")

DECODERS: Dict[str, DecoderKind] = {
    "retinaface": DecoderKind(
        f"{_HERE}.retinaface", "RetinaFace as in PyTorch", ("strides", "min_sizes", "variance", "nms")
    ),
    "retinaface_maps": DecoderKind(f"{_HERE}.retinaface_maps", "RetinaFace as in MXNet and Caffe", _ANCHORS),
    "scrfd": DecoderKind(f"{_HERE}.scrfd", "SCRFD, with five points or without", _ANCHORS),
    "ultraface": DecoderKind(f"{_HERE}.ultraface", "UltraFace, whose boxes come decoded", ("nms",)),
    "none": DecoderKind(
        f"{_HERE}.none", "no meaning known: tensors are compared, nothing else", (), "tensors", "outputs"
    ),
}


def unread(kind: str, key: str) -> str:
    """Why a setting means nothing to a decoder, naming those that it reads; empty where it reads it."""
    reads = DECODERS[kind].reads if kind in DECODERS else (key,)
    if key in ("kind", *reads):
        return ""
    return f"{key}: means nothing to {kind}, which reads {', '.join(reads) or 'no settings'}"
