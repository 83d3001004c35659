"""Real networks of other projects: what their files say, what their heads are, how they want their pictures."""

from pathlib import Path

import pytest

from bmzoo.config_import.facts import read_facts
from bmzoo.config_import.from_onnx import OnnxSource, from_onnx
from bmzoo.config_import.heads import head_of
from bmzoo.config_import.places import Places

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


@pytest.mark.parametrize(
    ("name", "pixel_format", "mean"),
    [("yunet_n_320", "bgr", [0, 0, 0]), ("ultraface_rfb_320", "rgb", [127, 127, 127])],
)
def test_pictures_are_fed_as_the_projects_feed_them(
    name: str, pixel_format: str, mean: list[int], data: Path
) -> None:
    source = OnnxSource(data / "models" / f"{name}.onnx", name, name=name)
    draft = from_onnx(source, Places(data, (data,), data, frozenset()), [], try_pictures=True)
    found = draft.config["input"]
    assert (found["pixel_format"], found["mean"]) == (pixel_format, mean)
    assert "tried on 8 pictures" in draft.comments[("input", "pixel_format")]
    assert draft.config["calibration"]["images"]["folder"] == "calibration/wider_test"
    assert draft.config["verify"]["images"]["folder"] == "selection/wider_test"
