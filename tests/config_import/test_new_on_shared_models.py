"""Real networks of other projects: what their files say, what their heads are, how they want their pictures."""

from pathlib import Path

import pytest

from bmzoo.config.model import load
from bmzoo.config_import.draft import Draft
from bmzoo.config_import.facts import read_facts
from bmzoo.config_import.from_onnx import OnnxSource, from_onnx
from bmzoo.config_import.heads import head_of
from bmzoo.config_import.places import Places
from bmzoo.config_import.yaml_text import yaml_text

KINDS = {
    "deeplabv3": "segmentation",
    "orinet": "classification",
    "ppocr_v3_det": "db_text",
    "ppocr_v4_rec": "ctc_text",
    "silero_vad_16k_op15": "none",
    "superres_ort": "none",
    "ultraface_rfb_320": "ultraface",
    "yolov5n": "yolov5",
    "yolox_nano": "yolox",
    "yunet_n_320": "yunet",
    "yunet_n_dynamic": "yunet",
}


@pytest.mark.parametrize("name", KINDS)
def test_the_head_is_known(name: str, data: Path) -> None:
    facts = read_facts(data / "models" / f"{name}.onnx", name)
    assert head_of(facts).kind == KINDS[name]


# How the projects feed them: pixel format, mean of the first channel, its scale, resize, pad value.
IMAGENETS = (123.675, 1 / (255 * 0.229))
FED = {
    "deeplabv3": ("rgb", 127.5, 1 / 127.5, "stretch", 0),
    "ppocr_v3_det": ("bgr", *IMAGENETS, "letterbox", 0),
    "ppocr_v4_rec": ("bgr", 127.5, 1 / 127.5, "fixed_height", 0),
    "ultraface_rfb_320": ("rgb", 127, 1 / 128, "stretch", 0),
    "yolov5n": ("rgb", 0, 1 / 255, "letterbox_center", 114),
    "yolox_nano": ("bgr", 0, 1, "letterbox", 114),
    "yunet_n_320": ("bgr", 0, 1, "letterbox", 0),
}


def drafted(name: str, data: Path, try_pictures: bool) -> Draft:
    source = OnnxSource(data / "models" / f"{name}.onnx", name, name=name)
    return from_onnx(source, Places(data, (data,), data, frozenset()), [], try_pictures)


@pytest.mark.parametrize("name", FED)
def test_pictures_are_fed_as_the_projects_feed_them(name: str, data: Path, tmp_path: Path) -> None:
    draft = drafted(name, data, try_pictures=True)
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml_text(draft))
    found = load(path, name).config.input
    assert found is not None
    pixel_format, mean, scale, resize, pad_value = FED[name]
    assert (found.pixel_format, found.resize, found.pad_value) == (pixel_format, resize, pad_value)
    assert (found.means[0], found.scales[0]) == pytest.approx((mean, scale), rel=1e-5)


def test_a_classifier_is_fed_as_usual_and_that_is_not_sure(data: Path) -> None:
    """Fed otherwise it is surer of what it says: 0.8 with bgr and -1 to 1, and those are wrong."""
    draft = drafted("orinet", data, try_pictures=True)
    found = draft.config["input"]
    assert (found["pixel_format"], found["mean"]) == ("rgb", [123.675, 116.28, 103.53])
    assert draft.comments[("input", "pixel_format")].startswith("not sure: ")
    assert draft.comments[("input", "resize")].startswith("not sure: ")


def test_two_networks_leave_something_to_people(data: Path) -> None:
    voice, picture = (drafted(name, data, False).config for name in ("silero_vad_16k_op15", "superres_ort"))
    assert voice["inputs"]["state"] == {"random": {"distribution": "normal"}, "shape": [2, 1, 128]}
    assert voice["inputs"]["input"]["shape"].startswith("TODO ")
    assert voice["inputs"]["sr"]["value"].startswith("TODO ")
    assert picture["input"]["pixel_format"] == "gray" and picture["input"]["mean"].startswith("TODO ")
    assert "[0] for nothing" in picture["input"]["mean"] and "[0.0039216] for" in picture["input"]["scale"]


def test_a_recognizer_of_text_is_shown_drawn_lines_and_that_is_said(data: Path, tmp_path: Path) -> None:
    """The pictures of text among the data are whole pages, in which it reads nothing."""
    draft = drafted("ppocr_v4_rec", data, try_pictures=True)
    path = tmp_path / "rec.yaml"
    path.write_text(yaml_text(draft))
    config = load(path, "rec").config
    assert config.verify.images is not None and config.calibration is not None
    assert config.verify.images.folder == "lines/48x320-2000-32/images"
    assert config.calibration.images is not None
    assert config.calibration.images.folder == "lines/48x320-1000-32/images"
    assert any("which are drawn" in remark.text for remark in draft.remarks)


def test_faces_are_calibrated_and_verified_on_faces(data: Path) -> None:
    draft = drafted("yunet_n_320", data, try_pictures=False)
    assert draft.config["calibration"]["images"]["folder"] == "calibration/wider_test"
    assert draft.config["verify"]["images"]["folder"] == "selection/wider_test"
    assert draft.comments[("input", "pixel_format")] == "not sure: as usual for yunet, not tried"
