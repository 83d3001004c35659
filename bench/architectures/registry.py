"""Every architecture by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx

from architectures.classifiers import deepsort, lprnet
from architectures.ppyoloe import ppyoloe_s
from architectures.retinaface import retinaface
from architectures.superres import realesr_general
from architectures.transformers import bert, clip_image, clip_text
from architectures.vgg import p2pnet, superpoint
from architectures.yolo import yolov5s, yolov8s, yolov8s_pose, yolov8s_seg, yolov11s
from architectures.yolov9 import yolov9c_seg, yolov9s
from architectures.yolox import yolov3, yolox_s

ARCHITECTURES: Mapping[str, Callable[[int], onnx.ModelProto]] = {
    made.__name__: made
    for made in (
        bert,
        clip_image,
        clip_text,
        deepsort,
        lprnet,
        p2pnet,
        ppyoloe_s,
        realesr_general,
        retinaface,
        superpoint,
        yolov3,
        yolov5s,
        yolov8s,
        yolov8s_pose,
        yolov8s_seg,
        yolov9c_seg,
        yolov9s,
        yolov11s,
        yolox_s,
    )
}
