import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bmzoo.errors import ConfigError, SessionError, SourceError
from bmzoo.runtime.preprocess import InputSpec, breaks_off, for_picture, prepare, prepare_batch, read_image
from bmzoo.runtime.resizing import RESIZES, Geometry

MEAN = (104.0, 117.0, 123.0)


def spec_of(resize: str = "letterbox", height: int = 64, width: int = 64, **more: Any) -> InputSpec:
    values: dict[str, Any] = {"pixel_format": "bgr", "mean": MEAN, "scale": (1.0, 1.0, 1.0), **more}
    return InputSpec(height, width, resize=resize, **values)


def noise(height: int, width: int, seed: int = 0) -> NDArray[Any]:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(37, 50), (64, 64), (200, 31), (100, 101)])
def test_letterbox_is_what_the_published_opencv_script_does(height: int, width: int) -> None:
    image = noise(height, width)
    ratio = 64 / max(height, width)
    resized = cv2.resize(image, None, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)
    padded = cv2.copyMakeBorder(
        resized, 0, 64 - resized.shape[0], 0, 64 - resized.shape[1], cv2.BORDER_CONSTANT, value=0
    )
    expected = (np.array(padded, np.float32) - np.array(MEAN, np.float32)).transpose(2, 0, 1)
    tensor, geometry = prepare(image, spec_of())
    np.testing.assert_array_equal(tensor, expected)
    assert geometry == Geometry(ratio, ratio, 0, 0, width, height)


@pytest.mark.parametrize(("height", "width"), [(37, 50), (64, 64), (200, 31), (100, 101), (3, 640)])
def test_bmcv_cuts_sizes_off_and_takes_the_nearest_pixel_below(height: int, width: int) -> None:
    image = noise(height, width)
    ratio = min(64 / width, 64 / height)
    rows, columns = max(1, int(height * ratio)), max(1, int(width * ratio))
    expected = np.zeros((64, 64, 3), np.float32)
    for y in range(rows):
        for x in range(columns):
            expected[y, x] = image[y * height // rows, x * width // columns]
    tensor, geometry = prepare(image, spec_of(flavour="bmcv"))
    np.testing.assert_array_equal(tensor, (expected - np.array(MEAN, np.float32)).transpose(2, 0, 1))
    scales = (ratio, ratio) if int(height * ratio) else (columns / width, rows / height)
    assert geometry == Geometry(*scales, 0, 0, width, height)


def test_original_scale_pads_and_refuses_what_is_too_large() -> None:
    image = noise(40, 50)
    tensor, geometry = prepare(image, spec_of("original"))
    np.testing.assert_array_equal(tensor[:, :40, :50], (image - np.array(MEAN, np.float32)).transpose(2, 0, 1))
    assert (tensor[:, 40:] == -np.array(MEAN, np.float32)[:, None, None]).all()
    assert geometry == Geometry(1, 1, 0, 0, 50, 40)
    with pytest.raises(SessionError, match="larger than the network's 64x64.*: 65x10"):
        prepare(noise(65, 10), spec_of("original"))


@pytest.mark.parametrize(("size", "fits"), [((1, 1), (32, 32)), ((64, 65), (64, 96)), ((1000, 31), (1024, 32))])
def test_a_network_as_large_as_the_picture(size: tuple[int, int], fits: tuple[int, int]) -> None:
    spec = for_picture(spec_of(flavour="bmcv"), *size)
    assert (spec.height, spec.width, spec.resize, spec.flavour) == (*fits, "original", "bmcv")
    assert prepare(noise(*size), spec)[1].scale_x == 1


def test_pixel_formats_and_scale() -> None:
    image = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    spec = spec_of("stretch", 2, 2, pixel_format="rgb", mean=(1.0, 2.0, 3.0), scale=(2.0, 0.5, 1.0))
    assert prepare(image, spec)[0][:, 0, 0].tolist() == [58.0, 9.0, 7.0]
    gray = spec_of("stretch", 2, 2, pixel_format="gray", mean=(8.0,), scale=(1.0,))
    tensor, _ = prepare(image, gray)
    assert tensor.shape == (1, 2, 2)
    assert tensor[0, 0, 0] == cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[0, 0] - 8


def test_centred_letterbox_pads_both_sides_with_the_pad_value() -> None:
    image = np.full((10, 40, 3), 200, np.uint8)
    tensor, geometry = prepare(image, spec_of("letterbox_center", 32, 40, mean=(0.0,) * 3, pad_value=114))
    assert (geometry.pad_left, geometry.pad_top) == (0, 11)
    assert np.unique(tensor[:, :11]).tolist() == np.unique(tensor[:, 21:]).tolist() == [114.0]
    assert np.unique(tensor[:, 11:21]).tolist() == [200.0]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([(32, 64), (64, 32), (48, 48)]),
    st.sampled_from(["letterbox", "letterbox_center", "stretch"]),
    st.sampled_from(["opencv", "bmcv"]),
)
def test_corners_come_back(height: int, width: int, size: tuple[int, int], resize: str, flavour: str) -> None:
    image = np.full((height, width, 3), 255, np.uint8)
    tensor, geometry = prepare(image, spec_of(resize, *size, mean=(0.0,) * 3, flavour=flavour))
    assert tensor.max() == 255, "the image is on the canvas, be it one pixel high"
    scale, pad = (geometry.scale_x, geometry.scale_y), (geometry.pad_left, geometry.pad_top)
    box = np.array([[pad[0], pad[1], width * scale[0] + pad[0], height * scale[1] + pad[1]]], np.float32)
    np.testing.assert_allclose(geometry.to_original(box), [[0, 0, width, height]], atol=1e-3)
    points: NDArray[np.float32] = np.tile(box[:, None, 2:], (1, 5, 1))
    assert geometry.to_original(points).shape == (1, 5, 2)
    assert (geometry.to_original(points + 50, clip=True) == (width, height)).all()


def test_to_original_of_nothing_keeps_shapes() -> None:
    geometry = Geometry(2.0, 2.0, 0, 0, 8, 8)
    assert geometry.to_original(np.empty((0, 4), np.float32)).shape == (0, 4)
    assert geometry.to_original(np.empty((3, 0, 2), np.float32)).shape == (3, 0, 2)


def test_batch_equals_singles_and_leaves_unused_slots_zero() -> None:
    images = [noise(20, 30, 1), noise(70, 40, 2)]
    batch, geometries = prepare_batch(images, spec_of(), 4)
    assert batch.shape == (4, 3, 64, 64)
    assert batch.dtype == np.float32
    for i, image in enumerate(images):
        tensor, geometry = prepare(image, spec_of())
        np.testing.assert_array_equal(batch[i], tensor)
        assert geometries[i] == geometry
    assert not batch[2:].any()
    with pytest.raises(SessionError, match=r"more images than the 1 slot.*: 2"):
        prepare_batch(images, spec_of(), 1)


def test_a_tensor_is_filled_again_and_nothing_of_the_last_batch_stays() -> None:
    images = [noise(20, 30, seed) for seed in range(3)]
    first, _ = prepare_batch(images, spec_of(), 3)
    for some in (images[1:], images[:1], [], images):
        fresh, at = prepare_batch(some, spec_of(), 3)
        again, at_again = prepare_batch(some, spec_of(), 3, first)
        assert again is first and at_again == at
        np.testing.assert_array_equal(again, fresh)
        assert not again[len(some) :].any()


@pytest.mark.parametrize("out", [np.zeros((2, 3, 64, 64)), np.zeros((3, 3, 64, 64), np.float32)])
def test_a_tensor_of_another_batch_is_refused(out: NDArray[Any]) -> None:
    with pytest.raises(SessionError, match=r"out must be float32 \[2, 3, 64, 64\]: float.*64\]"):
        prepare_batch([noise(4, 4)], spec_of(), 2, out)


@pytest.mark.parametrize("image", [noise(4, 4)[..., :1], noise(4, 4).astype(np.float32), noise(4, 4)[:0]])
def test_other_arrays_are_refused(image: NDArray[Any]) -> None:
    with pytest.raises(SessionError, match="uint8"):
        prepare(image, spec_of())


@pytest.mark.parametrize(
    "change",
    [
        {"resize": "leterbox"},
        {"flavour": "bmcx"},
        {"pixel_format": "bgra"},
        {"mean": (1.0,)},
        {"scale": (1.0, 1.0)},
        {"height": 0},
    ],
)
def test_bad_specs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        spec_of(**change)


@pytest.mark.parametrize("channels", [None, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_png_becomes_bgr_uint8(tmp_path: Path, channels: int | None, dtype: type) -> None:
    shape = (5, 7) if channels is None else (5, 7, channels)
    path = tmp_path / "图 é.png"
    top = np.iinfo(dtype).max
    path.write_bytes(cv2.imencode(".png", np.full(shape, top, dtype))[1].tobytes())
    image = read_image(path)
    assert image.shape == (5, 7, 3)
    assert image.dtype == np.uint8
    assert (image == 255).all()


def test_read_image_is_imread(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(cv2.imencode(".jpg", noise(33, 21))[1].tobytes())
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in [
        ("none.jpg", "No such file"),
        ("empty.jpg", "empty"),
        ("text.jpg", "damaged"),
        ("folder.jpg", "cannot"),
    ]:
        with pytest.raises(SourceError, match=reason) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message


def test_a_jpeg_that_breaks_off_is_told_from_a_whole_one() -> None:
    data = cv2.imencode(".jpg", noise(64, 64))[1]
    assert not breaks_off(data)
    assert not breaks_off(np.append(data, np.zeros(20, np.uint8)))
    assert breaks_off(data[:-2])
    assert breaks_off(data[: len(data) // 2])
    assert not breaks_off(cv2.imencode(".png", noise(8, 8))[1][:-9])


@pytest.mark.parametrize("scale", [0.0, math.nan, 1e30, 1e-30])
def test_a_scale_that_leaves_nothing_of_a_picture_is_refused(scale: float) -> None:
    with pytest.raises(ConfigError, match=r"^input: scale: "):
        InputSpec(8, 8, "bgr", (0.0, 0.0, 0.0), (1.0, 1.0, scale), "stretch")


@pytest.mark.parametrize("mean", [math.inf, 1e4])
def test_a_mean_that_is_no_pixel_is_refused(mean: float) -> None:
    with pytest.raises(ConfigError, match=r"^input: mean: must be a pixel value, -255 to 255: "):
        InputSpec(8, 8, "bgr", (0.0, 0.0, mean), (1.0, 1.0, 1.0), "stretch")


def torchvision_crop(image: NDArray[Any], side: int, before: int) -> NDArray[Any]:
    """Resize(before) and CenterCrop(side), as torchvision's source has them, with OpenCV's resize."""
    height, width = image.shape[:2]
    short, long = min(height, width), max(height, width)
    columns, rows = (
        (before, int(before * long / short)) if width <= height else (int(before * long / short), before)
    )
    resized = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR))
    top, left = round((rows - side) / 2.0), round((columns - side) / 2.0)
    return resized[top : top + side, left : left + side]


@pytest.mark.parametrize(("height", "width"), [(300, 500), (500, 300), (256, 256), (10, 700), (224, 231)])
def test_center_crop_is_what_imagenet_is_evaluated_with(height: int, width: int) -> None:
    image = noise(height, width)
    spec = spec_of("center_crop", 224, 224, mean=(0.0,) * 3)
    tensor, geometry = prepare(image, spec)
    np.testing.assert_array_equal(tensor, torchvision_crop(image, 224, 256).transpose(2, 0, 1))
    assert (geometry.width, geometry.height) == (width, height)


def test_center_crop_covers_an_input_that_is_not_square() -> None:
    tensor, at = prepare(np.full((100, 400, 3), 9, np.uint8), spec_of("center_crop", 56, 112, mean=(0.0,) * 3))
    assert (tensor == 9).all()
    assert (at.scale_x, at.scale_y, at.pad_left, at.pad_top) == (256 / 400, 64 / 100, -72, -4)


@pytest.mark.parametrize(("height", "width"), [(20, 33), (20, 400), (96, 96), (480, 1)])
def test_fixed_height_is_what_paddleocr_does(height: int, width: int) -> None:
    image = noise(height, width)
    columns = min(320, math.ceil(48 * width / height))
    expected = np.full((48, 320, 3), 127, np.uint8)
    expected[:, :columns] = cv2.resize(image, (columns, 48))
    tensor, geometry = prepare(image, spec_of("fixed_height", 48, 320, mean=(0.0,) * 3, pad_value=127))
    np.testing.assert_array_equal(tensor, expected.transpose(2, 0, 1))
    assert geometry == Geometry(columns / width, 48 / height, 0, 0, width, height)


@pytest.mark.parametrize("flavour", ["opencv", "bmcv"])
@pytest.mark.parametrize("resize", [name for name in RESIZES if name != "original"])
def test_a_mark_is_found_where_geometry_says(resize: str, flavour: str) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    image[52:68, 70:90] = 255
    tensor, geometry = prepare(image, spec_of(resize, 96, 96, mean=(0.0,) * 3, flavour=flavour))
    rows, columns = np.nonzero(tensor[0] > 127)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    np.testing.assert_allclose(geometry.to_original(box)[0], [70, 52, 90, 68], atol=2)


@pytest.mark.parametrize(("pixel_format", "order"), [("bgra", [0, 1, 2]), ("rgba", [2, 1, 0])])
def test_a_fourth_channel_is_opaque(pixel_format: str, order: list[int]) -> None:
    image = noise(16, 16)
    spec = InputSpec(16, 32, pixel_format, (0.0, 0.0, 0.0, 55.0), (1.0, 1.0, 1.0, 0.5), "letterbox")
    tensor, _ = prepare(image, spec)
    np.testing.assert_array_equal(tensor[:3, :, :16], image[..., order].transpose(2, 0, 1))
    assert (tensor[3] == 100).all()


@pytest.mark.parametrize("pixel_format", ["rgb", "gray"])
def test_channels_last_are_the_same_values(pixel_format: str) -> None:
    count = 1 if pixel_format == "gray" else 3
    spec = spec_of(pixel_format=pixel_format, mean=(5.0,) * count, scale=(0.5,) * count)
    images = [noise(50, 40), noise(40, 50)]
    first, _ = prepare_batch(images, spec, 3)
    last, _ = prepare_batch(images, replace(spec, layout="nhwc"), 3)
    np.testing.assert_array_equal(last, first.transpose(0, 2, 3, 1))


def test_integers_are_rounded() -> None:
    spec = spec_of(
        "stretch", 8, 8, mean=(0.0, 128.0, 0.0), scale=(0.49, 0.5, 0.25), dtype="int8", pixel_format="bgr"
    )
    tensor, _ = prepare(noise(8, 8), replace(spec, dtype="float32"))
    rounded, _ = prepare(noise(8, 8), spec)
    np.testing.assert_array_equal(rounded, [[[round(float(v)) for v in row] for row in plane] for plane in tensor])


@pytest.mark.parametrize(
    ("dtype", "mean", "scale", "match"),
    [
        ("uint8", 127.5, 1.0, "takes uint8, 0 to 255, .* pixels become -127.5 to 127.5 in channel 0"),
        ("int8", 0.0, 1.0, "takes int8, -128 to 127, .* pixels become 0 to 255"),
        ("uint8", 0.0, 1 / 255, "takes uint8, and scale leaves 1 steps of it: 0.00392157"),
    ],
)
def test_integers_that_would_leave_no_picture_are_refused(
    dtype: str, mean: float, scale: float, match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        spec_of(mean=(mean,) * 3, scale=(scale,) * 3, dtype=dtype)
    spec_of(mean=(128.0 if dtype == "int8" else 0.0,) * 3, dtype=dtype)
