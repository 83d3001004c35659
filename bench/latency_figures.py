"""Which published figures are of which architecture and target, and which cannot be compared. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bmzoo.target import Target

# Sample and start of the file's name, as published -> the architecture that stands for it.
NETWORKS: Mapping[tuple[str, str], str] = {
    ("BERT", "bert4torch_output"): "bert",
    ("CLIP", "clip_image_vitb32"): "clip_image",
    ("CLIP", "clip_text_vitb32"): "clip_text",
    ("DeepSORT", "extractor"): "deepsort",
    ("LPRNet", "lprnet"): "lprnet",
    ("P2PNet", "p2pnet"): "p2pnet",
    ("Real-ESRGAN", "real_esrgan"): "realesr_general",
    ("RetinaFace", "retinaface_mobilenet0.25"): "retinaface",
    ("SuperGlue", "superpoint"): "superpoint",
    ("YOLOX", "yolox_s"): "yolox_s",
    ("YOLOv11_det", "yolov11s"): "yolov11s",
    ("YOLOv5_opt", "yolov5s_tpukernel"): "yolov5s",
    ("YOLOv8_det", "yolov8s"): "yolov8s",
    ("YOLOv8_pose", "yolov8s-pose"): "yolov8s_pose",
    ("YOLOv8_seg", "yolov8s"): "yolov8s_seg",
    ("YOLOv9_det", "yolov9s"): "yolov9s",
    ("YOLOv9_seg", "yolov9c"): "yolov9c_seg",
    ("ppYOLOv3", "ppyolov3"): "yolov3",
    ("ppYoloe", "ppyoloe"): "ppyoloe_s",
}
# Published INT8 of these is plain: no table leaves layers in float. RetinaFace's leaves a few, which cost nothing
# that its figures would show.
PLAIN = ("deepsort", "lprnet", "p2pnet", "realesr_general", "retinaface", "yolov3", "yolov5s")
FILE = re.compile(
    r"(?P<name>.+?)(?:_(?:bm1684x?|bm1688|cv186x))?_(?P<precision>fp32|fp16|f16|f32|int8)_(?P<batch>\d+)b"
    r"(?:_(?P<cores>\d)core)?\.bmodel"
)
# A figure for two cores this near to that of one is of a bmodel that was compiled for one; and where two cores take
# longer than one by more than this, one of the two figures is of something else, and nobody knows which.
ONE_CORE = 1.02


@dataclass(frozen=True)
class Figure:
    """Published milliseconds for one picture."""

    target: Target  # its model is the architecture
    ms: float

    @property
    def name(self) -> str:
        return f"{self.target.model}.{self.target}"


def published(rows: Iterable[str]) -> list[Figure]:
    """The figures that there is an architecture for, of bmodels that can be made again; `rows`: of the CSV."""
    found = {figure.target: figure for row in csv.DictReader(rows) if (figure := _figure(row)) is not None}
    return [figure for figure in found.values() if _comparable(figure, found)]


def _figure(row: Mapping[str, str]) -> Figure | None:
    told, ms = FILE.fullmatch(row["file"]), float(row["ms"])
    network = NETWORKS.get((row["sample"], told["name"])) if told else None
    if told is None or network is None or ms <= 0:
        return None
    precision = {"f16": "fp16", "f32": "fp32"}.get(told["precision"], told["precision"])
    target = Target(network, row["chip"].lower(), precision, int(told["batch"]), int(told["cores"] or 1))
    return Figure(target, ms)


def _comparable(figure: Figure, others: Mapping[Target, Figure]) -> bool:
    target = figure.target
    if target.precision == "int8" and target.model not in PLAIN:
        return False
    single, both = (others.get(replace(target, cores=cores)) for cores in (1, 2))
    if single is None or both is None:
        return True
    ratio = single.ms / both.ms
    return ratio > ONE_CORE or (target.cores == 1 and ratio * ONE_CORE >= 1)
