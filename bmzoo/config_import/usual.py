"""How networks of a kind are usually fed, and the usual ways for those of any kind.

From the projects that the kinds are named after: their own exports and demos.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bmzoo.config.scene_sets import LINES
from bmzoo.measure.normalisations import CAFFE, IMAGENET, PIXEL_VALUES, SIGNED, UNIT, Normalisation

_NEARLY_SIGNED = Normalisation("(x - 127) / 128", (127.0,) * 3, (1 / 128,) * 3)
_NEARLY_SIGNED_HALF = Normalisation("(x - 127.5) / 128", (127.5,) * 3, (1 / 128,) * 3)
# PaddleOCR gives the numbers for red, green and blue to blue, green and red.
_PADDLE = Normalisation("ImageNet's as PaddleOCR has them", IMAGENET.mean[::-1], IMAGENET.scale[::-1])
# What turns pixels into the integers that some networks take: taken off each, and no scale.
AS_BYTES: Mapping[str, int] = {"uint8": 0, "int8": 128}


@dataclass(frozen=True)
class UsualInput:
    """How a kind of network is fed. `sides`: of the input, where the file leaves them free; `differs`: the resize,
    from one project to the next; `pictures`: what they show, by which folders of data are found; LINES are drawn.
    """

    normalisation: Normalisation
    pixel_format: str
    resize: str
    pad_value: int = 0
    sides: tuple[int, int] = (640, 640)
    pictures: str = "objects"
    differs: bool = False


_FACES = "faces"
USUAL_INPUTS: Mapping[str, UsualInput] = {
    "retinaface": UsualInput(CAFFE, "bgr", "letterbox", pictures=_FACES),
    "retinaface_maps": UsualInput(PIXEL_VALUES, "rgb", "letterbox", pictures=_FACES),
    "scrfd": UsualInput(_NEARLY_SIGNED_HALF, "rgb", "letterbox", pictures=_FACES),
    "ultraface": UsualInput(_NEARLY_SIGNED, "rgb", "stretch", sides=(240, 320), pictures=_FACES),
    "yunet": UsualInput(PIXEL_VALUES, "bgr", "letterbox", sides=(320, 320), pictures=_FACES),
    "yolov5": UsualInput(UNIT, "rgb", "letterbox_center", 114),
    "yolox": UsualInput(PIXEL_VALUES, "bgr", "letterbox", 114),
    "yolov8": UsualInput(UNIT, "rgb", "letterbox_center", 114),
    "yolov8_pose": UsualInput(UNIT, "rgb", "letterbox_center", 114),
    "yolov10": UsualInput(UNIT, "rgb", "letterbox_center", 114),
    "classification": UsualInput(IMAGENET, "rgb", "center_crop", sides=(224, 224), differs=True),
    "segmentation": UsualInput(IMAGENET, "rgb", "stretch", sides=(512, 512), differs=True),
    "landmarks": UsualInput(UNIT, "rgb", "stretch", sides=(112, 112), pictures=_FACES, differs=True),
    "db_text": UsualInput(_PADDLE, "bgr", "letterbox", pictures="text"),
    "ctc_text": UsualInput(SIGNED, "bgr", "fixed_height", sides=(48, 320), pictures=LINES),
}


def usual_input(kind: str, layout: str = "nchw") -> UsualInput | None:
    """How a kind is fed; TensorFlow's networks, whose channels are last, take -1 to 1 in place of ImageNet's."""
    found = USUAL_INPUTS.get(kind)
    if found is not None and layout == "nhwc" and found.normalisation is IMAGENET:
        return replace(found, normalisation=SIGNED)
    return found
