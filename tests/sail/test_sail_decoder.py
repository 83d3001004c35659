from pathlib import Path

import cv2
import numpy as np
import pytest

from bmzoo import sail

HANDLE = sail.Handle(0)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 25, (48, 32))
    for i in range(3):
        writer.write(np.full((32, 48, 3), 60 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp"])
def test_a_picture_never_ends(ending: str, tmp_path: Path) -> None:
    path = str(tmp_path / f"a.{ending}")
    bgr = np.random.RandomState(0).randint(0, 256, (9, 7, 3)).astype(np.uint8)
    cv2.imwrite(path, bgr)
    decoder = sail.Decoder(path, False, 0)
    for _ in range(2):
        image = sail.BMImage()
        assert decoder.read(HANDLE, image) == 0
        assert (image.format(), image.dtype()) == (sail.FORMAT_BGR_PACKED, sail.DATA_TYPE_EXT_1N_BYTE)
        np.testing.assert_array_equal(image.asmat(), bgr)
    np.testing.assert_array_equal(decoder.read(HANDLE).asmat(), bgr)
    assert decoder.get_frame_shape() == [1, 3, 9, 7]
    assert not decoder.is_eof()
    cv2.imwrite(path, 255 - bgr)
    np.testing.assert_array_equal(decoder.read(HANDLE).asmat(), 255 - bgr)


def test_grey_pictures_get_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 4), 9, np.uint8))
    assert sail.Decoder(str(tmp_path / "a.png")).read(HANDLE).asnumpy().shape == (4, 4, 3)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_missing_or_damaged_picture_counts_as_open(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    decoder = sail.Decoder(str(path), True, 0)
    assert decoder.is_opened()
    image = sail.BMImage()
    assert decoder.read(HANDLE, image) != 0
    assert image.empty_check() == 0
    with pytest.raises(sail.SailDecoderError, match=r"a\.jpg"):
        decoder.read(HANDLE)


def test_a_video_ends(clip: str) -> None:
    decoder = sail.Decoder(clip, True, 0)
    assert decoder.is_opened()
    assert decoder.get_frame_shape() == [1, 3, 32, 48]
    assert decoder.get_fps() == 25
    for i in range(3):
        image = sail.BMImage()
        assert decoder.read(HANDLE, image) == 0
        assert image.format() is sail.FORMAT_BGR_PLANAR
        assert abs(int(image.asnumpy().mean()) - 60 * i) <= 2
    assert decoder.get_pts_dts()[0] == pytest.approx(2 / 25)
    assert decoder.read(HANDLE, sail.BMImage()) != 0
    assert decoder.is_eof()
    with pytest.raises(sail.SailDecoderError):
        decoder.read(HANDLE)
    assert decoder.reconnect() == 0
    assert decoder.read(HANDLE, sail.BMImage()) == 0
    decoder.release()
    assert not decoder.is_opened()
    assert decoder.read(HANDLE, sail.BMImage()) != 0


def test_frames_are_resized_into_images_with_a_size(clip: str) -> None:
    decoder = sail.Decoder(clip)
    image = sail.BMImage(HANDLE, 10, 12, sail.FORMAT_RGB_PLANAR, sail.DATA_TYPE_EXT_1N_BYTE)
    assert decoder.read(HANDLE, image) == decoder.read(HANDLE, image) == 0
    assert (image.height(), image.width(), image.format()) == (10, 12, sail.FORMAT_RGB_PLANAR)
    assert abs(int(image.asnumpy().mean()) - 60) <= 2
    array = sail.BMImageArray2D(HANDLE, 32, 48, sail.FORMAT_BGR_PLANAR, sail.DATA_TYPE_EXT_1N_BYTE)
    assert decoder.read_(HANDLE, array[1]) == 0
    assert abs(int(sail.BMImage(array[1]).asnumpy().mean()) - 120) <= 2


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: str) -> None:
    with pytest.raises(RuntimeError, match=r"none\.mp4"):
        sail.Decoder(str(tmp_path / "none.mp4"))
    with pytest.raises(sail.SailDeviceError):
        sail.Decoder(clip, True, 1)
    monkeypatch.setenv("BMZOO_SAIL_TPUS", "2")
    assert sail.Decoder(clip, True, 1).read(HANDLE, sail.BMImage()) == 1004


def test_a_colon_in_the_name_of_a_video_is_no_protocol(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(clip).rename(tmp_path / "12:30.avi")
    assert sail.Decoder("12:30.avi").is_opened()
