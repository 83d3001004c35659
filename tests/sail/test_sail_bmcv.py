from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bmzoo import sail
from bmzoo.runtime.bmcv import nearest_pixels
from bmzoo.runtime.preprocess import InputSpec, prepare

HANDLE = sail.Handle(0)
BMCV = sail.Bmcv(HANDLE)
U8, F32 = sail.DATA_TYPE_EXT_1N_BYTE, sail.DATA_TYPE_EXT_FLOAT32
I8 = sail.DATA_TYPE_EXT_1N_BYTE_SIGNED
LINEAR = sail.bmcv_resize_algorithm.BMCV_INTER_LINEAR


def picture(height: int = 20, width: int = 30, seed: int = 0) -> NDArray[Any]:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def image(bgr: NDArray[Any], format: sail.Format = sail.FORMAT_BGR_PLANAR) -> sail.BMImage:
    made: sail.BMImage = BMCV.convert_format(BMCV.mat_to_bm_image(bgr), format)
    return made


def blank(height: int, width: int, format: sail.Format, dtype: sail.ImgDtype = U8) -> sail.BMImage:
    return sail.BMImage(HANDLE, height, width, format, dtype)


def array(*pictures: NDArray[Any]) -> sail.BMImageArray2D:
    made = sail.BMImageArray2D()
    for i, bgr in enumerate(pictures):
        made[i] = image(bgr).data()
    return made


def test_types_of_images_and_tensors() -> None:
    for tensor, pixel in ((sail.BM_FLOAT32, F32), (sail.BM_INT8, I8), (sail.BM_UINT8, U8)):
        assert BMCV.get_bm_image_data_format(tensor) is pixel
        assert BMCV.get_bm_data_type(pixel) is tensor
    for other in (sail.BM_FLOAT16, sail.BM_INT32):
        with pytest.raises(sail.SailBMImageError):
            BMCV.get_bm_image_data_format(other)


def test_nearest_is_the_default_and_takes_the_floor() -> None:
    bgr = picture()
    for width, height in ((13, 9), (64, 41), (30, 20)):
        rows, columns = np.arange(height) * 20 // height, np.arange(width) * 30 // width
        expected = bgr[rows][:, columns]
        for resize in (BMCV.resize, BMCV.vpp_resize):
            np.testing.assert_array_equal(resize(image(bgr), width, height).asmat(), expected)
        np.testing.assert_array_equal(expected, cv2.resize(bgr, (width, height), interpolation=cv2.INTER_NEAREST))


def test_the_runtime_and_sail_take_the_same_pixels_at_every_size() -> None:
    for width in range(8, 2001):
        bgr = picture(8, width, width)
        there = BMCV.resize(image(bgr), 640, 8).asmat()
        spec = InputSpec(8, 640, "bgr", (0.0,) * 3, (1.0,) * 3, "stretch", flavour="bmcv")
        np.testing.assert_array_equal(prepare(bgr, spec)[0], there.transpose(2, 0, 1), err_msg=str(width))


@pytest.mark.parametrize("target", [8, 64, 320, 640, 1280])
def test_nearest_is_the_arithmetic_that_docs_tell(target: int) -> None:
    for source in range(1, 2001, 37):
        ratio = np.float32(source) / np.float32(target)
        wanted = [min(int(np.float32(place) * ratio), source - 1) for place in range(target)]
        assert nearest_pixels(source, target).tolist() == wanted
    assert nearest_pixels(416, 640)[20] == 13, "where OpenCV, in float64, takes 12"
    assert nearest_pixels(168, 640)[240] == 62, "where whole numbers give 63"


def test_linear_is_opencvs() -> None:
    bgr = picture()
    found = BMCV.resize(image(bgr), 17, 33, resize_alg=LINEAR)
    np.testing.assert_array_equal(found.asmat(), cv2.resize(bgr, (17, 33), interpolation=cv2.INTER_LINEAR))
    with pytest.raises(TypeError):
        BMCV.resize(image(bgr), 17, 33, 1)  # type: ignore[arg-type]


def test_resize_keeps_planar_and_gray_formats_only() -> None:
    kept = (sail.FORMAT_RGB_PLANAR, sail.FORMAT_BGR_PLANAR, sail.FORMAT_GRAY)
    for format in (*kept, sail.FORMAT_BGR_PACKED, sail.FORMAT_NV12, sail.FORMAT_YUV420P):
        found = BMCV.resize(image(picture(), format), 8, 8)
        assert found.format() is (format if format in kept else sail.FORMAT_BGR_PLANAR)
    for dtype in (F32, I8):
        found = BMCV.resize(blank(4, 4, sail.FORMAT_BGR_PLANAR, dtype), 3, 3, LINEAR)
        assert found.dtype() is dtype


def test_crops() -> None:
    bgr = picture()
    part = bgr[4:14, 3:18]
    np.testing.assert_array_equal(BMCV.crop(image(bgr), 3, 4, 15, 10).asmat(), part)
    np.testing.assert_array_equal(BMCV.crop(image(bgr), [[0, 0, 2, 2], [3, 4, 15, 10]])[1].asmat(), part)
    expected = cv2.resize(part, (9, 8), interpolation=cv2.INTER_LINEAR)
    for crop in (BMCV.crop_and_resize, BMCV.vpp_crop_and_resize):
        found = crop(
            image(bgr), crop_x0=3, crop_y0=4, crop_w=15, crop_h=10, resize_w=9, resize_h=8, resize_alg=LINEAR
        )
        np.testing.assert_array_equal(found.asmat(), expected)
    for box in ((16, 0, 15, 10), (0, 0, 0, 5), (-1, 0, 5, 5)):
        with pytest.raises(sail.SailBMImageError):
            BMCV.crop_and_resize(image(bgr), *box, 9, 8)


@pytest.mark.parametrize("format", [sail.FORMAT_BGR_PLANAR, sail.FORMAT_RGB_PLANAR])
def test_padding_colours_its_own_channels(format: sail.Format) -> None:
    padding = sail.PaddingAtrr(2, 3, 9, 8, 10, 20, 30)
    bgr = picture()
    for resize in (BMCV.crop_and_resize_padding, BMCV.vpp_crop_and_resize_padding):
        found = resize(image(bgr, format), 0, 0, 30, 20, 16, 12, padding)
        assert (found.width(), found.height(), found.format()) == (16, 12, format)
        mat = found.asmat()
        assert mat[0, 0].tolist() == mat[11, 15].tolist() == [30, 20, 10]
        inner = cv2.resize(bgr, (9, 8), interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(mat[3:11, 2:11], inner)
        mat[3:11, 2:11] = (30, 20, 10)
        assert (mat == (30, 20, 10)).all()
    whole = BMCV.vpp_resize_padding(image(bgr, format), 16, 12, padding)
    np.testing.assert_array_equal(whole.asnumpy(), found.asnumpy())


def test_padding_must_fit() -> None:
    with pytest.raises(sail.SailBMImageError, match="does not fit"):
        BMCV.vpp_resize_padding(image(picture()), 16, 12, sail.PaddingAtrr(2, 3, 15, 8, 0, 0, 0))
    with pytest.raises(sail.SailBMImageError, match="8-bit"):
        source = blank(8, 8, sail.FORMAT_BGR_PLANAR, F32)
        BMCV.crop_and_resize_padding(source, 0, 0, 8, 8, 8, 8, sail.PaddingAtrr(0, 0, 8, 8, 0, 0, 0))


def test_convert_to_float_by_memory_channel() -> None:
    bgr = picture()
    pairs = ((0.5, -1), (np.float32(2), 0.25), [1, 3])
    for format in (sail.FORMAT_BGR_PLANAR, sail.FORMAT_RGB_PLANAR):
        out = blank(20, 30, format, F32)
        source = image(bgr, format)
        assert BMCV.convert_to(source, out, pairs) == 0
        planes = source.asnumpy().astype(np.float32)
        expected = [planes[0] * np.float32(0.5) - 1, planes[1] * 2 + np.float32(0.25), planes[2] + 3]
        np.testing.assert_array_equal(out.asnumpy(), expected)


def test_convert_to_integers_clips_then_rounds_half_away() -> None:
    ramp = np.arange(4, dtype=np.uint8).reshape(1, 4, 1).repeat(3, axis=2)
    out = blank(1, 4, sail.FORMAT_BGR_PLANAR, I8)
    assert BMCV.convert_to(image(ramp), out, ((0.5, 0), (-0.5, 0), (200, -300))) == 0
    assert out.asnumpy()[:, 0].tolist() == [[0, 1, 1, 2], [0, -1, -1, -2], [-128, -100, 100, 127]]
    same = BMCV.convert_to(image(ramp), ((0.5, 0), (100, 0), (-1, 1)))
    assert (same.format(), same.dtype()) == (sail.FORMAT_BGR_PLANAR, U8)
    assert same.asnumpy()[:, 0].tolist() == [[0, 1, 1, 2], [0, 100, 200, 255], [1, 0, 0, 0]]


def test_convert_to_refuses_packed_images() -> None:
    out = blank(20, 30, sail.FORMAT_BGR_PLANAR, F32)
    pairs = ((1, 0),) * 3
    assert BMCV.convert_to(image(picture(), sail.FORMAT_BGR_PACKED), out, pairs) != 0
    assert not out.asnumpy().any()
    assert BMCV.convert_to(image(picture(4, 4)), out, pairs) != 0
    with pytest.raises(sail.SailBMImageError):
        BMCV.convert_to(image(picture(), sail.FORMAT_BGR_PACKED), pairs)
    with pytest.raises(TypeError):
        BMCV.convert_to(image(picture()), out, ((1, 0),))


def test_batches() -> None:
    first, second = picture(seed=1), picture(seed=2)
    source = array(first, second)
    resized = BMCV.vpp_resize(source, 8, 8)
    assert isinstance(resized, sail.BMImageArray2D)
    np.testing.assert_array_equal(
        sail.BMImage(resized[1]).asmat(), cv2.resize(second, (8, 8), interpolation=cv2.INTER_NEAREST)
    )
    out = sail.BMImageArray2D(HANDLE, 20, 30, sail.FORMAT_BGR_PLANAR, F32)
    assert BMCV.convert_to(source, out, ((1, -1),) * 3) == 0
    np.testing.assert_array_equal(sail.BMImage(out[0]).asnumpy(), first.transpose(2, 0, 1) - np.float32(1))
    big = sail.BMImageArray16D(HANDLE, 4, 4, sail.FORMAT_BGR_PLANAR, U8)
    calls: tuple[Callable[[], object], ...] = (
        lambda: BMCV.resize(big, 8, 8),
        lambda: BMCV.bm_image_to_tensor(big),
    )
    for call in calls:
        with pytest.raises(TypeError, match="BMImageArray16D"):
            call()


def test_output_forms_return_codes() -> None:
    bgr = picture()
    out = blank(8, 9, sail.FORMAT_BGR_PLANAR)
    assert BMCV.vpp_resize(image(bgr), out, 9, 8) == 0
    np.testing.assert_array_equal(out.asmat(), cv2.resize(bgr, (9, 8), interpolation=cv2.INTER_NEAREST))
    assert BMCV.vpp_resize(image(bgr), out, 7, 8) != 0
    packed = blank(20, 30, sail.FORMAT_RGB_PACKED)
    assert BMCV.convert_format(image(bgr), packed) == BMCV.vpp_convert_format(image(bgr), packed) == 0
    np.testing.assert_array_equal(packed.asnumpy(), bgr[..., ::-1])
    assert BMCV.convert_format(image(bgr), out) != 0
    with pytest.raises(sail.SailBMImageError):
        BMCV.convert_format(sail.BMImage())


@pytest.mark.parametrize(
    ("format", "dtype", "shape", "expected"),
    [
        (sail.FORMAT_BGR_PLANAR, F32, [1, 3, 4, 5], sail.BM_FLOAT32),
        (sail.FORMAT_RGB_PACKED, U8, [1, 4, 5, 3], sail.BM_UINT8),
        (sail.FORMAT_GRAY, I8, [1, 1, 4, 5], sail.BM_INT8),
    ],
)
def test_tensors_attach_to_images(
    format: sail.Format, dtype: sail.ImgDtype, shape: list[int], expected: sail.Dtype
) -> None:
    source = blank(4, 5, format, dtype)
    tensor = sail.Tensor(HANDLE, [9, 9], sail.BM_FLOAT32, False, False)
    assert BMCV.bm_image_to_tensor(source, tensor) is None
    assert (tensor.shape(), tensor.dtype(), tensor.own_dev_data()) == (shape, expected, False)
    tensor.memory_set(3)
    assert (source.asnumpy() == 3).all(), "no copy"


def test_tensors_attach_to_arrays_in_one_block() -> None:
    first, second = picture(seed=1), picture(seed=2)
    tensor = BMCV.bm_image_to_tensor(array(first, second))
    np.testing.assert_array_equal(tensor.asnumpy(), np.stack([first, second]).transpose(0, 3, 1, 2))
    with pytest.raises(sail.SailBMImageError, match="NV12"):
        BMCV.bm_image_to_tensor(image(first, sail.FORMAT_NV12))
    owner = sail.Tensor(HANDLE, [1, 3, 20, 30], sail.BM_UINT8, True, True)
    BMCV.bm_image_to_tensor(image(first), owner)
    np.testing.assert_array_equal(owner.asnumpy()[0], first.transpose(2, 0, 1))
    assert not owner.own_dev_data()


def test_images_from_tensors() -> None:
    bgr = picture(4, 5)
    tensor = sail.Tensor(HANDLE, bgr.transpose(2, 0, 1)[None], False)
    np.testing.assert_array_equal(BMCV.tensor_to_bm_image(tensor).asmat(), bgr)
    np.testing.assert_array_equal(BMCV.tensor_to_bm_image(tensor, True).asmat(), bgr[..., ::-1])
    np.testing.assert_array_equal(BMCV.tensor_to_bm_image(tensor, sail.FORMAT_RGB_PLANAR).asmat(), bgr[..., ::-1])
    rows = sail.Tensor(HANDLE, bgr[None], False)
    assert BMCV.tensor_to_bm_image(rows, layout="nhwc").format() is sail.FORMAT_BGR_PACKED
    out = blank(4, 5, sail.FORMAT_BGR_PLANAR)
    BMCV.tensor_to_bm_image(tensor, out)
    np.testing.assert_array_equal(out.asmat(), bgr)
    two = sail.Tensor(HANDLE, np.stack([bgr, bgr]).transpose(0, 3, 1, 2), False)
    slots = sail.BMImageArray2D()
    BMCV.tensor_to_bm_image(two, slots)
    np.testing.assert_array_equal(sail.BMImage(slots[1]).asmat(), bgr)
    for wrong in (two, rows, sail.Tensor(HANDLE, [1, 3, 4, 5], sail.BM_UINT8, True, False)):
        with pytest.raises(sail.SailBMImageError, match="tensor_to_bm_image"):
            BMCV.tensor_to_bm_image(wrong)


def test_arrays_become_images_only_as_bytes() -> None:
    with pytest.raises(sail.SailBMImageError, match="mat_to_bm_image"):
        BMCV.mat_to_bm_image(picture()[..., 0])
    for wrong in (picture().astype(np.float32), picture().tolist()):
        with pytest.raises(TypeError, match="mat_to_bm_image"):
            BMCV.mat_to_bm_image(wrong)  # type: ignore[arg-type]
    out = sail.BMImage()
    assert BMCV.mat_to_bm_image(picture(), out) == 0
    assert out.format() is sail.FORMAT_BGR_PACKED


@pytest.mark.parametrize(
    "format", [sail.FORMAT_BGR_PACKED, sail.FORMAT_RGB_PLANAR, sail.FORMAT_YUV420P, sail.FORMAT_NV21]
)
def test_rectangles_are_clamped(format: sail.Format) -> None:
    canvas = image(np.zeros((20, 30, 3), np.uint8), format)
    assert BMCV.rectangle(canvas, -10, -10, 20, 18, [0, 0, 255], 2) == 0
    mat = canvas.asmat().astype(int)
    np.testing.assert_allclose(mat[7, 4], (0, 0, 255), atol=3)
    assert mat[14, 20].max() <= 3
    before = canvas.asnumpy()
    for size in ((0, 5), (5, -1)):
        assert BMCV.rectangle(canvas, 1, 1, *size, (255, 255, 255)) == 0
    np.testing.assert_array_equal(canvas.asnumpy(), before)
    assert BMCV.rectangle(blank(4, 4, sail.FORMAT_BGR_PLANAR, F32), 0, 0, 2, 2, (1, 1, 1)) != 0


def test_text_and_lines_take_few_formats() -> None:
    for format in (sail.FORMAT_GRAY, sail.FORMAT_YUV420P, sail.FORMAT_NV12):
        canvas = image(np.zeros((40, 60, 3), np.uint8), format)
        empty = canvas.asnumpy()
        assert BMCV.putText(canvas, "A1", 5, 30, (255, 255, 255), 1.0, 2) == 0
        written = canvas.asnumpy()
        assert (written != empty).any()
        assert BMCV.polylines(canvas, [[(2, 2), (50, 2), (50, 30)]], True, (0, 255, 0), thickness=2) == 0
        assert (canvas.asnumpy() != written).any()
    for format in (sail.FORMAT_BGR_PLANAR, sail.FORMAT_BGR_PACKED):
        canvas = image(picture(), format)
        assert BMCV.putText(canvas, "A", 5, 10, (255, 255, 255), 1.0) == 4008
        assert BMCV.polylines(canvas, [[(2, 2), (5, 5)]], False, (0, 255, 0)) == 4008
        np.testing.assert_array_equal(canvas.asmat(), picture())


def test_points_and_filled_rectangles() -> None:
    canvas = image(np.zeros((20, 30, 3), np.uint8))
    assert BMCV.drawPoint(canvas, (10, 8), (9, 8, 7), 2) == 0
    assert BMCV.fillRectangle(canvas, 20, 10, 4, 4, (1, 2, 3)) == 0
    mat = canvas.asmat()
    assert mat[8, 10].tolist() == [9, 8, 7]
    assert mat[8, 14].tolist() == [0, 0, 0]
    assert mat[10:14, 20:24].reshape(-1, 3).tolist() == [[1, 2, 3]] * 16
    assert mat[14, 24].tolist() == [0, 0, 0]


def test_weighted_sums() -> None:
    first, second = picture(seed=1), picture(seed=2)
    expected = np.floor(np.clip(first * 0.25 + second * 0.5 + 3, 0, 255) + 0.5)
    found = BMCV.image_add_weighted(image(first), 0.25, image(second), 0.5, 3)
    np.testing.assert_array_equal(found.asmat(), expected)
    out = blank(20, 30, sail.FORMAT_BGR_PLANAR)
    assert BMCV.image_add_weighted(image(first), 0.25, image(second), 0.5, 3, out) == 0
    np.testing.assert_array_equal(out.asmat(), expected)
    assert BMCV.image_add_weighted(image(first), 1, image(picture(4, 4)), 1, 0, out) != 0


def test_picture_files(tmp_path: Path) -> None:
    bgr = picture()
    path = str(tmp_path / "a.png")
    for format in (sail.FORMAT_BGR_PACKED, sail.FORMAT_RGB_PLANAR):
        assert BMCV.imwrite(path, image(bgr, format)) == 0
        np.testing.assert_array_equal(cv2.imread(path), bgr)
    assert BMCV.imwrite(path, image(bgr).data()) == 0
    assert BMCV.imwrite(str(tmp_path / "none" / "a.png"), image(bgr)) != 0
    assert BMCV.imwrite(str(tmp_path / "a.odd"), image(bgr)) != 0
    for suffix in (".bmp", ".jpg", ".png", ".ppm", ".tiff", ".webp", ".PNG"):
        (tmp_path / f"full{suffix}").symlink_to("/dev/full")  # cv2.imwrite says that all is well
        assert BMCV.imwrite(str(tmp_path / f"full{suffix}"), image(bgr)) != 0
        whole = str(tmp_path / f"whole{suffix}")
        assert BMCV.imwrite(whole, image(bgr)) == 0
        assert (
            cv2.imwrite(f"{whole}{suffix}", bgr) and Path(whole).read_bytes() == Path(whole + suffix).read_bytes()
        )
    found = BMCV.imread(path)
    assert found.format() is sail.FORMAT_BGR_PACKED
    np.testing.assert_array_equal(found.asmat(), bgr)
    data = BMCV.imencode(".png", image(bgr))
    assert (data.dtype, data.ndim) == (np.dtype(np.uint8), 1)
    np.testing.assert_array_equal(BMCV.imdecode(data.tobytes()).asmat(), bgr)
    jpeg = str(tmp_path / "a.jpg")
    cv2.imwrite(jpeg, bgr)
    assert BMCV.imread(jpeg).format() is sail.FORMAT_YUV420P
    cv2.imwrite(path, bgr[..., 0])
    assert BMCV.imread(path).format() is sail.FORMAT_GRAY
    calls: tuple[Callable[[], object], ...] = (
        lambda: BMCV.imread(str(tmp_path / "none")),
        lambda: BMCV.imdecode(b""),
        lambda: BMCV.imdecode(b"x"),
    )
    for call in calls:
        with pytest.raises(sail.SailBMImageError):
            call()


def test_nms_keeps_the_best() -> None:
    rows = np.array([[0, 0, 10, 10, 0.5], [1, 1, 10, 10, 0.9], [20, 20, 30, 30, 0.1]], np.float32)
    np.testing.assert_array_equal(BMCV.nms(rows, 0.5), rows[[1, 2]])
