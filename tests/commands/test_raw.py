"""Pixels that preprocessing is taken off of again, bit for bit what was there before."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmzoo.commands.raw import pixels, run
from bmzoo.config.fused import FUSED_FORMATS
from bmzoo.errors import VerifyFailed
from bmzoo.runtime.preprocess import InputSpec, prepare

MEAN, SCALE = [104.0, 117.5, 123.0], [0.017, 0.0171, 1.0]


def request(fused: str, pixel_format: str = "bgr", **more: Any) -> dict[str, Any]:
    return {"input": {"pixel_format": pixel_format, "mean": MEAN, "scale": SCALE, **more}, "raw": fused}


@pytest.mark.parametrize("fused", [one for one in FUSED_FORMATS if one != "grayscale"])
@pytest.mark.parametrize("pixel_format", ["bgr", "rgb"])
def test_pixels_come_back_in_the_order_of_the_format(fused: str, pixel_format: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)  # BGR
    spec = InputSpec(8, 6, pixel_format, tuple(MEAN), tuple(SCALE), "stretch")
    found = pixels(prepare(picture, spec)[0][None], request(fused, pixel_format))
    wanted = picture if fused.startswith("bgr") else picture[:, :, ::-1]
    assert found.dtype == np.uint8
    assert np.array_equal(found[0] if fused.endswith("packed") else found[0].transpose(1, 2, 0), wanted)


def test_gray_has_one_plane() -> None:
    fed = np.arange(0, 24, dtype=np.float32).reshape(1, 1, 4, 6) / 255
    found = pixels(fed, request("grayscale", "gray", mean=[0.0], scale=[1 / 255]))
    assert found.shape == (1, 1, 4, 6) and found.ravel().tolist() == list(range(24))


@pytest.mark.parametrize("value", [0.5, -300.0, 400.0])
def test_what_no_picture_becomes_is_refused(value: float) -> None:
    fed = np.full((1, 3, 2, 2), value, np.float32)
    with pytest.raises(VerifyFailed):
        pixels(fed, request("bgr_planar", mean=[0.0] * 3, scale=[1.0] * 3))


def test_the_input_is_named_as_the_compiler_names_it(tmp_path: Path) -> None:
    told = request("bgr_packed", height=2, width=3, layout="nchw", mean=[1.0] * 3, scale=[1.0] * 3)
    (tmp_path / "request.json").write_text(json.dumps(told))
    (tmp_path / "model.json").write_text(json.dumps({"input": "data", "inputs": []}))
    np.savez(tmp_path / "inputs.npz", data=np.zeros((1, 3, 2, 3), np.float32))
    run(tmp_path, ("request.json", "inputs.npz", "raw.npz"))
    with np.load(tmp_path / "raw.npz") as made:
        assert made.files == ["data_raw"] and made["data_raw"].shape == (1, 2, 3, 3)
        assert (made["data_raw"] == 1).all()
