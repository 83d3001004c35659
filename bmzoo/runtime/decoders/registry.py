"""The table of decoders. To add one: a module with a DECODER (see `heads`), and a row here.

Plain data, so that a config can be checked where nothing is decoded; `decode.load` imports the module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple


@dataclass(frozen=True)
class DecoderKind:
    """The module that holds the decoder, what it is for, and which settings it reads: fields of DecoderSpec, `nms`.

    `gives`: a row of PREDICTIONS; `what`: one of those things for people, in the plural. `ranked`: rows of an
    output are in the order of scores, so that near equal ones swap places, and tensors cannot be compared.
    """

    module: str
    summary: str
    reads: Tuple[str, ...] = ()
    gives: str = "detections"
    what: str = "faces"
    ranked: bool = False


_HERE = "bmzoo.runtime.decoders"
_ANCHORS = ("strides", "min_sizes", "nms")
_CELLS = ("strides", "classes", "nms")
_OBJECTS = ("detections", "objects")

DECODERS: Dict[str, DecoderKind] = {
    "retinaface": DecoderKind(
        f"{_HERE}.retinaface", "RetinaFace as in PyTorch", ("strides", "min_sizes", "variance", "nms")
    ),
    "retinaface_maps": DecoderKind(f"{_HERE}.retinaface_maps", "RetinaFace as in MXNet and Caffe", _ANCHORS),
    "scrfd": DecoderKind(f"{_HERE}.scrfd", "SCRFD, with five points or without", _ANCHORS),
    "ultraface": DecoderKind(f"{_HERE}.ultraface", "UltraFace, whose boxes come decoded", ("nms",)),
    "yunet": DecoderKind(f"{_HERE}.yunet", "YuNet, with twelve outputs or three", ("strides", "nms")),
    "yolov5": DecoderKind(
        f"{_HERE}.yolov5", "YOLO v5 and v7, decoded or not", ("strides", "anchors", "classes", "nms"), *_OBJECTS
    ),
    "yolox": DecoderKind(f"{_HERE}.yolox", "YOLOX", _CELLS, *_OBJECTS),
    "yolov8": DecoderKind(f"{_HERE}.yolov8", "YOLO v8, v9 and v11, decoded or not", _CELLS, *_OBJECTS),
    "yolov8_pose": DecoderKind(f"{_HERE}.yolov8_pose", "poses of YOLO v8 and v11", _CELLS, *_OBJECTS),
    "yolov10": DecoderKind(
        f"{_HERE}.yolov10", "YOLO v10, which suppresses by itself", ("classes",), *_OBJECTS, ranked=True
    ),
    "classification": DecoderKind(
        f"{_HERE}.classification", "one class for the picture", ("classes",), "classes", "labels"
    ),
    "segmentation": DecoderKind(
        f"{_HERE}.segmentation", "a class for every pixel", ("classes",), "mask", "classes seen"
    ),
    "db_text": DecoderKind(f"{_HERE}.db_text", "lines of text by DB", ("binarize", "unclip"), "regions", "regions"),
    "ctc_text": DecoderKind(f"{_HERE}.ctc_text", "what a line says, by CTC", ("characters",), "text", "characters"),
    "landmarks": DecoderKind(
        f"{_HERE}.landmarks", "points of what fills the picture", ("points",), "points", "points"
    ),
    "plugin": DecoderKind(
        f"{_HERE}.plugin", "a Python file of your own", ("plugin", "classes", "characters"), *_OBJECTS
    ),
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
