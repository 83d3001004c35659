from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo import sail

HANDLE = sail.Handle(0)
U8 = sail.DATA_TYPE_EXT_1N_BYTE
COLOURS = (
    sail.FORMAT_BGR_PLANAR,
    sail.FORMAT_RGB_PLANAR,
    sail.FORMAT_BGR_PACKED,
    sail.FORMAT_RGB_PACKED,
    sail.FORMAT_BGRP_SEPARATE,
    sail.FORMAT_RGBP_SEPARATE,
)
YUV = tuple(sail.Format)[:8]
# (height, width) -> samples of a 5 x 3 image.
SAMPLES = {"YUV420P": 27, "YUV422P": 33, "YUV444P": 45, "NV12": 27, "NV21": 27, "NV16": 33, "NV61": 33, "NV24": 45}


def picture(height: int = 3, width: int = 5) -> NDArray[Any]:
    return np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)


def packed(bgr: NDArray[Any]) -> sail.BMImage:
    made: sail.BMImage = sail.Bmcv(HANDLE).mat_to_bm_image(bgr)
    return made


def test_an_empty_image() -> None:
    image = sail.BMImage()
    assert (image.width(), image.height(), image.empty_check()) == (0, 0, 0)
    assert (image.format(), image.dtype()) == (sail.FORMAT_BGR_PLANAR, U8)
    with pytest.raises(sail.SailBMImageError, match="empty"):
        image.asmat()


def test_height_comes_first() -> None:
    image = sail.BMImage(HANDLE, 3, 5, sail.FORMAT_BGR_PLANAR, U8)
    assert (image.height(), image.width(), image.empty_check(), image.get_plane_num()) == (3, 5, 1, 1)
    assert image.asnumpy().shape == (3, 3, 5)
    assert image.get_device_id() == image.get_handle().get_device_id() == 0


@pytest.mark.parametrize("format", COLOURS)
def test_layouts_of_colour_formats(format: sail.Format) -> None:
    bgr = picture()
    image = sail.Bmcv(HANDLE).convert_format(packed(bgr), format)
    name = format.name
    expected = bgr if "BGR" in name else bgr[..., ::-1]
    if "PACKED" not in name:
        expected = expected.transpose(2, 0, 1)
    np.testing.assert_array_equal(image.asnumpy(), expected)
    np.testing.assert_array_equal(image.asmat(), bgr)


@pytest.mark.parametrize("format", YUV)
def test_yuv_formats_keep_grey_and_come_back_near(format: sail.Format) -> None:
    bmcv = sail.Bmcv(HANDLE)
    bgr = np.full((3, 5, 3), (40, 120, 200), np.uint8)
    image = bmcv.convert_format(packed(bgr), format)
    assert image.asnumpy().shape == (SAMPLES[format.name.removeprefix("FORMAT_")],)
    np.testing.assert_allclose(image.asmat().astype(int), bgr, atol=3)
    grey = bmcv.convert_format(image, sail.FORMAT_GRAY)
    assert (grey.asnumpy() == image.asnumpy()[0]).all(), "the luma plane"
    back = bmcv.convert_format(bmcv.convert_format(image, sail.FORMAT_YUV444P), format)
    np.testing.assert_array_equal(back.asnumpy(), image.asnumpy())


def test_yuv_is_bt601_in_limited_range() -> None:
    bmcv = sail.Bmcv(HANDLE)
    for bgr, yuv in (((0, 0, 0), (16, 128, 128)), ((255, 255, 255), (235, 128, 128)), ((0, 0, 255), (82, 90, 240))):
        image = bmcv.convert_format(packed(np.full((2, 2, 3), bgr, np.uint8)), sail.FORMAT_YUV420P)
        assert image.asnumpy().tolist() == [yuv[0]] * 4 + list(yuv[1:])
    made = sail.BMImage(HANDLE, bytes([200] * 4 + [90, 160]), 2, 2, sail.FORMAT_YUV420P)
    # 1.164 * 184 + 2.017 * -38, - 0.392 * -38 - 0.813 * 32, + 1.596 * 32
    assert bmcv.yuv2bgr(made).asnumpy()[:, 0, 0].tolist() == [138, 203, 255]


def test_from_a_buffer() -> None:
    bgr = picture()
    image = sail.BMImage(HANDLE, bgr, 3, 5, sail.FORMAT_BGR_PACKED)
    np.testing.assert_array_equal(image.asmat(), bgr)
    wide = np.zeros((3, 20), np.uint8)
    wide[:, :15] = bgr.reshape(3, 15)
    image = sail.BMImage(HANDLE, b"12" + wide.tobytes(), 3, 5, sail.FORMAT_BGR_PACKED, U8, [20], 2)
    np.testing.assert_array_equal(image.asmat(), bgr)
    with pytest.raises(sail.SailBMImageError, match="too small"):
        sail.BMImage(HANDLE, b"123", 3, 5, sail.FORMAT_BGR_PACKED)


def test_data_shares_memory() -> None:
    image = sail.BMImage(HANDLE, 8, 8, sail.FORMAT_BGR_PLANAR, U8)
    view = image.data()
    sail.Bmcv(HANDLE).rectangle(view, 0, 0, 8, 8, (1, 2, 3), -1)
    assert image.asnumpy()[:, 4, 4].tolist() == [1, 2, 3]
    assert (view.width(), view.height(), view.format(), view.dtype()) == (8, 8, sail.FORMAT_BGR_PLANAR, U8)
    assert sail.BMImage(view).asnumpy()[0, 0, 0] == 1


def test_unplayed_formats_are_refused() -> None:
    with pytest.raises(sail.NotSupport, match="COMPRESSED"):
        sail.BMImage(HANDLE, 2, 2, sail.FORMAT_COMPRESSED, U8)
    with pytest.raises(sail.NotSupport, match="4N_BYTE"):
        sail.BMImage(HANDLE, 2, 2, sail.FORMAT_GRAY, sail.ImgDtype.DATA_TYPE_EXT_4N_BYTE)
    with pytest.raises(TypeError):
        sail.BMImage(HANDLE, 2, 2, 9, U8)


@pytest.mark.parametrize("size", [2, 3, 4, 8, 16, 32, 64, 128, 256])
def test_arrays(size: int) -> None:
    array = getattr(sail, f"BMImageArray{size}D")()
    assert len(array) == size
    image = packed(picture())
    array[size - 1] = image.data()
    np.testing.assert_array_equal(sail.BMImage(array[size - 1]).asmat(), picture())
    assert not sail.BMImage(array[0]).asnumpy().any(), "zeroed"
    with pytest.raises(IndexError):
        array[size]


def test_assignment_copies_and_wants_the_same_geometry() -> None:
    array = sail.BMImageArray2D(HANDLE, 3, 5, sail.FORMAT_BGR_PACKED, U8)
    image = packed(picture())
    array[0] = image.data()
    array.copy_from(1, image)
    sail.Bmcv(HANDLE).rectangle(image, 0, 0, 5, 3, (0, 0, 0), -1)
    for i in range(2):
        np.testing.assert_array_equal(sail.BMImage(array[i]).asmat(), picture())
    for other in (packed(picture(3, 6)), sail.BMImage(HANDLE, 3, 5, sail.FORMAT_BGR_PLANAR, U8), sail.BMImage()):
        with pytest.raises(ValueError, match="BMImageArray2D"):
            array[0] = other.data()
    with pytest.raises(TypeError):
        array[0] = image  # type: ignore[assignment]


def test_attached_images_are_no_batch() -> None:
    array = sail.BMImageArray2D(HANDLE, 3, 5, sail.FORMAT_BGR_PLANAR, U8)
    image = sail.BMImage(HANDLE, 3, 5, sail.FORMAT_BGR_PLANAR, U8)
    array.attach_from(1, image)
    with pytest.raises(sail.SailBMImageError, match="one block"):
        sail.Bmcv(HANDLE).bm_image_to_tensor(array)


def test_padding_attributes() -> None:
    padding = sail.PaddingAtrr(1, 2, 3, 4, 5, 6, 7)
    assert padding.numbers == [1, 2, 3, 4, 5, 6, 7]
    assert sail.PaddingAtrr().numbers == [0] * 7
    padding.set_w(np.int64(9))  # type: ignore[arg-type]
    assert padding.numbers[2] == 9
    for wrong in (-1, 1.5):
        with pytest.raises(TypeError, match="PaddingAtrr"):
            padding.set_stx(wrong)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        padding.stx = 3  # type: ignore[attr-defined]
