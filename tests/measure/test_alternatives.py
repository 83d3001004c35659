"""What people write wrong, and that what is right is then among what is tried."""

from typing import Any

import numpy as np
import pytest

from bmzoo.measure.audit.alternatives import AXES, alternatives
from bmzoo.runtime.picture_words import CHANNELS_OF

RGB: dict[str, Any] = {
    "pixel_format": "rgb",
    "mean": (123.675, 116.28, 103.53),
    "scale": (0.01712475, 0.017507, 0.01742919),
    "resize": "letterbox",
    "pad_value": 0,
}
PIXELS = {**RGB, "mean": (0.0,) * 3, "scale": (1.0,) * 3}
UNIT = {**RGB, "mean": (0.0,) * 3, "scale": (1 / 255,) * 3}
SECTIONS = {"imagenet": RGB, "pixel values": PIXELS, "unit": UNIT}


def reaches(wrong: dict[str, Any], right: dict[str, Any], axis: str) -> bool:
    """Whether a change on that axis alone gives the network what the right section gives."""
    return any(alike(one.of(wrong), right) for one in alternatives(wrong, False) if one.axis == axis)


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    words = ("pixel_format", "resize", "pad_value")
    numbers = all(np.allclose(one[key], other[key], rtol=1e-3, atol=1e-6) for key in ("mean", "scale"))
    return numbers and all(one[key] == other[key] for key in words)


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_what_is_right_is_tried(section: dict[str, Any]) -> None:
    mean, scale = section["mean"], section["scale"]
    assert reaches({**section, "pixel_format": "bgr"}, section, "channel order")
    assert reaches({**section, "scale": tuple(one * 255 for one in scale)}, section, "scale")
    assert reaches({**section, "scale": tuple(one / 255 for one in scale)}, section, "scale")
    assert reaches({**section, "scale": tuple(1 / one for one in scale)}, section, "scale") or scale[0] == 1
    assert reaches({**section, "resize": "stretch"}, section, "resize")
    assert reaches({**section, "resize": "letterbox_center"}, section, "padding")
    assert reaches({**section, "pad_value": 200}, section, "padding")
    if any(mean):
        after = tuple(m * s for m, s in zip(mean, scale, strict=True))
        for wrong in ((0.0,) * 3, tuple(m / 255 for m in mean), after, mean[::-1]):
            assert reaches({**section, "mean": wrong}, section, "mean"), wrong


def test_numbers_in_zero_to_one_are_both_mended() -> None:
    wrong = {**RGB, "mean": (0.485, 0.456, 0.406), "scale": (1 / 0.229, 1 / 0.224, 1 / 0.225)}
    assert reaches(wrong, RGB, "mean and scale")


def test_the_mean_goes_along_with_the_channels() -> None:
    swapped = {**RGB, "pixel_format": "bgr", "mean": RGB["mean"][::-1], "scale": RGB["scale"][::-1]}
    assert reaches(swapped, RGB, "channel order")


@pytest.mark.parametrize("pixel_format", ["rgb", "bgr", "gray", "rgba", "bgra"])
@pytest.mark.parametrize("resize", ["letterbox", "letterbox_center", "stretch", "center_crop", "fixed_height"])
def test_every_alternative_is_another_and_each_is_tried_once(pixel_format: str, resize: str) -> None:
    channels = CHANNELS_OF[pixel_format]
    section = {**RGB, "pixel_format": pixel_format, "resize": resize}
    section |= {"mean": (127.0,) * channels, "scale": (1 / 128,) * channels}
    found = alternatives(section, True)
    assert {one.axis for one in found} <= set(AXES)
    for index, one in enumerate(found):
        assert one.of(section) != section
        assert all(section[key] != value for key, value in one.changes.items()) or one.axis == "channel order"
        assert one.of(section) not in [other.of(section) for other in found[:index]]
        assert len(one.of(section)["mean"]) == channels


def test_numbers_that_a_network_cannot_tell_apart_are_not_tried() -> None:
    section = {**RGB, "mean": (127.0,) * 3, "scale": (1 / 128,) * 3}
    assert not any(one.changes.get("mean") == (127.5,) * 3 for one in alternatives(section, False))


def test_edges_are_cut_off_only_where_the_whole_picture_counts() -> None:
    section = {**RGB, "resize": "stretch"}
    assert "center_crop" in [one.changes.get("resize") for one in alternatives(section, True)]
    assert "center_crop" not in [one.changes.get("resize") for one in alternatives(section, False)]


def test_people_read_what_is_tried() -> None:
    said = [str(one) for one in alternatives(UNIT, False)]
    assert "scale 1" in said and "pixel_format bgr" in said and "pad_value 114" in said
