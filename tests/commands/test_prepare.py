"""`prepare`: what calibration, simulation and `verify` are fed is what the runtime makes of a config."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bmzoo.commands import prepare as command
from bmzoo.config.inputs import Input
from bmzoo.runtime.preprocess import InputSpec, prepare

IMAGE = np.random.RandomState(0).randint(0, 256, (70, 104, 3)).astype(np.uint8)


def fed(folder: Path, section: dict[str, Any], slots: int) -> Any:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "00000.png").write_bytes(cv2.imencode(".png", IMAGE)[1].tobytes())
    request = {"input": Input.model_validate(section).model_dump(), "minimum": 1, "slots": slots}
    texts = {"request": request, "pictures": {"00000.png": "a.png", "folder": "here"}, "model": {"input": "x"}}
    for name, value in texts.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    command.run(folder, ("request.json",))
    return np.load(folder / ("inputs.npz" if slots else "samples/00000.npz"))["x"]


@pytest.mark.parametrize("slots", [0, 1])
@pytest.mark.parametrize("resize", ["letterbox", "letterbox_center", "stretch"])
@pytest.mark.parametrize("flavour", ["opencv", "bmcv"])
def test_all_of_the_section_is_heeded(flavour: str, resize: str, slots: int, tmp_path: Path) -> None:
    named: dict[str, Any] = {
        "height": 48,
        "width": 64,
        "pixel_format": "rgb",
        "resize": resize,
        "pad_value": 9,
        "flavour": flavour,
    }
    section = {**named, "mean": (1.0, 2.0, 3.0), "scale": (1.0, 0.5, 2.0)}
    np.testing.assert_array_equal(fed(tmp_path, section, slots)[0], prepare(IMAGE, InputSpec(**section))[0])


def test_defaults_serve_gray_too(tmp_path: Path) -> None:
    section = {"height": 48, "width": 64, "pixel_format": "gray"}
    assert fed(tmp_path, section, 1).shape == (1, 1, 48, 64)
